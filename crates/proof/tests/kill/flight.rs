//! Commands that run and are killed, or end by themselves.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{Sandbox, quiet};
use crate::work::Work;

/// The prefix of the name of an unfinished export.
pub(crate) const HALF_EXPORT: &str = ".genstore-export-";

/// A running command. It ends with the test, even if the test fails.
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
    /// Whether it was still running when it was killed.
    pub(crate) was_killed: bool,
    /// Its output. A killed command may have printed it just before.
    pub(crate) said: Option<Value>,
}

impl Ended {
    /// The generation that it reports.
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

    /// Waits until the command begins its actual work, or has ended. That work starts when it holds
    /// the lock, or when the directory of an export appears. Gives how long this took from the
    /// start.
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

    /// Sleeps until this long after the start.
    fn sleep(&self, delay: Duration) {
        std::thread::sleep(delay.saturating_sub(self.started.elapsed()));
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for the end. A command that was not killed must have succeeded.
    pub(crate) fn end(mut self) -> Ended {
        let mut stdout = String::new();
        let mut stderr = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        let was_killed = status.signal() == Some(9);
        assert!(was_killed || status.success(), "{:?} ended with {status}: {stderr}", self.work);
        assert_eq!(quiet(&stderr), "", "{:?}", self.work);
        // The last line may be incomplete.
        let said = stdout.strip_suffix('\n').map(|line| serde_json::from_str(line).unwrap());
        assert!(was_killed || said.is_some(), "{:?} said nothing", self.work);
        Ended { work: self.work.clone(), index: self.index, message: self.message.clone(), was_killed, said }
    }
}

/// The process that the note in the lock names. It holds the lock, or held it last. The note may be
/// half written.
pub(crate) fn holder(sandbox: &Sandbox) -> Option<u32> {
    let note: Value = serde_json::from_slice(&fs::read(sandbox.store().join("locks/writer")).ok()?).ok()?;
    note["pid"].as_u64()?.try_into().ok()
}

/// Ends all commands. Each is killed after its own delay from its start, or runs to its end without
/// one.
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
    /// The start of a command that runs alone.
    Start,
    /// The start of a command among others.
    StartAmongOthers,
    /// The moment at which the command begins its actual work: see [`Flight::wait_for_work`].
    Work,
}

/// How long each command usually runs, counted from there.
#[derive(Default)]
pub(crate) struct Pace {
    usual: BTreeMap<(&'static str, From), Duration>,
}

impl Pace {
    /// The estimate until one of this kind has been seen.
    const FIRST: Duration = Duration::from_millis(20);
    const LEAST: Duration = Duration::from_micros(200);

    /// Notes how long a command took that ran to its end.
    pub(crate) fn measured(&mut self, work: &Work, from: From, took: Duration) {
        self.usual.insert((work.name(), from), took);
    }

    /// A random moment during such a command.
    pub(crate) fn moment(&self, random: &mut fastrand::Rng, work: &Work, from: From) -> Duration {
        self.usual.get(&(work.name(), from)).unwrap_or(&Self::FIRST).mul_f64(random.f64())
    }

    /// Notes whether a kill came in time. The speed of the machine varies, and the moments must
    /// cover the whole run of the command. So about one kill in five should come too late.
    pub(crate) fn killed(&mut self, work: &Work, from: From, in_time: bool) {
        let usual = self.usual.entry((work.name(), from)).or_insert(Self::FIRST);
        *usual = usual.mul_f64(if in_time { 1.08 } else { 0.75 }).max(Self::LEAST);
    }

    /// The usual times, for people.
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
