//! Commits on a simulated disk, and what must hold for the store after each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::oracle::{lasting, numbers};
use crate::engine::Options;
use crate::engine::create::create_on;
use crate::engine::open::open_on;
use crate::error::{ErrorKind, Result};
use crate::format::names::{CHECKPOINTS, Name};
use crate::fs::Fs;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::Disk;
use crate::hash::Blake3;
use crate::options::OpenOptions;
use crate::revision::Generation;
use crate::store::Store;
use crate::transaction::{Commit, Transaction};

/// The files of one generation, by path.
pub(super) type State = BTreeMap<String, Vec<u8>>;

/// A generation that is certain to be there.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub(super) state: Arc<State>,
    /// The hash of its manifest, which contains the hash of everything else.
    pub(super) manifest: Blake3,
    /// Everything that it wrote, by its name on the disk.
    pub(super) raw: Vec<(String, Arc<Vec<u8>>)>,
}

/// What must hold for a store after a power cut.
#[derive(Clone, Default, Debug)]
pub(super) struct Expect {
    /// The generations that are certain to be there. The newest was acknowledged. Empty if no store
    /// was.
    pub(super) certain: BTreeMap<Generation, Committed>,
    /// The commits that were begun above them and not refused. The newest generation may be one of
    /// these.
    pub(super) possible: Vec<Arc<State>>,
    /// Every number up to this one was seen on a disk.
    pub(super) seen: u64,
}

impl Expect {
    /// A number that tells different expectations apart.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seen.to_le_bytes());
        let certain = self
            .certain
            .iter()
            .map(|(generation, committed)| (Some((generation, committed.manifest)), &committed.state));
        for (generation, state) in self.possible.iter().map(|state| (None, state)).chain(certain) {
            if let Some((generation, manifest)) = generation {
                hasher.update(&generation.get().to_le_bytes()).update(manifest.as_bytes());
            }
            hasher.update(&[0; 8]).update(&(state.len() as u64).to_le_bytes());
            for (path, content) in &**state {
                hasher.update(path.as_bytes()).update(&[0]).update(content).update(&[0]);
            }
        }
        u64::from_le_bytes(hasher.finalize().as_bytes()[..8].try_into().unwrap())
    }

    /// The newest generation that is certain.
    pub(super) fn last(&self) -> Option<(Generation, &Committed)> {
        self.certain.last_key_value().map(|(generation, committed)| (*generation, committed))
    }
}

/// One change of a commit.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Put(String, Vec<u8>),
    /// The same, through a staging file.
    Stream(String, Vec<u8>),
    Remove(String),
    Rename(String, String),
}

pub(super) fn put(path: &str, content: &str) -> Edit {
    Edit::Put(path.into(), content.into())
}

pub(super) fn stream(path: &str, content: &str) -> Edit {
    Edit::Stream(path.into(), content.into())
}

impl Edit {
    fn stage(&self, tx: &mut Transaction) -> Result<()> {
        match self {
            Self::Put(path, bytes) => tx.put(path, bytes.clone()),
            Self::Stream(path, bytes) => tx.put_reader(path, bytes.as_slice()),
            Self::Remove(path) => tx.remove(path),
            Self::Rename(from, to) => tx.rename(from, to),
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        match self {
            Self::Put(path, bytes) | Self::Stream(path, bytes) => {
                drop(state.insert(path.clone(), bytes.clone()))
            }
            Self::Remove(path) => drop(state.remove(path)),
            Self::Rename(from, to) => {
                let moved = state.remove(from).unwrap();
                state.insert(to.clone(), moved);
            }
        }
    }
}

/// A transaction with these edits.
pub(super) fn staged(store: &Store, edits: &[Edit]) -> Result<Transaction> {
    let mut tx = store.begin()?;
    edits.iter().try_for_each(|edit| edit.stage(&mut tx))?;
    Ok(tx)
}

/// What stands between every process and the disk.
pub(super) type Wrap = Arc<dyn Fn(Arc<dyn Fs>) -> Arc<dyn Fs> + Send + Sync>;

/// Nothing.
pub(super) fn plain() -> Wrap {
    Arc::new(|way| way)
}

/// A simulated disk, the processes that commit on it, and what must hold for it at each moment.
pub(super) struct World {
    pub(super) fs: SimFs,
    pub(super) wrap: Wrap,
    pub(super) expect: Expect,
    /// The last state that a commit attempted, whatever its outcome.
    pub(super) attempted: Option<Arc<State>>,
    /// How often the pointer was to be swapped since the store was opened or a commit was begun.
    /// The layer before the disk counts.
    pub(super) swaps: Arc<AtomicUsize>,
    /// The newest state, as a process that opens the store sees it.
    head: Option<(Generation, Committed)>,
    /// The generations between the newest certain one and the head.
    between: Vec<(Generation, Committed)>,
    /// What is expected from each recorded operation on.
    marks: Vec<(usize, Arc<Expect>)>,
}

pub(super) fn options() -> Options {
    OpenOptions::default()
        .checkpoint_thread(false)
        .author("proof")
        .lock_wait(std::time::Duration::ZERO)
        .into()
}

/// Opens the store through any way to the disk.
pub(super) fn open(fs: Arc<dyn Fs>) -> Result<Store> {
    open_on(fs, Path::new("simulated"), options()).map(Store::from)
}

/// Creates a store through any way to the disk.
pub(super) fn create(fs: Arc<dyn Fs>) -> Result<Store> {
    create_on(fs, Path::new("simulated"), options()).map(|(engine, _)| engine.into())
}

/// Every file of the newest generation.
pub(super) fn contents(store: &Store) -> Result<(Generation, State)> {
    state_of(&store.snapshot()?)
}

/// Every file of a generation.
pub(super) fn state_of(snapshot: &crate::snapshot::Snapshot) -> Result<(Generation, State)> {
    let mut state = State::new();
    for entry in snapshot.list("") {
        state.insert(entry.path.to_string(), snapshot.get(entry.path.as_str())?);
    }
    Ok((snapshot.generation(), state))
}

impl World {
    /// An empty disk, or one that a power cut left, in a machine that has just started.
    pub(super) fn start(disk: Disk, boot: u64, expect: Expect) -> Self {
        Self {
            fs: SimFs::start(disk, boot),
            wrap: plain(),
            expect,
            attempted: None,
            swaps: Arc::default(),
            head: None,
            between: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// A store with these commits.
    pub(super) fn with(commits: &[&[Edit]]) -> Self {
        let mut world = Self::start(Disk::default(), 1, Expect::default());
        world.init(world.way()).unwrap();
        let store = world.open(world.way()).unwrap();
        for (number, edits) in commits.iter().enumerate() {
            world.commit(&store, edits).unwrap_or_else(|error| panic!("commit {number}: {error}"));
        }
        drop(store);
        world.fs.settle();
        world
    }

    /// The way to the disk of a process without faults.
    pub(super) fn way(&self) -> Arc<dyn Fs> {
        (self.wrap)(Arc::new(self.fs.clone()))
    }

    fn mark(&mut self) {
        self.marks.push((self.fs.recorded(), Arc::new(self.expect.clone())));
    }

    /// Starts to record.
    pub(super) fn record(&mut self) {
        self.fs.record();
        self.marks.clear();
        self.mark();
    }

    /// What is expected before each recorded operation and after the last. What was acknowledged
    /// after one operation holds before the next.
    pub(super) fn expectations(&self, steps: usize) -> Vec<Arc<Expect>> {
        let at = |step| Arc::clone(&self.marks.iter().rev().find(|(from, _)| *from <= step).unwrap().1);
        (0..=steps).map(at).collect()
    }

    /// Creates the store.
    pub(super) fn init(&mut self, way: Arc<dyn Fs>) -> Result<()> {
        let empty = Arc::new(State::new());
        self.begun(&empty);
        match create(way) {
            Ok(store) => self.acknowledged(&store, &empty),
            Err(error) => return Err(self.refused(error, &empty)),
        }
        Ok(())
    }

    /// Opens the store and checks that it is in an expected state. A degraded store is an error.
    pub(super) fn open(&mut self, way: Arc<dyn Fs>) -> Result<Store> {
        self.swaps.store(0, Ordering::Relaxed);
        let store = open(way)?;
        // What `open` met may have passed. Only what another attempt still finds counts.
        let is_degraded = || match store.engine.refresh() {
            Ok(head) => head.is_degraded(),
            Err(_) => store.engine.known().is_degraded(),
        };
        if store.recovery().is_some() && is_degraded() {
            return Err(self.refusal(&store)?);
        }
        let (generation, state) = contents(&store)?;
        assert!(
            self.is_expected(generation, &state),
            "opened {generation}: {state:?}, not {:?}",
            self.expect
        );
        let manifest = store.engine.known().link.manifest;
        self.head =
            Some((generation, Committed { state: Arc::new(state), manifest, raw: self.raw(generation) }));
        let last = self.expect.last().map(|(last, _)| last);
        self.between.clear();
        for entry in store.history()?.skip(1) {
            let entry = entry?;
            if last.is_some_and(|last| entry.generation <= last) {
                break;
            }
            let (_, state) = state_of(&store.snapshot_at(entry.generation)?)?;
            let generation = entry.generation;
            let manifest = entry.manifest;
            let raw = self.raw(generation);
            self.between.push((generation, Committed { state: Arc::new(state), manifest, raw }));
        }
        Ok(store)
    }

    /// The error that a degraded store gives for a commit, which it must refuse. The store must
    /// show something that was committed.
    fn refusal(&self, store: &Store) -> Result<crate::Error> {
        let (generation, state) = contents(store)?;
        let is_certain =
            self.expect.certain.get(&generation).is_some_and(|committed| *committed.state == state);
        assert!(
            is_certain || self.is_expected(generation, &state),
            "a degraded store shows {generation}: {state:?}"
        );
        let before = lasting(&self.fs.disk());
        let mut tx = store.begin()?;
        tx.put("degraded", "never committed")?;
        let refused = tx.commit("to a degraded store").expect_err("a degraded store takes no commit");
        assert!(lasting(&self.fs.disk()) == before, "a refused commit left something: {refused}");
        Ok(refused)
    }

    fn is_expected(&self, generation: Generation, state: &State) -> bool {
        let is_last = self
            .expect
            .last()
            .is_some_and(|(last, committed)| last == generation && *committed.state == *state);
        is_last || self.expect.possible.iter().any(|possible| **possible == *state)
    }

    /// Opens the store. Creates it first if its creation was interrupted.
    pub(super) fn open_or_create(&mut self) -> Result<Store> {
        let way = self.way();
        match self.open(Arc::clone(&way)) {
            Err(error) if error.is_missing_store() => {
                self.init(Arc::clone(&way))?;
                self.open(way)
            }
            other => other,
        }
    }

    /// Commits these edits.
    pub(super) fn commit(&mut self, store: &Store, edits: &[Edit]) -> Result<Commit> {
        self.committing(store, self.after(edits), || staged(store, edits)?.commit("commit"))
    }

    /// Commits a transaction that has staged these edits, whatever was committed meanwhile.
    pub(super) fn commit_staged(&mut self, store: &Store, tx: Transaction, edits: &[Edit]) -> Result<Commit> {
        self.committing(store, self.after(edits), || tx.commit("commit"))
    }

    /// The files of the head after these edits.
    fn after(&self, edits: &[Edit]) -> State {
        let mut after = (*self.head_state()).clone();
        edits.iter().for_each(|edit| edit.apply(&mut after));
        after
    }

    /// Commits so that the store holds exactly these files.
    pub(super) fn commit_state(&mut self, store: &Store, state: &State) -> Result<Commit> {
        let now = self.head_state();
        let puts = state.iter().map(|(path, content)| Edit::Put(path.clone(), content.clone()));
        let removals = now.keys().filter(|path| !state.contains_key(*path));
        let edits: Vec<Edit> = puts.chain(removals.map(|path| Edit::Remove(path.clone()))).collect();
        self.commit(store, &edits)
    }

    /// Restores one directory to what it held at `to`.
    pub(super) fn restore(&mut self, store: &Store, to: Generation, directory: &str) -> Result<Commit> {
        let mut after = (*self.head_state()).clone();
        after.retain(|path, _| !path.starts_with(directory));
        let then = self.expect.certain[&to].state.iter().filter(|(path, _)| path.starts_with(directory));
        after.extend(then.map(|(path, content)| (path.clone(), content.clone())));
        let snapshot = store.snapshot_at(to)?;
        self.committing(store, after, || {
            let mut tx = store.begin()?;
            tx.restore(&snapshot, &[directory])?;
            tx.commit("an earlier part")
        })
    }

    /// Rolls back to an earlier generation.
    pub(super) fn rollback(&mut self, store: &Store, to: Generation) -> Result<Commit> {
        let after = (*self.expect.certain[&to].state).clone();
        self.committing(store, after, || store.rollback(to, "back"))
    }

    fn committing(
        &mut self,
        store: &Store,
        after: State,
        commit: impl FnOnce() -> Result<Commit>,
    ) -> Result<Commit> {
        let after = Arc::new(after);
        self.begun(&after);
        let visible = numbers(&self.fs.disk()).last().copied();
        match commit() {
            Ok(commit) => {
                let is_unchanged = self.head.as_ref().is_some_and(|(head, _)| *head == commit.generation);
                assert!(
                    is_unchanged || Some(commit.generation) > visible,
                    "{visible:?} is not above the numbers that are there"
                );
                assert_eq!(commit.generation, store.engine.known().link.generation);
                self.acknowledged(store, &after);
                Ok(commit)
            }
            Err(error) => Err(self.refused(error, &after)),
        }
    }

    /// The files on the disk that a generation wrote.
    fn raw(&self, generation: Generation) -> Vec<(String, Arc<Vec<u8>>)> {
        let mut raw = Vec::new();
        super::oracle::walk(&self.fs.disk(), &mut |path, data| {
            let is_checkpoint = path.starts_with(CHECKPOINTS);
            if Name::parse(path).and_then(|name| name.generation()) == Some(generation) && !is_checkpoint {
                raw.extend(data.map(|data| (path.to_owned(), Arc::clone(&data.now))));
            }
        });
        raw
    }

    fn head_state(&self) -> Arc<State> {
        self.head.as_ref().map(|(_, committed)| Arc::clone(&committed.state)).unwrap_or_default()
    }

    fn begun(&mut self, state: &Arc<State>) {
        self.swaps.store(0, Ordering::Relaxed);
        self.attempted = Some(Arc::clone(state));
        self.expect.possible.push(Arc::clone(state));
        self.mark();
    }

    /// Everything that the acknowledged generation was built on is certain with it.
    fn acknowledged(&mut self, store: &Store, state: &Arc<State>) {
        let link = store.engine.known().link;
        let generation = link.generation;
        let manifest = link.manifest;
        let committed = Committed { state: Arc::clone(state), manifest, raw: self.raw(generation) };
        self.expect.certain.extend(self.between.drain(..).chain(self.head.take()));
        self.expect.certain.insert(generation, committed.clone());
        self.expect.possible.clear();
        self.expect.seen = self.expect.seen.max(generation.get());
        self.head = Some((generation, committed));
        self.mark();
    }

    /// A refused commit must not show, unless its outcome is unknown.
    fn refused(&mut self, error: crate::Error, state: &Arc<State>) -> crate::Error {
        if error.kind() != ErrorKind::CommitOutcomeUnknown {
            let place = self.expect.possible.iter().rposition(|possible| Arc::ptr_eq(possible, state));
            self.expect.possible.remove(place.unwrap());
        }
        self.mark();
        error
    }

    /// A commit has failed and removed its names. Its number must not be used again.
    pub(super) fn taken_back(&mut self, number: u64) {
        self.expect.seen = self.expect.seen.max(number);
        self.mark();
    }

    /// The committing process is killed. What it had begun may show.
    pub(super) fn killed(&mut self, state: Arc<State>) {
        self.expect.possible.push(state);
        self.mark();
    }
}
