//! What must hold for every disk that a power cut leaves.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::run_cache::RunCache;
use super::world::{self, Expect, State, Wrap};
use crate::error::ErrorKind;
use crate::format::names::{DATA, LOCKS, MANIFESTS, Name};
use crate::fs::Fs;
use crate::fs::sim::crash_point::{CrashImage, CrashPoint};
use crate::fs::sim::disk::{Data, Disk, Names, Node, ROOT};
use crate::fs::sim::{SimFs, Watch};
use crate::revision::Generation;
use crate::store::Store;
use crate::verify::{VerifyOptions, VerifyScope};

/// The result of a check. The error says what is wrong.
pub(super) type Verdict<T = ()> = Result<T, String>;

macro_rules! hold {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

pub(super) use hold;

/// Calls `see` with every name on the disk, and with `None` for a directory.
pub(super) fn walk(disk: &Disk, see: &mut dyn FnMut(&str, Option<&Data>)) {
    walk_in(disk, ROOT, "", see);
}

fn walk_in(disk: &Disk, dir: Node, path: &str, see: &mut dyn FnMut(&str, Option<&Data>)) {
    for (name, node) in disk.dirs.get(&dir).into_iter().flatten() {
        let path = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
        let data = disk.files.get(node);
        see(&path, data);
        if data.is_none() {
            walk_in(disk, *node, &path, see);
        }
    }
}

/// The numbers of all generations that have a name on the disk.
pub(super) fn numbers(disk: &Disk) -> BTreeSet<Generation> {
    let mut numbers = BTreeSet::new();
    for directory in [MANIFESTS, DATA] {
        let Ok(dir) = disk.dir(directory) else { continue };
        walk_in(disk, dir, directory, &mut |path, data| {
            if data.is_some() {
                numbers.extend(Name::parse(path).and_then(|name| name.generation()));
            }
        });
    }
    numbers
}

/// Directories with their names, and files with their bytes.
pub(super) type Lasting = (Vec<(Node, Names)>, Vec<(Node, Arc<Vec<u8>>)>);

/// Everything except `locks/`, whose names come and go with readers.
pub(super) fn lasting(disk: &Disk) -> Lasting {
    let locks = disk.dir(LOCKS).ok();
    let mut dirs: Vec<(Node, Names)> = disk
        .dirs
        .iter()
        .filter(|(dir, _)| Some(**dir) != locks)
        .map(|(dir, names)| (*dir, names.clone()))
        .collect();
    if let Some((_, root)) = dirs.iter_mut().find(|(dir, _)| *dir == ROOT) {
        root.remove(LOCKS);
    }
    let files = dirs
        .iter()
        .flat_map(|(_, names)| names.values())
        .filter_map(|node| Some((*node, Arc::clone(&disk.files.get(node)?.now))));
    let files = files.collect();
    (dirs, files)
}

/// What the runs over disks have shown so far.
#[derive(Default, Debug)]
pub(super) struct Shown {
    committed: RunCache<Option<Generation>>,
    verified: RunCache<Option<Generation>>,
}

impl Shown {
    /// How many runs that took.
    pub(super) fn runs(&self) -> usize {
        self.committed.count() + self.verified.count()
    }
}

/// A disk that a power cut left, and what must hold for it.
struct Case<'a> {
    disk: &'a Disk,
    /// The generations that have a name on the disk.
    found: BTreeSet<Generation>,
    expect: &'a Expect,
    wrap: &'a Wrap,
}

/// Checks everything that must hold after a power cut. `expected` is the digest of `expect`.
pub(super) fn check(
    image: &CrashImage,
    expect: &Expect,
    expected: u64,
    wrap: &Wrap,
    shown: &Shown,
) -> Verdict {
    let disk = &image.disk;
    check_raw(disk, expect)?;
    let case = Case { disk, found: numbers(disk), expect, wrap };
    // What the runs depend on besides the disk.
    let mut key = DefaultHasher::new();
    (expected, &case.found).hash(&mut key);
    let key = key.finish();
    // One in 256 is run although its result is known, to check that it is the same.
    let proof = image.hash[1] == 0;
    let head = shown.committed.settle(key, disk, proof, |watch| case.commit(watch))?;
    // The first run has checked every manifest and every byte. One state in 16 also checks that
    // `verify` reports the same.
    if image.hash[0].is_multiple_of(16) {
        let verified = shown.verified.settle(key, disk, proof, |watch| case.verify(watch))?;
        hold!(
            verified == head,
            "the run that commits opens {head:?}, and the run that verifies opens {verified:?}"
        );
    }
    Ok(())
}

impl Case<'_> {
    /// A machine that has just started with the disk.
    fn start(&self, watch: &Watch) -> (SimFs, Arc<dyn Fs>) {
        let fs = SimFs::start(self.disk.clone(), 5).watched(watch);
        let way = (self.wrap)(Arc::new(fs.clone()));
        (fs, way)
    }

    /// Opens the store. Gives `None` if there is none, and none was acknowledged.
    fn open(&self, way: Arc<dyn Fs>) -> Verdict<Option<Store>> {
        match world::open(way) {
            Ok(store) => {
                hold!(store.recovery().is_none(), "it opens damaged: {:?}", store.recovery());
                Ok(Some(store))
            }
            Err(error) => {
                hold!(self.expect.last().is_none() && error.is_missing_store(), "it does not open: {error}");
                Ok(None)
            }
        }
    }

    /// Verifies that every byte is the one that was committed.
    fn verify(&self, watch: &Watch) -> Verdict<Option<Generation>> {
        let (fs, way) = self.start(watch);
        let Some(store) = self.open(way)? else { return Ok(None) };
        let head = store.engine.known().link.generation;
        check_whole(&store)?;
        drop(store);
        hold!(lasting(&fs.disk()) == lasting(self.disk), "verifying changed the disk");
        // The same holds after another start of the machine.
        open_again(Arc::new(SimFs::start(fs.disk(), 6).watched(watch)), head)?;
        Ok(Some(head))
    }

    fn check_interrupted(&self, store: &Store, head: Generation) -> Verdict {
        let above: Vec<Generation> = self.found.iter().filter(|number| **number > head).copied().collect();
        let reported = store.status().map_err(|error| error.to_string())?.interrupted;
        hold!(reported == above, "interrupted commits {above:?} are reported as {reported:?}");
        Ok(())
    }

    /// Checks the newest generation and all before it, and that reading changes nothing.
    /// Interrupted commits are reported. A commit works, lasts, and takes a number that was never
    /// seen. Where there is no store, one can be created.
    fn commit(&self, watch: &Watch) -> Verdict<Option<Generation>> {
        let (fs, way) = self.start(watch);
        let (store, head, state, seen) = match self.open(Arc::clone(&way))? {
            Some(store) => {
                let (head, state) = check_head(&store, self.expect)?;
                check_history(&store, self.expect)?;
                drop(store);
                hold!(lasting(&fs.disk()) == lasting(self.disk), "opening and reading changed the disk");
                // Another handle finds the same, without having read anything before.
                let store = open_again(Arc::clone(&way), head)?;
                self.check_interrupted(&store, head)?;
                (store, Some(head), state, self.expect.seen.max(highest(&self.found)))
            }
            None => {
                let store = world::create(way)
                    .map_err(|error| format!("the interrupted creation cannot be completed: {error}"))?;
                hold!(
                    self.found.iter().all(|number| *number < store.engine.known().link.generation),
                    "the creation used a number again"
                );
                let seen = Generation::FIRST.get().max(highest(&self.found)).max(self.expect.seen);
                (store, None, State::new(), seen)
            }
        };
        check_commit(&fs, &store, state, seen, watch)?;
        Ok(head)
    }
}

/// Opens a store that was opened before.
fn open_again(way: Arc<dyn Fs>, head: Generation) -> Verdict<Store> {
    let store = world::open(way).map_err(|error| format!("it opens once, and then it does not: {error}"))?;
    let again = store.engine.known().link.generation;
    let recovery = store.recovery();
    hold!(again == head && recovery.is_none(), "it opens at {head}, and then at {again}: {recovery:?}");
    Ok(store)
}

/// The highest of these, or 0 if there is none.
pub(super) fn highest(found: &BTreeSet<Generation>) -> u64 {
    found.last().map_or(0, |number| number.get())
}

/// The newest generation is the last acknowledged one, or one that was begun after it.
fn check_head(store: &Store, expect: &Expect) -> Verdict<(Generation, State)> {
    let (head, state) =
        world::contents(store).map_err(|error| format!("the newest generation cannot be read: {error}"))?;
    match expect.last() {
        Some((last, _)) if head < last => {
            return Err(format!("generation {last} was acknowledged, and the newest is {head}"));
        }
        Some((last, expected)) if head == last => {
            hold!(state == *expected.state, "generation {head} differs from what was committed");
        }
        _ => {
            hold!(
                expect.possible.iter().any(|possible| **possible == state),
                "generation {head} is neither a committed state nor one in flight: {:?}",
                state.keys()
            );
        }
    }
    Ok((head, state))
}

/// Every earlier generation is as it was, and no other has become one. The hash of a manifest shows
/// that the generation is the same. [`check_raw`] has checked its bytes.
fn check_history(store: &Store, expect: &Expect) -> Verdict {
    let mut left = expect.certain.clone();
    for entry in store.history().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| format!("the history is damaged: {error}"))?;
        let generation = entry.generation;
        if let Some(committed) = left.remove(&generation) {
            hold!(committed.manifest == entry.manifest, "generation {generation} has another manifest");
            continue;
        }
        let snapshot = store.snapshot_at(generation).map_err(|error| format!("{generation}: {error}"))?;
        let (_, state) = world::state_of(&snapshot).map_err(|error| format!("{generation}: {error}"))?;
        let is_possible = expect.possible.iter().any(|possible| **possible == state);
        hold!(is_possible, "generation {generation} was never committed");
    }
    hold!(left.is_empty(), "generations {:?} are gone", left.keys());
    Ok(())
}

/// Every byte that a certain generation wrote is there.
fn check_raw(disk: &Disk, expect: &Expect) -> Verdict {
    for (path, bytes) in expect.certain.values().flat_map(|committed| &committed.raw) {
        let data = disk.find(path).ok().flatten().and_then(|node| disk.files.get(&node));
        hold!(data.map(|data| &data.now) == Some(bytes), "{path} differs from what was written");
    }
    Ok(())
}

fn check_whole(store: &Store) -> Verdict {
    let options = VerifyOptions::new().scope(VerifyScope::All).threads(1);
    let report = store.verify(&options).map_err(|error| error.to_string())?;
    hold!(report.ok, "it does not verify: {:?}", report.findings);
    Ok(())
}

/// A commit works, lasts, and takes a number that was never seen.
fn check_commit(fs: &SimFs, store: &Store, mut state: State, seen: u64, watch: &Watch) -> Verdict {
    state.insert("after".into(), b"the power cut".to_vec());
    let attempt = || {
        let mut tx = store.begin()?;
        tx.put("after", "the power cut")?;
        tx.commit("after")
    };
    let commit = attempt().map_err(|error| format!("no commit works: {error}"))?;
    hold!(commit.generation.get() > seen, "number {} was used again", commit.generation);
    // A power cut keeps nothing that is not promised. The workloads cut the power inside such a
    // commit.
    let disk = fs.disk();
    let cut = CrashPoint::new(&disk, 0);
    let left = cut.image(&cut.nothing_kept());
    let after = SimFs::start(left.disk, 6).watched(watch);
    let found = world::open(Arc::new(after)).and_then(|store| world::contents(&store));
    match found {
        Ok((generation, found)) => {
            hold!(
                generation == commit.generation && found == state,
                "the commit after the power cut was lost"
            );
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::Io => Err(format!("the commit was lost: {error}")),
        Err(error) => Err(format!("the commit after the power cut damaged the store: {error}")),
    }
}
