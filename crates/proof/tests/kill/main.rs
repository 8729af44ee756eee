//! The command is killed at random moments. The store is then at the last acknowledged generation,
//! or at the one that was being committed, whole. Nothing hinders the next command.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    clippy::disallowed_methods
)]

#[path = "../../src/budget.rs"]
mod budget;
mod creating;
mod flight;
mod holder;
mod model;
#[path = "../../../cli/tests/sandbox/mod.rs"]
mod sandbox;
#[path = "../../../../tests/support/mod.rs"]
mod support;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use budget::{runs, seed};
use flight::{Ended, Flight, From, HALF_EXPORT, Pace, end_all};
use genstore::Store;
use model::{Left, Model, assert_same_files};
use sandbox::Sandbox;
use work::{State, Work};

const ROUNDS: u64 = 60;
/// How many rounds one store serves. A full check takes longer with a longer history, so a long run
/// creates new stores.
const ROUNDS_OF_LIFE: u64 = 50;
/// One store in this many is on the disk. The others are in memory, if the system offers that.
const ON_DISK: u64 = 4;
/// How many rounds there are between two checks of every byte of every generation.
const VERIFY_EVERY: u64 = 20;

/// Prints where a failed test was.
struct Where(String);

impl Drop for Where {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed: {}", self.0);
        }
    }
}

/// What happened in all rounds.
#[derive(Default, Debug)]
struct Tally {
    kills: u64,
    /// Kills of a process that was still running.
    in_time: u64,
    /// Interrupted commits that were left.
    interrupted: u64,
    /// Generations that are there, although the command was killed before it could report them.
    unacknowledged: u64,
    /// Unfinished exports that were left under names of their own.
    half_exports: u64,
}

#[test]
fn killed_commands_leave_the_last_acknowledged_generation_or_the_next() {
    let rounds = runs(ROUNDS);
    let seed = seed();
    let start = Instant::now();
    let mut pace = Pace::default();
    let mut tally = Tally::default();
    for life in 0..rounds.div_ceil(ROUNDS_OF_LIFE) {
        let rounds = ROUNDS_OF_LIFE.min(rounds - life * ROUNDS_OF_LIFE);
        Life::new(seed, life, &mut pace, &mut tally).live(rounds);
    }
    let Tally { kills, in_time, interrupted, unacknowledged, half_exports } = tally;
    println!(
        "kill: {rounds} rounds, {} s, 0 violations, seed {seed}; {kills} kills, {in_time} of a running process; left \
         {interrupted} interrupted commits, {unacknowledged} whole generations that no command reported, and \
         {half_exports} unfinished exports under names of their own",
        start.elapsed().as_secs()
    );
    println!("kill: kills are spread over: {}", pace.told());
    // A kill that comes too early or too late shows nothing.
    assert!(in_time * 2 > kills, "too few kills met a process that was running: {in_time} of {kills}");
    assert!(
        interrupted * 50 > rounds,
        "too few kills left an interrupted commit: {interrupted} in {rounds} rounds"
    );
}

/// A place for a store. On a disk most of a commit is waiting for fsyncs, so most kills fall there.
/// In memory they fall between the writes.
fn sandbox(number: u64) -> Sandbox {
    match support::memory().filter(|_| !number.is_multiple_of(ON_DISK)) {
        Some(memory) => Sandbox::new_in(memory),
        None => Sandbox::new(),
    }
}

/// One store and its history.
struct Life<'a> {
    sandbox: Sandbox,
    random: fastrand::Rng,
    /// A handle that stays open all the time.
    handle: Store,
    model: Model,
    pace: &'a mut Pace,
    tally: &'a mut Tally,
    place: Where,
}

impl<'a> Life<'a> {
    fn new(seed: u64, life: u64, pace: &'a mut Pace, tally: &'a mut Tally) -> Self {
        let sandbox = sandbox(life);
        sandbox.ok(&["init"]);
        let handle = Store::open(sandbox.store()).unwrap();
        let model = Model::new(handle.dir());
        let random = fastrand::Rng::with_seed(seed ^ (life << 32));
        let place = Where(format!("seed {seed}, store {life}"));
        let mut this = Self { sandbox, random, handle, model, pace, tally, place };
        this.measure();
        this
    }

    /// Lets one command of each kind end, and notes how long it took.
    fn measure(&mut self) {
        let put = Work::Put { path: "first".into(), bytes: b"1".as_slice().into() };
        let files: State = (0..20).map(|n| (n.to_string(), Arc::from(n.to_string().as_bytes()))).collect();
        let commit = Work::Commit { into: None, prune: false, files };
        let export = Work::Export { at: 1, into_empty: false };
        for work in [put, commit, Work::Rollback { to: 2 }, export, Work::Verify] {
            let start = Instant::now();
            let message = format!("first {}", work.name());
            let ended = Flight::start(&self.sandbox, work, 0, message, &[]).end();
            self.pace.measured(&ended.work, From::Start, start.elapsed());
            self.settle(&[ended]);
        }
    }

    fn live(mut self, rounds: u64) {
        let told = self.place.0.clone();
        for round in 0..rounds {
            self.place.0 = format!("{told}, round {round}");
            self.round(round);
            if (round + 1) % VERIFY_EVERY == 0 {
                self.model.verify(&self.sandbox);
            }
        }
        self.model.verify(&self.sandbox);
    }

    fn round(&mut self, round: u64) {
        let alone = self.random.u32(0..4) > 0;
        let processes = if alone { 1 } else { self.random.usize(2..6) };
        let mut flights = Vec::new();
        let mut kinds = Vec::new();
        for index in 0..processes {
            let work = Work::choose(&mut self.random, &self.model.states, index, alone);
            let from = match alone {
                false => From::StartAmongOthers,
                // Most of a run passes before the actual work, and the work matters more.
                true if !matches!(work, Work::Verify) && self.random.bool() => From::Work,
                true => From::Start,
            };
            let is_killed = alone || self.random.u32(0..4) > 0;
            let moment = self.pace.moment(&mut self.random, &work, from);
            let mut flight =
                Flight::start(&self.sandbox, work, index, format!("round {round} process {index}"), &[]);
            let waited =
                if from == From::Work { flight.wait_for_work(&self.sandbox) } else { Duration::ZERO };
            flights.push((flight, is_killed.then(|| waited + moment)));
            kinds.push(is_killed.then_some(from));
        }
        let ended = end_all(flights);
        let done = self.settle(&ended);
        for (ended, from) in ended.iter().zip(kinds) {
            let Some(from) = from else { continue };
            self.tally.kills += 1;
            self.tally.in_time += u64::from(ended.was_killed);
            let in_time = if from == From::Work { !done.contains(&ended.index) } else { ended.was_killed };
            self.pace.killed(&ended.work, from, in_time);
        }
        self.model.check_any(&mut self.random, &self.handle);
        // Sometimes the next killed command finds what this one left.
        if self.random.u32(0..4) > 0 {
            let work = Work::Put { path: "probe".into(), bytes: round.to_string().into_bytes().into() };
            let message = format!("probe {round}");
            let next = Flight::start(&self.sandbox, work, 0, message, &["--lock-wait", "0"]).end();
            self.settle(&[next]);
        }
    }

    /// Checks everything against what these commands may have done. Gives those that have done it.
    fn settle(&mut self, ended: &[Ended]) -> BTreeSet<usize> {
        let Left { mut done, interrupted, unacknowledged } = self.model.check(&self.handle, ended);
        self.tally.interrupted += interrupted;
        self.tally.unacknowledged += unacknowledged;
        self.model.check_status(&self.sandbox);
        for ended in ended {
            if let Work::Export { at, into_empty } = ended.work
                && self.check_export(ended, at, into_empty)
            {
                done.insert(ended.index);
            }
        }
        for name in self.sandbox.names() {
            if name.starts_with(HALF_EXPORT) {
                fs::remove_dir_all(self.sandbox.path(name)).unwrap();
                self.tally.half_exports += 1;
            } else {
                assert!(name == "store" || name.starts_with("source-"), "{name} was left");
            }
        }
        done
    }

    /// The directory of an export is whole, or it is as it was before, and the same export then
    /// works at once. Gives whether it is whole.
    fn check_export(&self, ended: &Ended, at: u64, into_empty: bool) -> bool {
        let target = self.sandbox.path(format!("target-{}", ended.index));
        let expected = &self.model.states[&at];
        let check = |found| assert_same_files(&found, expected, &format!("export of {at}"));
        let is_whole = match read_dir(&target) {
            Some(found) if !into_empty || !found.is_empty() => {
                check(found);
                true
            }
            found => {
                assert_eq!(found.is_some(), into_empty, "{ended:?}");
                assert!(ended.was_killed || expected.is_empty(), "nothing was exported: {ended:?}");
                self.sandbox.ok(&["export", target.to_str().unwrap(), "--at", &at.to_string()]);
                check(read_dir(&target).unwrap());
                false
            }
        };
        fs::remove_dir_all(target).unwrap();
        is_whole
    }
}

/// Path and content of all files in a directory, `None` if it does not exist.
fn read_dir(dir: &Path) -> Option<State> {
    let tree = dir.exists().then(|| sandbox::tree(dir))?;
    let files: BTreeMap<_, _> = tree.into_iter().filter_map(|(name, bytes)| Some((name, bytes?))).collect();
    Some(
        files
            .into_iter()
            .map(|(name, bytes)| (name.into_os_string().into_string().unwrap(), bytes.into()))
            .collect(),
    )
}
