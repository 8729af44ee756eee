//! Crash kit: an application's own commits, with the power cut at every operation (feature `sim`).
//!
//! [`PowerCuts::replay`] runs the application once on a simulated disk and takes down every operation. Then it cuts the
//! power before each of them and after the last, looks at what the disk can be left like, starts the machine again,
//! opens the store and hands it to the application, which says whether its own rules hold.
//!
//! The disk is the weakest that POSIX permits: the bytes of a file, its length and each name in a directory last only
//! from the fsync on that promises them. What was not fsynced is kept, lost, cut off, zeroed or replaced with garbage,
//! in every combination where there are few. `docs/internals/testing.md` says more of it; genstore itself is tested on it.
//!
//! What this shows is whether files that belong together are committed together, whether what was acknowledged to somebody
//! was durable by then, and whether the application starts again. genstore answers for a single commit. So what is found
//! is mostly that one change was made in two.
//!
//! ```toml
//! [dev-dependencies]
//! genstore = { version = "0.1", features = ["sim"] }
//! ```
//!
//! What commits has to take a [`Store`] that it is given, as the one of [`Machine::start`] is on the simulated disk. In the
//! first states nothing is committed yet: the store is empty, at generation 1.
//!
//! There is one power cut in each state, and no operation fails. Time passes only by operations and by waiting, and no
//! waiting takes any: whoever waits for a lock of another thread has waited in vain at once, so commits and checks are to use
//! one thread. Everything is in memory, and a file that is written in pieces is kept as it was after each piece of 64 KiB:
//! files of some megabytes are too large for it.
//!
//! ```
//! use genstore::sim::PowerCuts;
//!
//! // The application: a schedule and an index of it, which have to name the same day.
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
//!             // Nothing was committed, which is right as long as nobody was told of a commit.
//!             return if left.reached.is_empty() { Ok(()) } else { Err("the schedule is gone".into()) };
//!         }
//!         let (day, index) = (files.get("schedule")?, files.get("index")?);
//!         assert_eq!(day, index);
//!         // What was reached is there, or what was being committed after it.
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
use crate::store::{OpenOptions, Store};
use crate::sync::{Mutex, PoisonError};

/// What the application's own code comes to. Every error and every text becomes one of these with `?` or `into()`.
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

/// The machine on which the application runs, with a disk that is empty at first.
#[derive(Debug)]
pub struct Machine {
    fs: SimFs,
    options: OpenOptions,
    /// What was reached, and the number of operations before it.
    reached: Mutex<Vec<(usize, String)>>,
}

/// What the application finds after a power cut.
#[derive(Debug)]
#[non_exhaustive]
pub struct Left<'a> {
    /// The store as it opens when the machine has started again. Where its making was cut short, it has been made.
    pub store: Store,
    /// What had been [reached](Machine::reached) when the power was cut, in that order.
    pub reached: &'a [String],
}

/// What was looked at, and found right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The operations that the application's commits made on the disk.
    pub operations: usize,
    /// The distinct states of the disk, with what had been reached.
    pub states: usize,
}

/// A state in which a rule does not hold. The same commits with the same seed come to the same state again.
///
/// `Debug`, which is what `unwrap` prints, is for reading too.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{when}, {}: {reason}", reached_last(reached))]
#[non_exhaustive]
pub struct Violation {
    /// When the power was cut, in words.
    pub when: String,
    /// What the application, or the opening of the store, said of what was left.
    pub reason: String,
    /// What had been reached.
    pub reached: Vec<String>,
    /// The files that were left, each with its length in bytes.
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
    /// Opens the store of this machine, or makes it. May be called more than once: each call is another process.
    ///
    /// # Errors
    /// As those of [`Store::open_or_create`].
    pub fn start(&self) -> Result<Store> {
        start(&self.fs, &self.options)
    }

    /// Says that the application has got so far that somebody may rely on it. It stands in [`Left::reached`] of every
    /// power cut from now on.
    pub fn reached(&self, what: impl Into<String>) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.push((self.fs.recorded(), what.into()));
    }
}

/// Checkpoints are written by whoever commits: a thread of its own would come at another moment in each run.
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
    /// With the usual options, up to 32 states at each operation, and seed 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The options with which the store is opened and made.
    pub fn options(mut self, options: OpenOptions) -> Self {
        self.options = options;
        self
    }

    /// The most states that are looked at at each operation: all where there are no more, else so many that the seed
    /// chooses. More find more, and take longer. What is below 1 or above 4096 is taken for that.
    pub fn ways(mut self, ways: u64) -> Self {
        self.ways = ways.clamp(1, WAYS_MAX);
        self
    }

    /// What everything is chosen by that is left to chance.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Runs `commits` once, and `check` on every state that a power cut can leave of it.
    ///
    /// `commits` runs once, and has to do the same in each replay for a failure to come again. `check` may commit, too: each
    /// state is a disk of its own.
    ///
    /// # Errors
    /// [`Violation`] for the first state in which `check` fails or panics or the store does not open, when `commits` itself
    /// fails, and when it asks nothing of the simulated disk.
    ///
    /// # Panics
    /// When `commits` does.
    pub fn replay(
        self,
        saves: impl FnOnce(&Machine) -> Outcome,
        check: impl Fn(&Left<'_>) -> Outcome,
    ) -> std::result::Result<Report, Violation> {
        let fs = SimFs::start(Disk::default(), 1);
        fs.record();
        let machine = Machine { fs, options: self.options.clone(), reached: Mutex::default() };
        let outcome = saves(&machine);
        let (last, steps) = (machine.fs.disk(), machine.fs.recording());
        let marks = machine.reached.into_inner().unwrap_or_else(PoisonError::into_inner);
        let reached = |point: usize| -> Vec<String> {
            marks.iter().take_while(|(at, _)| *at <= point).map(|(_, what)| what.clone()).collect()
        };
        outcome.map_err(|error| failure("before any power cut", &*error, reached(steps.len()), &last))?;
        if steps.is_empty() {
            let wrong = "nothing was asked of this disk: are the commits made to a store of Machine::start?";
            return Err(failure("before any power cut", wrong, Vec::new(), &last));
        }
        let (mut states, mut before) = (HashSet::new(), None);
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
                text if text.is_empty() => "the check fails, and gives no reason".to_owned(),
                text => text,
            })
        }));
        checked.unwrap_or_else(|panic| {
            Err(said(&*panic).unwrap_or_else(|| "the check panics, and gives no reason".to_owned()))
        })
    }
}

/// What a panic was told, if that is a text.
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
