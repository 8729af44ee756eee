//! A crash kit for applications: runs their own commits with a power cut at every operation
//! (feature `sim`).
//!
//! [`PowerCuts::replay`] runs the application once on a simulated disk and records every operation.
//! Then it cuts the power before each operation and after the last. For each cut it computes states
//! in which the disk can be left. On each state it restarts the machine, opens the store and calls
//! the application's check, which says whether its own rules hold.
//!
//! The disk is the weakest that POSIX permits. The bytes of a file, its length and each name in a
//! directory last only from the fsync that promises them. What was not fsynced is kept, lost, cut
//! short, zeroed or replaced with garbage, in every combination where there are few. genstore
//! itself is tested on the same disk: see `docs/internals/testing.md`.
//!
//! The kit answers three questions. Are files that belong together committed together? Was a commit
//! durable by the time its success was reported? Does the application start again? A single commit
//! is the business of genstore, so what the kit finds is mostly one change that was made in two
//! commits.
//!
//! ```toml
//! [dev-dependencies]
//! genstore = { version = "0.1", features = ["sim"] }
//! ```
//!
//! The code that commits must take its [`Store`] as an argument, because [`Machine::start`] gives
//! the one on the simulated disk. In the first states nothing is committed yet: the store is empty,
//! at generation 1.
//!
//! # Limits
//!
//! - Each state comes from one power cut, and no operation fails.
//! - Commits and checks must use one thread. Time is simulated, and a wait for a lock that another
//!   thread holds ends at once without the lock.
//! - Everything is in memory, and a file that is written in pieces is kept as it was after each
//!   piece of 64 KiB. Files of some megabytes are too large.
//!
//! # Example
//!
//! ```
//! use genstore::sim::PowerCuts;
//!
//! // The application: a schedule and its index, which must name the same day.
//! fn schedule(store: &genstore::Store, day: &str) -> genstore::Result<()> {
//!     let mut tx = store.begin()?;
//!     tx.put("schedule", day)?;
//!     tx.put("index", day)?;
//!     tx.commit("schedule")?;
//!     Ok(())
//! }
//!
//! let report = PowerCuts::new().replay(
//!     |machine| {
//!         let store = machine.start()?;
//!         schedule(&store, "monday")?;
//!         machine.reached("monday");
//!         schedule(&store, "friday")?;
//!         machine.reached("friday");
//!         Ok(())
//!     },
//!     |left| {
//!         let files = left.store.snapshot()?;
//!         if files.list("").next().is_none() {
//!             // Nothing is committed, which is right as long as no commit was reported.
//!             return if left.reached.is_empty() { Ok(()) } else { Err("the schedule is gone".into()) };
//!         }
//!         let (day, index) = (files.get("schedule")?, files.get("index")?);
//!         assert_eq!(day, index);
//!         // The store has what was reported last, or the commit after it.
//!         let told = left.reached.last().map_or("", String::as_str);
//!         assert!(told != "friday" || day == b"friday");
//!         Ok(())
//!     },
//! )?;
//! assert!(report.states > 500);
//! # Ok::<(), genstore::sim::Violation>(())
//! ```

use std::any::Any;
use std::collections::HashSet;
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::engine::create::create_on;
use crate::engine::open::open_on;
use crate::error::Result;
use crate::fs::Fs;
use crate::fs::sim::crash_point::CrashPoint;
use crate::fs::sim::disk::Disk;
use crate::fs::sim::{SimFs, Step};
use crate::options::OpenOptions;
use crate::store::Store;
use crate::sync::{Mutex, PoisonError};

/// The result of the application's own code. `?` converts every error into it, and `into()` every
/// text.
pub type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

/// The most states at one operation.
const WAYS_MAX: u64 = 4096;

/// A replay with power cuts. See the [module](self).
#[derive(Clone, Debug)]
#[must_use]
pub struct PowerCuts {
    options: OpenOptions,
    ways: u64,
    seed: u64,
}

impl Default for PowerCuts {
    fn default() -> Self {
        Self { options: OpenOptions::default(), ways: 32, seed: 1 }
    }
}

/// The simulated machine on which the application runs. Its disk is empty at first.
#[derive(Debug)]
pub struct Machine {
    fs: SimFs,
    options: OpenOptions,
    /// Each text that was reached, with the number of operations before it.
    reached: Mutex<Vec<(usize, String)>>,
}

/// What a power cut has left, for the application's check.
#[derive(Debug)]
#[non_exhaustive]
pub struct Left<'a> {
    /// The store, opened after the restart. If the power cut interrupted its creation, the creation
    /// has been completed.
    pub store: Store,
    /// The texts that were [reached](Machine::reached) before the power cut, in that order.
    pub reached: &'a [String],
}

/// The size of a replay in which every check passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The number of operations of the application's commits on the disk.
    pub operations: usize,
    /// The number of distinct states that were checked. Two states differ in the disk or in what
    /// was reached.
    pub states: usize,
}

/// A state in which a rule of the application does not hold. The same commits with the same seed
/// reach the same state again.
///
/// `Debug`, which `unwrap` prints, is also written for a person.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{when}, {}: {reason}", reached_last(reached))]
#[non_exhaustive]
pub struct Violation {
    /// When the power was cut, in words.
    pub when: String,
    /// The error of the application's check, or of opening the store.
    pub reason: String,
    /// The texts that were reached before the power cut, in that order.
    pub reached: Vec<String>,
    /// The files on the disk, each with its length in bytes.
    pub files: Vec<(String, usize)>,
}

fn reached_last(reached: &[String]) -> String {
    reached.last().map_or_else(|| "nothing reached yet".to_owned(), |last| format!("{last:?} reached"))
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}\nreached: {:?}\nfiles that were left:", self.reached)?;
        self.files.iter().try_for_each(|(name, length)| write!(f, "\n  {name} ({length} bytes)"))
    }
}

impl Machine {
    /// Opens the store of this machine, or creates it. Each call stands for another process.
    ///
    /// # Errors
    /// As [`Store::open_or_create`].
    pub fn start(&self) -> Result<Store> {
        start(&self.fs, &self.options)
    }

    /// Records that the application has reported success, so that a user may rely on it. The text
    /// is in [`Left::reached`] of every later power cut.
    pub fn reached(&self, what: impl Into<String>) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.push((self.fs.recorded(), what.into()));
    }
}

/// Checkpoints are written by the thread that commits. A thread of their own would write at another
/// moment in each run.
fn start(fs: &SimFs, options: &OpenOptions) -> Result<Store> {
    let dir = Path::new("simulated");
    let options = || options.clone().checkpoint_thread(false).into();
    let way: Arc<dyn Fs> = Arc::new(fs.clone());
    match open_on(Arc::clone(&way), dir, options()) {
        Err(error) if error.is_missing_store() => {
            create_on(way, dir, options()).map(|(engine, _)| engine.into())
        }
        other => other.map(Store::from),
    }
}

impl PowerCuts {
    /// A replay with the default options, up to 32 states at each operation, and seed 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The options for opening and creating the store.
    pub fn options(mut self, options: OpenOptions) -> Self {
        self.options = options;
        self
    }

    /// The most states to check at each operation, from 1 to 4096. If there are more, the seed
    /// chooses among them. A higher number finds more and takes longer.
    pub fn ways(mut self, ways: u64) -> Self {
        self.ways = ways.clamp(1, WAYS_MAX);
        self
    }

    /// The seed of all random choices.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs `commits` once, then `check` on each state that a power cut can leave behind.
    ///
    /// `commits` should do the same in each replay, so that a failure can be repeated. `check` may
    /// commit too: each state is a disk of its own.
    ///
    /// # Errors
    /// [`Violation`] for the first state in which `check` fails or panics, or the store does not
    /// open. Also when `commits` itself fails, or does not use the simulated disk.
    ///
    /// # Panics
    /// When `commits` panics.
    pub fn replay(
        self,
        commits: impl FnOnce(&Machine) -> Outcome,
        check: impl Fn(&Left<'_>) -> Outcome,
    ) -> std::result::Result<Report, Violation> {
        let fs = SimFs::start(Disk::default(), 1);
        fs.record();
        let machine = Machine { fs, options: self.options.clone(), reached: Mutex::default() };
        let outcome = commits(&machine);
        let last = machine.fs.disk();
        let steps = machine.fs.recording();
        let marks = machine.reached.into_inner().unwrap_or_else(PoisonError::into_inner);
        let reached = |point: usize| -> Vec<String> {
            marks.iter().take_while(|(at, _)| *at <= point).map(|(_, what)| what.clone()).collect()
        };
        outcome.map_err(|error| failure("before any power cut", &*error, reached(steps.len()), &last))?;
        if steps.is_empty() {
            let wrong = "nothing used the simulated disk: does the code commit to a store of Machine::start?";
            return Err(failure("before any power cut", wrong, Vec::new(), &last));
        }
        let mut states = HashSet::new();
        let mut before = None;
        for point in 0..=steps.len() {
            let reached = reached(point);
            let is_changed =
                point.checked_sub(1).and_then(|last| steps.get(last)).is_none_or(|step| step.op.changes());
            if !is_changed && before.as_ref() == Some(&reached) {
                continue;
            }
            let disk = steps.get(point).map_or(&last, |step| &step.before);
            let cut = CrashPoint::new(disk, self.seed ^ point as u64);
            for choice in cut.choices(self.ways) {
                let image = cut.image(&choice);
                if !states.insert((image.hash, reached.len())) {
                    continue;
                }
                self.look(&image.disk, &reached, &check)
                    .map_err(|wrong| failure(&when(&steps, point), &wrong, reached.clone(), &image.disk))?;
            }
            before = Some(reached);
        }
        Ok(Report { operations: steps.len(), states: states.len() })
    }

    fn look(
        &self,
        disk: &Disk,
        reached: &[String],
        check: &impl Fn(&Left<'_>) -> Outcome,
    ) -> std::result::Result<(), String> {
        let store = start(&SimFs::start(disk.clone(), 2), &self.options)
            .map_err(|error| format!("the store does not open: {error}"))?;
        if let Some(report) = store.recovery() {
            return Err(format!("the store opens damaged: {report:?}"));
        }
        let checked = catch_unwind(AssertUnwindSafe(|| {
            check(&Left { store, reached }).map_err(|error| match error.to_string() {
                text if text.is_empty() => "the check fails without a reason".to_owned(),
                text => text,
            })
        }));
        checked.unwrap_or_else(|panic| {
            Err(said(&*panic).unwrap_or_else(|| "the check panics without a message".to_owned()))
        })
    }
}

/// The message of a panic, if it is a text.
pub(crate) fn said(panic: &(dyn Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
}

fn when(steps: &[Step], point: usize) -> String {
    match point.checked_sub(1).and_then(|last| steps.get(last)) {
        None => "the power is cut before the first operation".to_owned(),
        Some(step) => format!("the power is cut after operation {point} of {}, {}", steps.len(), step.op),
    }
}

fn failure(when: &str, reason: &(impl Display + ?Sized), reached: Vec<String>, disk: &Disk) -> Violation {
    Violation { when: when.to_owned(), reason: reason.to_string(), reached, files: disk.tree() }
}
