//! An [`Fs`] that records every call, and does something else where a rule says so. It serves as a
//! disk that fails, or as a mutant of the code above it. It is the only fault injector. A [`Rule`]
//! decides for each operation; a [`Plan`] is a rule that counts.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::fs::FsInfo;
use crate::fs::LockMode;
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::FailedSync;
use crate::fs::{Access, DirEntry, Fs, FsFile, FsLock, Process, Stat, SyncFs};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::time::Timestamp;

/// What happens to one operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action {
    PassThrough,
    /// Reports success and does nothing.
    Skip,
    /// Reports success, and acts after the next operation that changes a file or fsyncs, if that is
    /// still possible.
    Defer,
    /// Fails with this error of the system, without any effect.
    Fail(i32),
    /// Takes effect and then fails.
    FailAfter(i32),
    /// Writes half, and reports that.
    Short,
    /// Writes half and fails.
    HalfAndFail(i32),
    /// An fsync that fails with this effect.
    FailSync(FailedSync),
    /// Tries again after a failure.
    Retry,
}

/// Decides what happens to an operation.
pub(crate) type Rule = Arc<dyn Fn(&Op) -> Action + Send + Sync>;

/// A rule for the operations that match: the first ones succeed, and then one of them fails or does
/// something else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many matching operations succeed first.
    pub(crate) after: usize,
    /// What happens to the next one. A write that fails has written the first half.
    pub(crate) becomes: Action,
    /// Whether the same happens to every later matching operation.
    pub(crate) for_ever: bool,
    pub(crate) matches: fn(&Op) -> bool,
}

impl Plan {
    /// Only counts the operations that match.
    pub(crate) const fn count(matches: fn(&Op) -> bool) -> Self {
        Self { after: usize::MAX, becomes: Action::PassThrough, for_ever: false, matches }
    }

    fn rule(self, seen: Arc<AtomicUsize>) -> Rule {
        Arc::new(move |op| {
            if !(self.matches)(op) {
                return Action::PassThrough;
            }
            let number = seen.fetch_add(1, Ordering::SeqCst);
            let is_due = number == self.after || (self.for_ever && number > self.after);
            match (op, self.becomes) {
                _ if !is_due => Action::PassThrough,
                (Op::Write(_), Action::Fail(errno)) => Action::HalfAndFail(errno),
                (_, becomes) => becomes,
            }
        })
    }
}

/// An additional effect on the disk, before an operation.
pub(crate) type SideEffect = Arc<dyn Fn(&dyn Fs, &Op) + Send + Sync>;

/// The bytes to read in place of a file's own, if any.
pub(crate) type Reads = fn(&dyn Fs, &str) -> Option<Vec<u8>>;

/// The note to leave in place of another one.
pub(crate) type Notes = fn(&[u8]) -> Vec<u8>;

type Defer = Box<dyn FnOnce() + Send>;

/// The layer.
#[derive(Clone)]
pub(crate) struct FaultInjector {
    inner: Arc<dyn Fs>,
    sim: Option<SimFs>,
    /// The directory of the tree below that is the root here.
    root: String,
    pub(crate) side_effect: Option<SideEffect>,
    /// An additional effect after an operation that failed.
    pub(crate) after_failure: Option<SideEffect>,
    pub(crate) reads: Option<Reads>,
    /// Replaces each note that is left.
    pub(crate) notes: Option<Notes>,
    /// The directories whose listing is empty.
    pub(crate) hides: &'static [&'static str],
    /// The machine of the tree, if it differs from that of the tree below.
    pub(crate) host: Option<Arc<dyn Fs>>,
    state: Arc<Mutex<State>>,
}

struct State {
    rule: Rule,
    /// How many operations matched the plan.
    seen: Arc<AtomicUsize>,
    /// Whether fsyncs are only recorded, where the rule lets them pass.
    skips_syncs: bool,
    trace: Vec<Op>,
    late: Vec<Defer>,
    now: Option<Timestamp>,
    boot: Option<String>,
    /// Whether a syncfs is offered, if this differs from the tree below.
    offers_syncfs: Option<bool>,
}

impl std::fmt::Debug for FaultInjector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer").finish_non_exhaustive()
    }
}

impl FaultInjector {
    pub(crate) fn new(inner: Arc<dyn Fs>, rule: Rule) -> Self {
        let state = State {
            rule,
            seen: Arc::default(),
            skips_syncs: false,
            trace: Vec::new(),
            late: Vec::new(),
            now: None,
            boot: None,
            offers_syncfs: None,
        };
        Self {
            inner,
            sim: None,
            root: String::new(),
            side_effect: None,
            after_failure: None,
            reads: None,
            notes: None,
            hides: &[],
            host: None,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Without a rule so far. Fsyncs are only recorded: most tests cut no power, and real fsyncs
    /// would only slow them down.
    pub(crate) fn skipping_syncs(inner: Arc<dyn Fs>) -> Self {
        let injector = Self::new(inner, Arc::new(|_| Action::PassThrough));
        injector.state().skips_syncs = true;
        injector
    }

    /// From now on fsyncs are real.
    pub(crate) fn wait_for_the_disk(&self) {
        self.state().skips_syncs = false;
    }

    /// The way to the disk through this layer.
    pub(crate) fn way(&self) -> Arc<dyn Fs> {
        Arc::new(self.clone())
    }

    /// Replaces the rule with this plan, and counts from zero. Without a plan, every operation
    /// passes.
    pub(crate) fn plan(&self, plan: Option<Plan>) {
        let seen = Arc::<AtomicUsize>::default();
        let rule = plan.map_or_else(
            || -> Rule { Arc::new(|_| Action::PassThrough) },
            |plan| plan.rule(Arc::clone(&seen)),
        );
        let mut state = self.state();
        state.rule = rule;
        state.seen = seen;
    }

    /// How many operations have matched the plan.
    pub(crate) fn seen(&self) -> usize {
        self.state().seen.load(Ordering::SeqCst)
    }

    /// Over a simulated disk, which can be told what a failed fsync does.
    pub(crate) fn over(sim: &SimFs, rule: Rule) -> Self {
        Self { sim: Some(sim.clone()), ..Self::new(Arc::new(sim.clone()), rule) }
    }

    /// The same layer, with a directory of the tree as its root.
    pub(crate) fn below(&self, root: &str) -> Self {
        Self { root: root.to_owned(), ..self.clone() }
    }

    fn at(&self, path: &str) -> String {
        match (self.root.as_str(), path) {
            ("", path) => path.to_owned(),
            (root, "") => root.to_owned(),
            (root, path) => format!("{root}/{path}"),
        }
    }

    /// The lock may be poisoned after a test has failed. Then a drop must not hide why.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operations since the last call.
    pub(crate) fn take_trace(&self) -> Vec<Op> {
        std::mem::take(&mut self.state().trace)
    }

    /// Stops the clock at this time.
    pub(crate) fn set_now(&self, now: &str) {
        self.state().now = Some(now.parse().unwrap());
    }

    /// Sets the text that tells this start of the machine from others.
    pub(crate) fn set_boot(&self, boot: &str) {
        self.state().boot = Some(boot.to_owned());
    }

    /// Sets whether a syncfs is offered. It does nothing if the tree below offers none.
    pub(crate) fn offer_syncfs(&self, offer: bool) {
        self.state().offers_syncfs = Some(offer);
    }

    fn host(&self) -> &dyn Fs {
        &**self.host.as_ref().unwrap_or(&self.inner)
    }

    /// Does one operation as the rule decides. `act` does it. `nothing` gives the result if the
    /// operation is only pretended. `late` does it later.
    fn ask<T>(
        &self,
        op: Op,
        act: impl Fn(Action) -> io::Result<T>,
        nothing: impl FnOnce() -> T,
        late: Option<Defer>,
    ) -> io::Result<T> {
        {
            let mut state = self.state();
            assert!(
                state.trace.len() < 100_000,
                "the operations do not end: {:?}",
                state.trace.split_off(99_990)
            );
            state.trace.push(op.clone());
        }
        if let Some(side_effect) = &self.side_effect {
            side_effect(&*self.inner, &op);
        }
        let ends_waiting = op.changes() && !matches!(op, Op::CreateDir(_));
        let waiting = if ends_waiting { std::mem::take(&mut self.state().late) } else { Vec::new() };
        let (rule, skips_syncs) = {
            let state = self.state();
            (Arc::clone(&state.rule), state.skips_syncs)
        };
        let becomes = match rule(&op) {
            Action::PassThrough if skips_syncs && op.syncs() => Action::Skip,
            becomes => becomes,
        };
        let done = match becomes {
            Action::PassThrough | Action::Short | Action::HalfAndFail(_) => act(becomes),
            Action::Skip => Ok(nothing()),
            Action::Defer => {
                self.state().late.extend(late);
                Ok(nothing())
            }
            Action::Fail(errno) => Err(io::Error::from_raw_os_error(errno)),
            Action::FailAfter(errno) => act(becomes).and(Err(io::Error::from_raw_os_error(errno))),
            Action::FailSync(effect) => {
                self.sim.as_ref().unwrap().fail_next_sync(effect);
                act(becomes)
            }
            Action::Retry => act(becomes).or_else(|_| act(becomes)),
        };
        waiting.into_iter().for_each(|late| late());
        if let (true, Some(after)) = (done.is_err(), &self.after_failure) {
            after(&*self.inner, &op);
        }
        done
    }

    fn late_path(&self, act: impl FnOnce(&dyn Fs) + Send + 'static) -> Option<Defer> {
        let inner = Arc::clone(&self.inner);
        Some(Box::new(move || act(&*inner)))
    }

    fn file(&self, path: &str, inner: Box<dyn FsFile>) -> Box<dyn FsFile> {
        Box::new(LayerFile { injector: self.clone(), path: path.into(), inner: Arc::new(Mutex::new(inner)) })
    }
}

impl Fs for FaultInjector {
    fn create(&self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>> {
        let path = &*self.at(path);
        let op = Op::Create(path.into());
        let created = self.ask(op, |_| self.inner.create(path, access).map(Some), || None, None)?;
        Ok(self.file(path, created.unwrap()))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn FsFile>> {
        let path = &*self.at(path);
        let opened = self.ask(Op::Open(path.into()), |_| self.inner.open(path).map(Some), || None, None)?;
        if let Some(bytes) = self.reads.and_then(|reads| reads(&*self.inner, path)) {
            return Ok(Box::new(Instead(io::Cursor::new(bytes))));
        }
        Ok(self.file(path, opened.unwrap()))
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        let path = &*self.at(path);
        self.ask(Op::Stat(path.into()), |_| self.inner.stat(path), || None, None)
    }

    fn create_dir(&self, path: &str) -> io::Result<bool> {
        let path = &*self.at(path);
        self.ask(Op::CreateDir(path.into()), |_| self.inner.create_dir(path), || true, None)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let path = &*self.at(path);
        self.ask(Op::Remove(path.into()), |_| self.inner.remove(path), || (), None)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let path = &*self.at(path);
        self.ask(Op::RemoveDir(path.into()), |_| self.inner.remove_dir(path), || (), None)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let from = &*self.at(from);
        let to = &*self.at(to);
        let names = (from.to_owned(), to.to_owned());
        let late = self.late_path(move |fs| fs.rename(&names.0, &names.1).unwrap());
        self.ask(Op::Rename(from.into(), to.into()), |_| self.inner.rename(from, to), || (), late)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let from = &*self.at(from);
        let to = &*self.at(to);
        let op = Op::RenameNew(from.into(), to.into());
        self.ask(op, |_| self.inner.rename_new(from, to), || (), None)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let path = &*self.at(path);
        let listed = self.ask(Op::List(path.into()), |_| self.inner.list(path), Vec::new, None)?;
        Ok(if self.hides.contains(&path) { Vec::new() } else { listed })
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let path = &*self.at(path);
        let name = path.to_owned();
        let late = self.late_path(move |fs| drop(fs.sync_dir(&name)));
        self.ask(Op::SyncDir(path.into()), |_| self.inner.sync_dir(path), || (), late)
    }

    fn syncfs(&self) -> io::Result<Option<Box<dyn SyncFs>>> {
        let offered = self.state().offers_syncfs;
        if offered == Some(false) {
            return Ok(None);
        }
        let inner = self.ask(Op::OpenSyncFs, |_| self.inner.syncfs(), || None, None)?;
        Ok(if inner.is_some() || offered == Some(true) {
            Some(Box::new(LayerSyncFs { injector: self.clone(), inner }))
        } else {
            None
        })
    }

    fn try_lock(&self, path: &str, mode: LockMode) -> io::Result<Option<Box<dyn FsLock>>> {
        let path = &*self.at(path);
        let lock = self.ask(Op::Lock(path.into()), |_| self.inner.try_lock(path, mode), || None, None)?;
        Ok(lock.map(|inner| -> Box<dyn FsLock> {
            Box::new(LayerLock { injector: self.clone(), path: path.into(), inner })
        }))
    }

    fn remove_locked(&self, path: &str, lock: &dyn FsLock) -> io::Result<()> {
        let path = &*self.at(path);
        self.ask(Op::Remove(path.into()), |_| self.inner.remove_locked(path, lock), || (), None)
    }

    fn is_same_dir(&self) -> io::Result<bool> {
        self.inner.is_same_dir()
    }

    fn info(&self) -> io::Result<FsInfo> {
        self.host().info()
    }

    fn now(&self) -> Timestamp {
        self.state().now.unwrap_or_else(|| self.host().now())
    }

    fn monotonic(&self) -> Duration {
        self.host().monotonic()
    }

    fn sleep(&self, time: Duration) {
        self.host().sleep(time);
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.host().random()
    }

    fn process(&self) -> Process {
        let boot = self.state().boot.clone();
        let process = self.host().process();
        Process { boot: boot.or(process.boot), ..process }
    }
}

#[derive(Debug)]
struct LayerFile {
    injector: FaultInjector,
    path: String,
    inner: Arc<Mutex<Box<dyn FsFile>>>,
}

impl LayerFile {
    fn inner(&self) -> MutexGuard<'_, Box<dyn FsFile>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for LayerFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer = Mutex::new(buffer);
        let read = |_| self.inner().read(&mut buffer.lock().unwrap());
        self.injector.ask(Op::Read(self.path.clone()), read, || 0, None)
    }
}

impl Write for LayerFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let op = Op::Write(self.path.clone());
        let write = |becomes| {
            let half = bytes.len().div_ceil(2);
            let part =
                if matches!(becomes, Action::Short | Action::HalfAndFail(_)) { half } else { bytes.len() };
            self.inner().write_all(&bytes[..part])?;
            match becomes {
                Action::HalfAndFail(errno) => Err(io::Error::from_raw_os_error(errno)),
                _ => Ok(part),
            }
        };
        self.injector.ask(op, write, || bytes.len(), None)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}

impl FsFile for LayerFile {
    fn length(&self) -> io::Result<u64> {
        self.injector.ask(Op::Stat(self.path.clone()), |_| self.inner().length(), || 0, None)
    }

    fn start_writeback(&self) {}

    fn sync(&self) -> io::Result<()> {
        let file = Arc::clone(&self.inner);
        let late: Defer = Box::new(move || drop(file.lock().unwrap().sync()));
        let sync = |_| self.inner().sync();
        self.injector.ask(Op::Sync(self.path.clone()), sync, || (), Some(late))
    }
}

/// Bytes in place of those of a file.
#[derive(Debug)]
struct Instead(io::Cursor<Vec<u8>>);

impl Read for Instead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Instead {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FsFile for Instead {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.get_ref().len() as u64)
    }

    fn start_writeback(&self) {}

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct LayerSyncFs {
    injector: FaultInjector,
    inner: Option<Box<dyn SyncFs>>,
}

impl SyncFs for LayerSyncFs {
    fn sync(&self) -> io::Result<()> {
        let sync = |_| self.inner.as_ref().map_or(Ok(()), |inner| inner.sync());
        self.injector.ask(Op::SyncFs, sync, || (), None)
    }
}

#[derive(Debug)]
struct LayerLock {
    injector: FaultInjector,
    path: String,
    inner: Box<dyn FsLock>,
}

impl FsLock for LayerLock {
    fn identity(&self) -> io::Result<(u64, u64)> {
        self.inner.identity()
    }

    fn is_last_holder(&self) -> bool {
        self.inner.is_last_holder()
    }

    fn note(&self) -> io::Result<Vec<u8>> {
        self.injector.ask(Op::Read(self.path.clone()), |_| self.inner.note(), Vec::new, None)
    }

    fn set_note(&self, note: &[u8]) -> io::Result<()> {
        let note = self.injector.notes.map_or_else(|| note.to_vec(), |instead| instead(note));
        self.injector.ask(Op::Note(self.path.clone()), |_| self.inner.set_note(&note), || (), None)
    }
}
