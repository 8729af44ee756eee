//! Several real processes on one store. Each is this test binary again, told by an environment variable what to do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    clippy::disallowed_methods
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use genstore::{ErrorKind, Generation, Store, VerifyOptions, VerifyScope};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use support::{Place, g, refused, save, state, state_of, text};

/// What a worker is to do: its role, the store, and a number.
const WORK: &str = "GENSTORE_TEST_WORK";
const PROCESSES: usize = 8;
const COMMITS: usize = 200;
/// The files of which every generation of a [`restless`] writer holds the same text.
const EQUALS: usize = 30;

/// Not a test but the other processes: it does nothing unless it is told to.
#[test]
fn worker() {
    let Ok(work) = std::env::var(WORK) else { return };
    let mut words = work.splitn(3, ' ');
    let (role, number, dir) =
        (words.next().unwrap(), words.next().unwrap(), Path::new(words.next().unwrap()));
    let number: usize = number.parse().unwrap();
    let work = || match role {
        "own" => own(dir, number),
        "count" => count(dir),
        "move" => move_amounts(dir, number),
        "watch" => watch(dir, number),
        "restless" => restless(dir),
        "make" => make(dir, number),
        other => panic!("no such role: {other}"),
    };
    // The others must not wait for ever for what this one will not do any more.
    if let Err(failure) = std::panic::catch_unwind(work) {
        fs::write(failed(dir), "").unwrap();
        std::panic::resume_unwind(failure);
    }
}

/// What a process leaves that failed.
fn failed(dir: &Path) -> PathBuf {
    dir.with_file_name("failed")
}

/// Another process, which does not outlive the test that began it, even when that fails.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Worker {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Ends it without giving it a chance to do anything more.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().unwrap())
    }
}

fn spawn(place: &Place, role: &str, number: usize) -> Worker {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "worker", "--nocapture", "--test-threads", "1"]);
    command.env(WORK, format!("{role} {number} {}", place.store().display()));
    Worker(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// Waits for processes that have to end well.
fn join(workers: Vec<Worker>) {
    for mut worker in workers {
        let mut said = String::new();
        worker.output().read_to_string(&mut said).unwrap();
        worker.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(worker.0.wait().unwrap().success(), "{said}");
    }
}

fn generations(store: &Store) -> Vec<Generation> {
    store.history().unwrap().map(|entry| entry.unwrap().generation).collect()
}

fn check_everything(store: &Store, generations: u64) {
    let options = VerifyOptions { scope: VerifyScope::All, ..VerifyOptions::default() };
    let report = store.verify(&options).unwrap();
    assert!(report.ok, "{:?}", report.findings);
    assert_eq!(report.generations, generations);
}

/// Saves its own file, another text each time.
fn own(dir: &Path, number: usize) {
    let store = Store::open(dir).unwrap();
    for commit in 0..COMMITS {
        assert!(save(&store, &[(&format!("own/{number}"), &commit.to_string())]).changed);
    }
}

#[test]
fn eight_processes_save_their_own_files() {
    let (place, store) = Place::with_store();
    join((0..PROCESSES).map(|number| spawn(&place, "own", number)).collect());
    let saves = PROCESSES * COMMITS;
    let history: Vec<_> = store.history().unwrap().map(Result::unwrap).collect();
    assert_eq!(history.len(), 1 + saves, "one new generation for every commit, and none for anything else");
    assert!(
        history.is_sorted_by(|newer, older| newer.generation > older.generation && newer.time >= older.time)
    );
    // Each process finds its own saves in its own order, and every file that any of them wrote is there.
    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in history.iter().rev().filter(|entry| entry.parent.is_some()) {
        let [path] = entry.put.as_slice() else { panic!("{entry:?}") };
        let written = place.inside(&format!("data/{path}.g{}", entry.generation));
        order.entry(path.to_string()).or_default().push(fs::read_to_string(written).unwrap());
    }
    assert_eq!(order.len(), PROCESSES);
    let expected: Vec<String> = (0..COMMITS).map(|commit| commit.to_string()).collect();
    assert!(order.values().all(|texts| *texts == expected), "{order:?}");
    check_everything(&place.open(), 1 + saves as u64);
    for entry in history.iter().step_by(100) {
        let snapshot = store.snapshot_at(entry.generation).unwrap();
        assert_eq!((snapshot.files(), state_of(&snapshot).len() as u64), (entry.files, entry.files));
    }
    let expected =
        (0..PROCESSES).map(|number| (format!("own/{number}"), (COMMITS - 1).to_string())).collect();
    assert_eq!(state(&store), expected);
    assert_eq!(store.status().unwrap().interrupted, []);
    assert_eq!(support::names(&place.inside("locks")), ["writer"], "no pin is left");
}

/// Adds one to a shared number, again and again, each time from what it has read.
fn count(dir: &Path) {
    let store = Store::open(dir).unwrap();
    for _ in 0..COMMITS {
        loop {
            let mut tx = store.begin().unwrap();
            let value: u64 = tx.get_json("counter.json").unwrap();
            tx.put_json("counter.json", &(value + 1)).unwrap();
            match tx.commit("one more") {
                Ok(commit) => {
                    assert!(commit.changed);
                    break;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
            }
        }
    }
}

#[test]
fn eight_processes_increment_one_counter() {
    let (place, store) = Place::with_commits(&[&[("counter.json", "0")]]);
    join((0..PROCESSES).map(|number| spawn(&place, "count", number)).collect());
    assert_eq!(
        store.snapshot().unwrap().get_json::<u64>("counter.json").unwrap(),
        (PROCESSES * COMMITS) as u64
    );
    let history = generations(&store);
    assert_eq!(history.len(), 2 + PROCESSES * COMMITS);
    assert!(history.is_sorted_by(|newer, older| newer > older));
    check_everything(&place.open(), history.len() as u64);
}

const MOVES: usize = 40;
const MOVERS: usize = 2;
const SUM: i64 = 1000;

fn read_amounts(get: &mut dyn FnMut(&str) -> i64) -> (i64, i64) {
    (get("left.json"), get("right.json"))
}

/// Moves some amount from one file to another.
fn move_amounts(dir: &Path, number: usize) {
    let store = Store::open(dir).unwrap();
    for step in 0..MOVES {
        loop {
            let mut tx = store.begin().unwrap();
            let (left, right) = read_amounts(&mut |path| tx.get_json(path).unwrap());
            assert_eq!(left + right, SUM);
            let amount = i64::try_from(1 + number + step % 7).unwrap();
            tx.put_json("left.json", &(left - amount)).unwrap();
            tx.put_json("right.json", &(right + amount)).unwrap();
            match tx.commit("move") {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
            }
        }
    }
}

/// Reads both files until the last generation is there: from a handle that stays open, from one that is opened each
/// time, and from an old snapshot.
fn watch(dir: &Path, last: usize) {
    let store = Store::open(dir).unwrap();
    let old = store.snapshot().unwrap();
    let before = read_amounts(&mut |path| old.get_json(path).unwrap());
    let mut newest = old.generation();
    loop {
        for store in [&store, &Store::open(dir).unwrap()] {
            assert_eq!(store.recovery(), None);
            let snapshot = store.snapshot().unwrap();
            let (left, right) = read_amounts(&mut |path| snapshot.get_json(path).unwrap());
            assert_eq!(left + right, SUM, "two generations at once");
            assert!(snapshot.generation() >= newest, "time does not go backwards");
            newest = snapshot.generation();
        }
        assert_eq!(read_amounts(&mut |path| old.get_json(path).unwrap()), before);
        if newest.get() >= last as u64 {
            return;
        }
        assert!(!failed(dir).exists(), "another process failed");
    }
}

#[test]
fn readers_never_see_two_generations_at_once() {
    let (place, store) = Place::with_commits(&[&[("left.json", "1000"), ("right.json", "0")]]);
    let last = 2 + MOVERS * MOVES;
    let mut workers: Vec<Worker> = (0..3).map(|_| spawn(&place, "watch", last)).collect();
    workers.extend((0..MOVERS).map(|number| spawn(&place, "move", number)));
    join(workers);
    assert_eq!(store.snapshot().unwrap().generation(), g(last as u64));
    assert_eq!(support::names(&place.inside("locks")), ["writer"], "no pin is left");
}

/// Saves all its files with one number, then with the next, and tells of each that is saved, until it is killed.
fn restless(dir: &Path) {
    let store = Store::open(dir).unwrap();
    let mut number = text(&store, "equal/0").parse::<u64>().unwrap();
    loop {
        number += 1;
        let mut tx = store.begin().unwrap();
        for file in 0..EQUALS {
            tx.put(&format!("equal/{file}"), number.to_string()).unwrap();
        }
        match tx.commit("all together") {
            Ok(commit) => println!("saved {} {number}", commit.generation),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
        }
        std::io::stdout().flush().unwrap();
    }
}

/// A store for a restless writer.
fn place_of_equals() -> (Place, Store) {
    let (place, store) = Place::with_store();
    let mut tx = store.begin().unwrap();
    for file in 0..EQUALS {
        tx.put(&format!("equal/{file}"), "0").unwrap();
    }
    tx.commit("begin").unwrap();
    (place, store)
}

/// The number that all files have.
fn equal(store: &Store) -> u64 {
    let state = state(store);
    let numbers: BTreeSet<&String> =
        state.iter().filter(|(path, _)| path.starts_with("equal/")).map(|(_, text)| text).collect();
    assert_eq!(numbers.len(), 1, "a mixture of generations: {state:?}");
    numbers.first().unwrap().parse().unwrap()
}

/// Stops a restless writer in the middle of a commit: while it holds the writer lock.
fn stop_as_holder(place: &Place, worker: &mut Worker) {
    let lock = File::options().read(true).write(true).open(place.inside("locks/writer")).unwrap();
    let is_held = || match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).unwrap();
            false
        }
        Err(error) => {
            assert_eq!(error, rustix::io::Errno::WOULDBLOCK);
            true
        }
    };
    loop {
        assert!(worker.0.try_wait().unwrap().is_none(), "the writer ended by itself");
        if is_held() {
            worker.signal(Signal::STOP);
            let (_, status) = waitpid(Some(worker.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
            assert!(status.stopped(), "{status:?}");
            if is_held() {
                return;
            }
            worker.signal(Signal::CONT);
        }
    }
}

/// Reads the output of a restless writer until it has saved this often, and gives what it saved last.
fn saves(output: &mut impl BufRead, times: usize) -> (u64, u64) {
    let mut last = None;
    let mut seen = 0;
    while seen < times {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the writer ended by itself");
        last = parse(&line).or(last);
        seen += usize::from(parse(&line).is_some());
    }
    last.unwrap()
}

fn parse(line: &str) -> Option<(u64, u64)> {
    // The test harness prints in front of the first one.
    let (_, rest) = line.trim_end().rsplit_once("saved ")?;
    let (generation, number) = rest.split_once(' ')?;
    Some((generation.parse().ok()?, number.parse().ok()?))
}

#[test]
fn a_killed_holder_of_the_lock_blocks_nobody() {
    let (place, store) = place_of_equals();
    let hasty = Store::options().lock_wait(Duration::ZERO).open(place.store()).unwrap();
    for round in 0..10 {
        let mut worker = spawn(&place, "restless", 0);
        let mut output = worker.output();
        saves(&mut output, 2);
        stop_as_holder(&place, &mut worker);
        worker.kill();
        let before = store.snapshot().unwrap().generation();
        equal(&store);
        let begun = store.status().unwrap().interrupted;
        let commit = save(&hasty, &[("mine", &round.to_string())]);
        assert!(commit.changed && commit.generation > before);
        assert!(
            begun.iter().all(|generation| *generation < commit.generation),
            "{begun:?} and then {commit:?}"
        );
        assert_eq!(store.entry("latest").unwrap().parent, Some(before));
    }
    check_everything(&place.open(), store.history().unwrap().count() as u64);
}

#[test]
fn a_writer_killed_at_any_moment_leaves_the_last_acknowledged_generation_or_the_next() {
    let (place, store) = place_of_equals();
    for round in 0..20 {
        let mut worker = spawn(&place, "restless", 0);
        let mut output = worker.output();
        saves(&mut output, 1 + round % 3);
        worker.kill();
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        let acknowledged = rest.lines().filter_map(parse).next_back();
        let (generation, number) = (store.snapshot().unwrap().generation().get(), equal(&store));
        if let Some((last, numbered)) = acknowledged {
            assert!(
                generation >= last && (numbered..=numbered + 1).contains(&number),
                "{last} {numbered}, found {generation} {number}"
            );
        }
        assert_eq!(place.open().recovery(), None);
    }
    check_everything(&place.open(), store.history().unwrap().count() as u64);
    assert!(save(&store, &[("equal/0", "and on")]).changed);
}

#[test]
fn a_stopped_holder_is_named_and_readers_do_not_wait_for_it() {
    let (place, store) = place_of_equals();
    let mut worker = spawn(&place, "restless", 0);
    let mut output = worker.output();
    saves(&mut output, 2);
    stop_as_holder(&place, &mut worker);
    let hasty = Store::options().lock_wait(Duration::from_millis(50)).open(place.store()).unwrap();
    let mut tx = hasty.begin().unwrap();
    tx.put("mine", "1").unwrap();
    let error = refused(tx.commit("while it is held"), ErrorKind::Busy);
    let holder = error.holder().expect("the holder left a note");
    assert_eq!(holder.pid, worker.0.id());
    assert!(
        error.to_string().contains(&worker.0.id().to_string()) && error.to_string().contains(&holder.host),
        "{error}"
    );
    assert!(std::env::current_exe().unwrap().ends_with(&holder.program));

    // Whoever reads, opens, checks or lists is not kept from it.
    let before = equal(&place.open());
    assert_eq!(equal(&store), before);
    assert!(store.history().unwrap().count() >= 4);
    assert!(store.status().unwrap().interrupted.len() <= 1);
    assert!(store.verify(&VerifyOptions::default()).unwrap().ok);

    // Once it goes on, so does everybody else.
    worker.signal(Signal::CONT);
    assert!(save(&store, &[("mine", "2")]).changed);
    assert_eq!(text(&hasty, "mine"), "2");
    saves(&mut output, 1);
    worker.kill();
    equal(&store);
}

/// Makes or opens one store after another, all processes beginning with each at the same time.
fn make(dir: &Path, number: usize) {
    for round in 0..ROUNDS {
        fs::write(dir.join(format!("ready-{round}-{number}")), "").unwrap();
        // A process that spins is at the start at once, and one that sleeps is not.
        while !(0..MAKERS).all(|other| dir.join(format!("ready-{round}-{other}")).exists()) {
            assert!(!failed(dir).exists(), "another process failed");
            std::thread::yield_now();
        }
        let store = Store::open_or_create(dir.join(format!("store-{round}"))).unwrap();
        save(&store, &[(&format!("from/{number}"), &number.to_string())]);
    }
}

const MAKERS: usize = 4;
const ROUNDS: usize = 25;

#[test]
fn four_processes_make_one_store() {
    let place = Place::new();
    fs::create_dir(place.store()).unwrap();
    join((0..MAKERS).map(|number| spawn(&place, "make", number)).collect());
    for round in 0..ROUNDS {
        let store = Store::open(place.inside(&format!("store-{round}"))).unwrap();
        assert_eq!(store.snapshot().unwrap().files(), MAKERS as u64, "nobody's save is lost");
        assert_eq!(generations(&store).last(), Some(&g(1)));
        check_everything(&store, 1 + MAKERS as u64);
    }
}
