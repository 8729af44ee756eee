//! Commands that run, and are killed or left to end.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{Sandbox, quiet};
use crate::work::Work;

/// How the name of an export begins that is not whole yet.
pub(crate) const HALF_EXPORT: &str = ".genstore-export-";

/// A command that runs. It does not outlive a test that fails.
pub(crate) struct Flight {
    pub(crate) work: Work,
    pub(crate) index: usize,
    pub(crate) message: String,
    child: Child,
    started: Instant,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) work: Work,
    pub(crate) index: usize,
    pub(crate) message: String,
    /// Whether it was running when it was killed.
    pub(crate) was_killed: bool,
    /// What it said: a killed one may have said it just before.
    pub(crate) said: Option<Value>,
}

impl Ended {
    /// The generation that it says it has made.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        let said = self.said.as_ref().filter(|_| self.work.writes())?;
        assert_eq!(said["changed"], true, "{said}");
        Some(said["generation"].as_u64().unwrap())
    }
}

impl Flight {
    pub(crate) fn start(sandbox: &Sandbox, work: Work, index: usize, message: String, more: &[&str]) -> Self {
        let mut words = work.prepare(sandbox, index, &message);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = sandbox.command(&words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let child = command.spawn().unwrap();
        Self { work, index, message, child, started }
    }

    /// Waits until it begins to make what it is for, a generation with the lock or a directory beside the target of an
    /// export, or has ended. Tells how long that is after the start.
    pub(crate) fn wait_for_work(&mut self, sandbox: &Sandbox) -> Duration {
        let is_export = |name: &str| name.starts_with(HALF_EXPORT);
        while self.child.try_wait().unwrap().is_none() {
            let has_begun = match self.work {
                Work::Export { .. } => sandbox.names().iter().any(|name| is_export(name)),
                _ => holder(sandbox) == Some(self.child.id()),
            };
            if has_begun {
                break;
            }
            std::thread::yield_now();
        }
        self.started.elapsed()
    }

    /// Sleeps until so long after the start.
    fn sleep(&self, delay: Duration) {
        std::thread::sleep(delay.saturating_sub(self.started.elapsed()));
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for its end. It must have ended well unless it was killed.
    pub(crate) fn end(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        let was_killed = status.signal() == Some(9);
        assert!(was_killed || status.success(), "{:?} ended with {status}: {stderr}", self.work);
        assert_eq!(quiet(&stderr), "", "{:?}", self.work);
        // The last line may have been cut off.
        let said = stdout.strip_suffix('\n').map(|line| serde_json::from_str(line).unwrap());
        assert!(was_killed || said.is_some(), "{:?} said nothing", self.work);
        Ended { work: self.work.clone(), index: self.index, message: self.message.clone(), was_killed, said }
    }
}

/// Who says in the lock that it has it, or had it last. The note may be half written just now.
pub(crate) fn holder(sandbox: &Sandbox) -> Option<u32> {
    let note: Value = serde_json::from_slice(&fs::read(sandbox.store().join("locks/writer")).ok()?).ok()?;
    note["pid"].as_u64()?.try_into().ok()
}

/// Ends all of them, each killed after its own delay from its start or, without one, left to end.
pub(crate) fn end_all(mut flights: Vec<(Flight, Option<Duration>)>) -> Vec<Ended> {
    let mut order: Vec<usize> = (0..flights.len()).filter(|at| flights[*at].1.is_some()).collect();
    order.sort_by_key(|at| flights[*at].1.map(|delay| flights[*at].0.started + delay));
    for at in order {
        let (flight, delay) = &mut flights[at];
        flight.sleep(delay.unwrap());
        flight.kill();
    }
    flights.into_iter().map(|(flight, _)| flight.end()).collect()
}

/// What the moment of a kill is counted from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum From {
    /// The start of a command that is alone.
    Start,
    /// The start of one among others.
    StartAmongOthers,
    /// The moment at which it begins to make what it is for: see [`Flight::wait_for_work`].
    Work,
}

/// How long each command runs from there on, as far as has been seen.
#[derive(Default)]
pub(crate) struct Pace {
    usual: BTreeMap<(&'static str, From), Duration>,
}

impl Pace {
    /// Until something of this kind has been seen.
    const FIRST: Duration = Duration::from_millis(20);
    const LEAST: Duration = Duration::from_micros(200);

    /// Notes how long one took that was left to end.
    pub(crate) fn measured(&mut self, work: &Work, from: From, took: Duration) {
        self.usual.insert((work.name(), from), took);
    }

    /// A random moment in the run of such a command.
    pub(crate) fn moment(&self, random: &mut fastrand::Rng, work: &Work, from: From) -> Duration {
        self.usual.get(&(work.name(), from)).unwrap_or(&Self::FIRST).mul_f64(random.f64())
    }

    /// Notes whether a kill came in time. The machine is not equally fast at all times, and the moments have to lie
    /// in the whole run of the command, up to its end: so about one kill in five is to be too late.
    pub(crate) fn killed(&mut self, work: &Work, from: From, in_time: bool) {
        let usual = self.usual.entry((work.name(), from)).or_insert(Self::FIRST);
        *usual = usual.mul_f64(if in_time { 1.08 } else { 0.75 }).max(Self::LEAST);
    }

    /// What it has come to, for a person.
    pub(crate) fn told(&self) -> String {
        let of = |((name, from), usual): (&(&str, From), &Duration)| {
            let from = match from {
                From::Start => "",
                From::StartAmongOthers => " among others",
                From::Work => " at work",
            };
            format!("{name}{from} {:.1} ms", usual.as_secs_f64() * 1e3)
        };
        self.usual.iter().map(of).collect::<Vec<_>>().join(", ")
    }
}
