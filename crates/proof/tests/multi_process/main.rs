//! Several real processes on one store. Each is this test binary again. An environment variable
//! tells it what to do.
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
mod roles;
mod state;
#[path = "../../../../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use budget::{runs, seed};
use genstore::{HistoryEntry, Store, VerifyOptions, VerifyScope};
use serde::de::DeserializeOwned;
use serde_json::Value;
use state::{BEGINNING, COUNTER, LEFT, Own, RIGHT, SUM, Seen, WRITERS, own};
use support::Place;

/// The task of a worker: its role, two numbers, and the store.
const WORK: &str = "GENSTORE_TEST_WORK";
/// The prefix of the line with the result of a worker.
const TOLD: &str = "told: ";
const READERS: [&str; 4] = ["watch", "watch", "history", "history"];
/// How many commits there are by default. Most are on a store in memory, as durability does not
/// matter here. One in [`ON_DISK`] is on the disk, where a commit takes its usual time.
const COMMITS: u64 = 2_000;
const ON_DISK: u64 = 40;
/// The most commits on one store.
const COMMITS_OF_STORE: u64 = 100_000;

/// This is the other process, not a test. It does nothing unless it gets a task.
#[test]
fn worker() {
    let Ok(work) = std::env::var(WORK) else { return };
    let mut words = work.splitn(4, ' ');
    let mut next = || words.next().unwrap();
    let role = next();
    let number = next().parse().unwrap();
    let count = next().parse().unwrap();
    let dir = Path::new(next());
    let work = || match role {
        "write" => roles::write(dir, number, count),
        "watch" => roles::watch(dir, number),
        "history" => roles::read_history(dir, number),
        "create" => creating::create(dir, number),
        other => panic!("no such role: {other}"),
    };
    // The others must not wait for ever for one that has failed.
    if let Err(failure) = std::panic::catch_unwind(work) {
        fs::write(failed(dir), "").unwrap();
        std::panic::resume_unwind(failure);
    }
}

/// The file that a failed process leaves.
fn failed(dir: &Path) -> PathBuf {
    dir.with_file_name("failed")
}

/// The file that is there once all writers are done.
fn finished(dir: &Path) -> PathBuf {
    dir.with_file_name("finished")
}

/// Prints the result of a worker.
fn tell(what: &Value) {
    println!("{TOLD}{what}");
}

/// Another process. It ends with the test that started it, even if the test fails.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Worker {
    /// Waits for the end. The process must succeed, and may have printed a result.
    fn join(mut self) -> Value {
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.0.wait().unwrap().success(), "seed {}: {said}", seed());
        // The test harness prints before it on the same line.
        let told = said.lines().find_map(|line| line.split_once(TOLD));
        told.map_or(Value::Null, |(_, told)| serde_json::from_str(told).unwrap())
    }
}

fn spawn(place: &Place, role: &str, number: usize, count: u64) -> Worker {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "worker", "--nocapture", "--test-threads", "1"]);
    command.env(WORK, format!("{role} {number} {count} {}", place.store().display()));
    Worker(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

fn check_everything(store: &Store, generations: u64) {
    let options = VerifyOptions::new().scope(VerifyScope::All);
    let report = store.verify(&options).unwrap();
    assert!(report.ok && report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.generations, generations);
}

#[test]
fn eight_writers_and_four_readers_on_one_store() {
    let commits = runs(COMMITS);
    let start = Instant::now();
    let on_disk = (commits / ON_DISK).max(1);
    let mut left = if support::memory().is_some() { commits - on_disk } else { 0 };
    let mut tally = crowd(&Place::new(), commits - left);
    while left > 0 {
        let here = left.min(COMMITS_OF_STORE);
        let more = crowd(&Place::new_in(support::memory().unwrap()), here);
        tally = tally.and(&more);
        left -= here;
    }
    let Tally { commits, conflicts, looks } = tally;
    println!(
        "processes: {commits} commits by {WRITERS} writers, {on_disk} of them on the disk, {} s, 0 violations, seed {}; \
         {conflicts} conflicts, {looks} generations seen by {} readers",
        start.elapsed().as_secs(),
        seed(),
        READERS.len()
    );
    // Processes that run one after the other show nothing.
    assert!(commits < 1000 || (conflicts * 1000 > commits && looks * 100 > commits), "they did not meet");
}

/// What a crowd did.
struct Tally {
    commits: u64,
    conflicts: u64,
    looks: u64,
}

impl Tally {
    const fn and(&self, more: &Self) -> Self {
        Self {
            commits: self.commits + more.commits,
            conflicts: self.conflicts + more.conflicts,
            looks: self.looks + more.looks,
        }
    }
}

/// Lets all processes work on one store. Compares their results with what is there.
fn crowd(place: &Place, commits: u64) -> Tally {
    let store = Store::create(place.store()).unwrap();
    state::begin(&store);
    let readers: Vec<Worker> =
        READERS.iter().enumerate().map(|(number, role)| spawn(place, role, number, 0)).collect();
    let each = commits.div_ceil(WRITERS as u64);
    let commits = each * WRITERS as u64;
    let writers: Vec<Worker> = (0..WRITERS).map(|number| spawn(place, "write", number, each)).collect();
    let written: Vec<Value> = writers.into_iter().map(Worker::join).collect();
    fs::write(finished(&place.store()), "").unwrap();
    let read: Vec<Value> = readers.into_iter().map(Worker::join).collect();

    let last = BEGINNING + commits;
    let told: Vec<Own> =
        written.iter().map(|told| serde_json::from_value(told["own"].clone()).unwrap()).collect();
    let snapshot = store.snapshot().unwrap();
    let seen = Seen::of(&snapshot);
    assert_eq!(
        (seen.generation, &seen.own),
        (last, &told),
        "what was acknowledged is there, and nothing else"
    );
    assert_eq!(written.iter().map(|told| told["last"].as_u64().unwrap()).max(), Some(last));
    assert!(read.iter().all(|told| told["last"] == last), "every reader has seen the last one: {read:?}");
    drop(snapshot);
    replay(place, &store);
    check_everything(&place.open(), last);
    assert_eq!(store.status().unwrap().interrupted, []);
    assert_eq!(support::names(&place.inside("locks")), ["writer"], "no pin is left");
    let sum = |told: &[Value], what: &str| told.iter().map(|told| told[what].as_u64().unwrap()).sum();
    Tally { commits, conflicts: sum(&written, "conflicts"), looks: sum(&read, "generations") }
}

/// Replays the history from the beginning, with the bytes that each generation wrote. Each writer's
/// commits must be there in its own order. Each commit must build on the one before it.
fn replay(place: &Place, store: &Store) {
    let mut history: Vec<HistoryEntry> = store.history().unwrap().map(Result::unwrap).collect();
    history.reverse();
    let mut counter = 0;
    let mut amounts = (SUM, 0);
    let mut latest = BTreeMap::new();
    for entry in history.iter().skip(usize::try_from(BEGINNING).unwrap()) {
        let puts: Vec<&str> = entry.put.iter().map(|path| path.as_str()).collect();
        let writer: usize = entry.message.parse().unwrap();
        let own = own(writer);
        let now: Own = written(place, &own, entry);
        let before = latest.insert(writer, now).unwrap_or_default();
        let counted = now.counted - before.counted;
        assert_eq!(now.commits, before.commits + 1, "{entry:?}");
        if counted == 1 {
            assert_eq!(puts, [COUNTER, &own]);
            assert_eq!(written::<u64>(place, COUNTER, entry), counter + 1, "a lost update: {entry:?}");
            counter += 1;
        } else if puts.len() > 1 {
            assert_eq!(puts, [LEFT, &own, RIGHT]);
            let now: (i64, i64) = (written(place, LEFT, entry), written(place, RIGHT, entry));
            let moved = now.1 - amounts.1;
            assert!((1..10).contains(&moved) && now.0 + moved == amounts.0, "a lost update: {entry:?}");
            amounts = now;
        } else {
            assert_eq!((counted, puts), (0, vec![own.as_str()]));
        }
    }
}

/// The content that a generation wrote under a path.
fn written<T: DeserializeOwned>(place: &Place, path: &str, entry: &HistoryEntry) -> T {
    let file = place.inside(&format!("data/{path}.g{}", entry.generation));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}
