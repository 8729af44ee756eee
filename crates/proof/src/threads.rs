//! The threads of a process, in many orders. At every use of a lock, of an atomic and of the disk
//! another thread may go on. `docs/internals/testing.md` says how to run it.

mod commits;
mod reads;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, ReplayScheduler, RoundRobinScheduler};
use shuttle::{Config, Runner};

use super::world::{State, contents};
use crate::engine::create::create_on;
use crate::engine::open::open_on;
use crate::error::Result;
use crate::format::names::{LOCKS, STAGING};
use crate::fs::Fs;
use crate::fs::sim::SimFs;
use crate::fs::sim::crash_point::CrashPoint;
use crate::fs::sim::disk::Disk;
use crate::options::OpenOptions;
use crate::proof::budget;
use crate::revision::Generation;
use crate::store::Store;
use crate::sync::Mutex;
use crate::transaction::Commit;
use crate::verify::{VerifyOptions, VerifyScope};

/// In how many orders each scenario runs.
const ORDERS: u64 = 1_000;
/// How often the PCT scheduler interrupts a thread that could go on.
const TURNS_TAKEN: usize = 4;

fn config() -> Config {
    let mut config = Config::new();
    // Hashing and JSON need more stack than `shuttle` gives a thread by default.
    config.stack_size = 1 << 19;
    config.silence_warnings = true;
    config
}

/// Runs a scenario in many orders of its threads. In half of them a random thread goes on at each
/// moment. In the other half few changes of priority decide. If the environment gives a schedule,
/// only that order runs.
#[expect(
    clippy::disallowed_methods,
    reason = "the elapsed time is printed, and the environment may give a schedule"
)]
fn explore(name: &str, scenario: impl Fn() + Send + Sync + 'static) {
    if let Ok(schedule) = std::env::var("GENSTORE_PROVE_SCHEDULE") {
        Runner::new(ReplayScheduler::new_from_encoded(&schedule), config()).run(scenario);
        return;
    }
    let runs = budget::runs(ORDERS);
    let seed = budget::seed();
    let start = std::time::Instant::now();
    let told = Told(format!("seed {seed}, {runs} runs: {name}"));
    let each = usize::try_from(runs.div_ceil(2)).unwrap();
    let scenario = Arc::new(scenario);
    let again = Arc::clone(&scenario);
    Runner::new(RandomScheduler::new_from_seed(seed, each), config()).run(move || scenario());
    Runner::new(PctScheduler::new_from_seed(seed, TURNS_TAKEN, each), config()).run(move || again());
    std::mem::forget(told);
    let seconds = start.elapsed().as_secs();
    println!("threads: {name}: {} orders, {seconds} s, 0 violations, seed {seed}", 2 * each);
}

/// Runs a scenario of few moments in every order of its threads. There must be more than `least`.
#[expect(clippy::disallowed_methods, reason = "the elapsed time is printed")]
fn explore_all(name: &str, least: usize, scenario: impl Fn() + Send + Sync + 'static) {
    let start = std::time::Instant::now();
    let orders = Runner::new(DfsScheduler::new(None, false), config()).run(scenario);
    println!("threads: {name}: all {orders} orders, {} s, 0 violations", start.elapsed().as_secs());
    assert!(orders > least, "{orders} orders");
}

/// Tells what was going on when a scenario failed.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        println!("threads: violation, {}", self.0);
    }
}

/// Prepares the disk with which every order begins.
fn prepared(make: impl Fn() -> SimFs + Send + Sync + 'static) -> Disk {
    // This is outside of the schedule, so it is not the lock of `sync`.
    let disk = Arc::new(std::sync::Mutex::new(None));
    let made = Arc::clone(&disk);
    Runner::new(RoundRobinScheduler::new(1), config()).run(move || {
        let fs = make();
        *made.lock().unwrap() = Some(fs.disk());
    });
    disk.lock().unwrap().take().unwrap()
}

fn options() -> OpenOptions {
    OpenOptions::default().author("proof").lock_wait(Duration::from_secs(86_400))
}

fn open_with(fs: &SimFs, options: OpenOptions) -> Store {
    let way: Arc<dyn Fs> = Arc::new(fs.clone());
    open_on(way, std::path::Path::new("simulated"), options.into()).unwrap().into()
}

fn open(fs: &SimFs) -> Store {
    open_with(fs, options())
}

/// Commits these paths with this content.
fn commit(store: &Store, paths: &[&str], content: &str) -> Result<Commit> {
    let mut tx = store.begin()?;
    paths.iter().try_for_each(|path| tx.put(path, content))?;
    tx.commit("commit")
}

/// A disk with a store in which these commits were made, in this order.
fn committed(commits: &'static [(&'static [&'static str], &'static str)]) -> Disk {
    prepared(move || {
        let fs = SimFs::start(Disk::default(), 1);
        let way: Arc<dyn Fs> = Arc::new(fs.clone());
        let engine =
            create_on(way, std::path::Path::new("simulated"), options().checkpoint_thread(false).into());
        let store = Store::from(engine.unwrap().0);
        for (paths, content) in commits {
            commit(&store, paths, content).unwrap();
        }
        fs
    })
}

fn names(fs: &SimFs, directory: &str) -> Vec<String> {
    fs.list(directory).unwrap().into_iter().map(|listed| listed.name).collect()
}

/// What was acknowledged, with the disk as it was at that moment.
type Acknowledged = Arc<Mutex<Vec<(Generation, &'static str, String, Disk)>>>;

fn acknowledge(all: &Acknowledged, fs: &SimFs, commit: &Commit, path: &'static str, content: &str) {
    let disk = fs.disk();
    all.lock().unwrap().push((commit.generation, path, content.to_owned(), disk));
}

/// No two acknowledged commits have the same number. Each was durable when it was acknowledged.
fn check_acknowledged(all: &Acknowledged) {
    let all = std::mem::take(&mut *all.lock().unwrap());
    let numbers: BTreeSet<Generation> = all.iter().map(|(generation, ..)| *generation).collect();
    assert_eq!(numbers.len(), all.len(), "two commits have one number");
    for (generation, path, content, disk) in all {
        let cut = CrashPoint::new(&disk, 0);
        let left = SimFs::start(cut.image(&cut.nothing_kept()).disk, 9);
        let store = open(&left);
        assert_eq!(store.recovery(), None, "after a power cut after generation {generation}");
        let snapshot = store.snapshot_at(generation).unwrap();
        assert_eq!(snapshot.get(path).unwrap(), content.as_bytes(), "generation {generation}");
    }
}

/// Checks what must hold once all threads have ended.
fn check_quiet(fs: &SimFs) -> State {
    let mut locks = names(fs, LOCKS);
    locks.retain(|name| !name.starts_with("used-"));
    assert_eq!(locks, ["writer"], "pins are left");
    assert_eq!(names(fs, STAGING), [""; 0], "staging files are left");
    let store = open(fs);
    let report = store.verify(&VerifyOptions::new().scope(VerifyScope::All).threads(1));
    let report = report.unwrap();
    assert!(report.ok && report.findings.is_empty(), "{:?}", report.findings);
    let state = contents(&store).unwrap().1;
    drop(store);
    state
}

fn text<'a>(state: &'a State, path: &str) -> &'a str {
    std::str::from_utf8(&state[path]).unwrap()
}
