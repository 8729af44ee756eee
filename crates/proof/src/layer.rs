//! An [`Fs`] that records every call and does something else where a rule says so: a disk that fails, or a mutant of
//! the code above. It is the only fault injector. A [`Rule`] decides for each operation; a [`Plan`] is a rule that counts.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::fs::FsInfo;
use crate::fs::LockMode;
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::FailedFlush;
use crate::fs::{Access, Fs, FsFile, FsLock, Listed, Process, Stat, WholeFlush};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::time::Timestamp;

/// What becomes of one operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Do {
    Asked,
    /// Says that it was done, and does nothing.
    Pretend,
    /// The same, and does it after the next operation that changes a file or flushes, if that can still be done.
    Late,
    /// Fails with this error of the system, having done nothing.
    Fail(i32),
    /// Fails having done it.
    Belated(i32),
    /// Writes half and says so.
    Short,
    /// Writes half and fails.
    HalfAndFail(i32),
    /// A flush that fails and has this effect.
    FailFlush(FailedFlush),
    /// Is tried again once it has failed.
    Retry,
}

/// What is to become of an operation.
pub(crate) type Rule = Arc<dyn Fn(&Op) -> Do + Send + Sync>;

/// A rule for the operations that match: they succeed so many times, then one of them becomes something else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The number of matching operations that succeed first.
    pub(crate) after: usize,
    /// What becomes of the next one. A write that fails has written the first half.
    pub(crate) becomes: Do,
    /// Whether the same becomes of every later matching operation.
    pub(crate) for_ever: bool,
    pub(crate) matches: fn(&Op) -> bool,
}

impl Plan {
    /// Counts the operations that match.
    pub(crate) const fn count(matches: fn(&Op) -> bool) -> Self {
        Self { after: usize::MAX, becomes: Do::Asked, for_ever: false, matches }
    }

    fn rule(self, seen: Arc<AtomicUsize>) -> Rule {
        Arc::new(move |op| {
            if !(self.matches)(op) {
                return Do::Asked;
            }
            let number = seen.fetch_add(1, Ordering::SeqCst);
            let is_due = number == self.after || (self.for_ever && number > self.after);
            match (op, self.becomes) {
                _ if !is_due => Do::Asked,
                (Op::Write(_), Do::Fail(errno)) => Do::HalfAndFail(errno),
                (_, becomes) => becomes,
            }
        })
    }
}

/// What is done on the disk beside an operation, before it.
pub(crate) type Beside = Arc<dyn Fn(&dyn Fs, &Op) + Send + Sync>;

/// What is read of a file in place of what it holds, if it is to be something else.
pub(crate) type Reads = fn(&dyn Fs, &str) -> Option<Vec<u8>>;

/// What is left as a note in place of another one.
pub(crate) type Notes = fn(&[u8]) -> Vec<u8>;

type Late = Box<dyn FnOnce() + Send>;

/// The layer.
#[derive(Clone)]
pub(crate) struct Layer {
    inner: Arc<dyn Fs>,
    sim: Option<SimFs>,
    /// The directory of the tree below that is the root here.
    root: String,
    pub(crate) beside: Option<Beside>,
    /// The same, once an operation has failed.
    pub(crate) after_failure: Option<Beside>,
    pub(crate) reads: Option<Reads>,
    /// What is left as a note in place of what should be.
    pub(crate) notes: Option<Notes>,
    /// Whether no name is found in these folders.
    pub(crate) hides: &'static [&'static str],
    /// The machine that the tree is in, if it is not that of the tree below.
    pub(crate) host: Option<Arc<dyn Fs>>,
    state: Arc<Mutex<State>>,
}

struct State {
    rule: Rule,
    /// How many operations matched the plan.
    seen: Arc<AtomicUsize>,
    /// Whether syncs that the rule does not speak of are only recorded.
    skips_syncs: bool,
    trace: Vec<Op>,
    late: Vec<Late>,
    now: Option<Timestamp>,
    boot: Option<String>,
    /// Whether a flush of the whole is offered, if it is not as the tree below does.
    whole: Option<bool>,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer").finish_non_exhaustive()
    }
}

impl Layer {
    pub(crate) fn new(inner: Arc<dyn Fs>, rule: Rule) -> Self {
        let state = State {
            rule,
            seen: Arc::default(),
            skips_syncs: false,
            trace: Vec::new(),
            late: Vec::new(),
            now: None,
            boot: None,
            whole: None,
        };
        Self {
            inner,
            sim: None,
            root: String::new(),
            beside: None,
            after_failure: None,
            reads: None,
            notes: None,
            hides: &[],
            host: None,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Without a rule so far. Syncs are only recorded: nothing survives a power cut in most tests, and waiting would only
    /// make them slow.
    pub(crate) fn skipping_syncs(inner: Arc<dyn Fs>) -> Self {
        let layer = Self::new(inner, Arc::new(|_| Do::Asked));
        layer.state().skips_syncs = true;
        layer
    }

    /// Syncs are done from now on.
    pub(crate) fn wait_for_the_disk(&self) {
        self.state().skips_syncs = false;
    }

    /// The way through it.
    pub(crate) fn way(&self) -> Arc<dyn Fs> {
        Arc::new(self.clone())
    }

    /// Begins to count operations for this plan, in place of the rule; without one, nothing is changed any more.
    pub(crate) fn plan(&self, plan: Option<Plan>) {
        let seen = Arc::<AtomicUsize>::default();
        let rule =
            plan.map_or_else(|| -> Rule { Arc::new(|_| Do::Asked) }, |plan| plan.rule(Arc::clone(&seen)));
        let mut state = self.state();
        (state.rule, state.seen) = (rule, seen);
    }

    /// How many operations matched the plan so far.
    pub(crate) fn seen(&self) -> usize {
        self.state().seen.load(Ordering::SeqCst)
    }

    /// Over a simulated disk, which can be told what a failed flush does.
    pub(crate) fn over(sim: &SimFs, rule: Rule) -> Self {
        Self { sim: Some(sim.clone()), ..Self::new(Arc::new(sim.clone()), rule) }
    }

    /// The same layer over a directory of the tree.
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

    /// Also after a test has failed, so that what is dropped then does not hide why.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked since this was asked last.
    pub(crate) fn take_trace(&self) -> Vec<Op> {
        std::mem::take(&mut self.state().trace)
    }

    /// The clock stands still.
    pub(crate) fn set_now(&self, now: &str) {
        self.state().now = Some(now.parse().unwrap());
    }

    /// What tells this start of the machine from others.
    pub(crate) fn set_boot(&self, boot: &str) {
        self.state().boot = Some(boot.to_owned());
    }

    /// Whether a flush of the whole is offered. Where the tree below has none, it does nothing.
    pub(crate) fn offer_whole(&self, offer: bool) {
        self.state().whole = Some(offer);
    }

    fn host(&self) -> &dyn Fs {
        &**self.host.as_ref().unwrap_or(&self.inner)
    }

    /// Asks for one thing. `act` does it; what it gives when it is pretended is `nothing`.
    fn ask<T>(
        &self,
        op: Op,
        act: impl Fn(Do) -> io::Result<T>,
        nothing: impl FnOnce() -> T,
        late: Option<Late>,
    ) -> io::Result<T> {
        {
            let mut state = self.state();
            assert!(state.trace.len() < 100_000, "it does not end: {:?}", state.trace.split_off(99_990));
            state.trace.push(op.clone());
        }
        if let Some(beside) = &self.beside {
            beside(&*self.inner, &op);
        }
        let ends_waiting = op.changes() && !matches!(op, Op::MakeDir(_));
        let waiting = if ends_waiting { std::mem::take(&mut self.state().late) } else { Vec::new() };
        let (rule, skips_syncs) = {
            let state = self.state();
            (Arc::clone(&state.rule), state.skips_syncs)
        };
        let becomes = match rule(&op) {
            Do::Asked if skips_syncs && op.flushes() => Do::Pretend,
            becomes => becomes,
        };
        let done = match becomes {
            Do::Asked | Do::Short | Do::HalfAndFail(_) => act(becomes),
            Do::Pretend => Ok(nothing()),
            Do::Late => {
                self.state().late.extend(late);
                Ok(nothing())
            }
            Do::Fail(errno) => Err(io::Error::from_raw_os_error(errno)),
            Do::Belated(errno) => act(becomes).and(Err(io::Error::from_raw_os_error(errno))),
            Do::FailFlush(effect) => {
                self.sim.as_ref().unwrap().fail_next_flush(effect);
                act(becomes)
            }
            Do::Retry => act(becomes).or_else(|_| act(becomes)),
        };
        waiting.into_iter().for_each(|late| late());
        if let (true, Some(after)) = (done.is_err(), &self.after_failure) {
            after(&*self.inner, &op);
        }
        done
    }

    fn late_path(&self, act: impl FnOnce(&dyn Fs) + Send + 'static) -> Option<Late> {
        let inner = Arc::clone(&self.inner);
        Some(Box::new(move || act(&*inner)))
    }

    fn file(&self, path: &str, inner: Box<dyn FsFile>) -> Box<dyn FsFile> {
        Box::new(LayerFile { layer: self.clone(), path: path.into(), inner: Arc::new(Mutex::new(inner)) })
    }
}

impl Fs for Layer {
    fn create(&self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>> {
        let path = &*self.at(path);
        let op = Op::Create(path.into());
        let made = self.ask(op, |_| self.inner.create(path, access).map(Some), || None, None)?;
        Ok(self.file(path, made.unwrap()))
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

    fn make_dir(&self, path: &str) -> io::Result<bool> {
        let path = &*self.at(path);
        self.ask(Op::MakeDir(path.into()), |_| self.inner.make_dir(path), || true, None)
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
        let (from, to) = (&*self.at(from), &*self.at(to));
        let names = (from.to_owned(), to.to_owned());
        let late = self.late_path(move |fs| fs.rename(&names.0, &names.1).unwrap());
        self.ask(Op::Rename(from.into(), to.into()), |_| self.inner.rename(from, to), || (), late)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (&*self.at(from), &*self.at(to));
        let op = Op::RenameNew(from.into(), to.into());
        self.ask(op, |_| self.inner.rename_new(from, to), || (), None)
    }

    fn list(&self, path: &str) -> io::Result<Vec<Listed>> {
        let path = &*self.at(path);
        let listed = self.ask(Op::List(path.into()), |_| self.inner.list(path), Vec::new, None)?;
        Ok(if self.hides.contains(&path) { Vec::new() } else { listed })
    }

    fn flush_dir(&self, path: &str) -> io::Result<()> {
        let path = &*self.at(path);
        let name = path.to_owned();
        let late = self.late_path(move |fs| drop(fs.flush_dir(&name)));
        self.ask(Op::FlushDir(path.into()), |_| self.inner.flush_dir(path), || (), late)
    }

    fn whole_flush(&self) -> io::Result<Option<Box<dyn WholeFlush>>> {
        let offered = self.state().whole;
        if offered == Some(false) {
            return Ok(None);
        }
        let inner = self.ask(Op::OpenWhole, |_| self.inner.whole_flush(), || None, None)?;
        Ok(if inner.is_some() || offered == Some(true) {
            Some(Box::new(LayerWhole { layer: self.clone(), inner }))
        } else {
            None
        })
    }

    fn try_lock(&self, path: &str, mode: LockMode) -> io::Result<Option<Box<dyn FsLock>>> {
        let path = &*self.at(path);
        let lock = self.ask(Op::Lock(path.into()), |_| self.inner.try_lock(path, mode), || None, None)?;
        Ok(lock.map(|inner| -> Box<dyn FsLock> {
            Box::new(LayerLock { layer: self.clone(), path: path.into(), inner })
        }))
    }

    fn remove_locked(&self, path: &str, lock: &dyn FsLock) -> io::Result<()> {
        let path = &*self.at(path);
        self.ask(Op::Remove(path.into()), |_| self.inner.remove_locked(path, lock), || (), None)
    }

    fn is_in_place(&self) -> io::Result<bool> {
        self.inner.is_in_place()
    }

    fn carrier(&self) -> io::Result<FsInfo> {
        self.host().carrier()
    }

    fn now(&self) -> Timestamp {
        self.state().now.unwrap_or_else(|| self.host().now())
    }

    fn uptime(&self) -> Duration {
        self.host().uptime()
    }

    fn pause(&self, time: Duration) {
        self.host().pause(time);
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
    layer: Layer,
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
        self.layer.ask(Op::Read(self.path.clone()), read, || 0, None)
    }
}

impl Write for LayerFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let op = Op::Write(self.path.clone());
        let write = |becomes| {
            let half = bytes.len().div_ceil(2);
            let part = if matches!(becomes, Do::Short | Do::HalfAndFail(_)) { half } else { bytes.len() };
            self.inner().write_all(&bytes[..part])?;
            match becomes {
                Do::HalfAndFail(errno) => Err(io::Error::from_raw_os_error(errno)),
                _ => Ok(part),
            }
        };
        self.layer.ask(op, write, || bytes.len(), None)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}

impl FsFile for LayerFile {
    fn length(&self) -> io::Result<u64> {
        self.layer.ask(Op::Stat(self.path.clone()), |_| self.inner().length(), || 0, None)
    }

    fn start_writeback(&self) {}

    fn flush_durably(&self) -> io::Result<()> {
        let file = Arc::clone(&self.inner);
        let late: Late = Box::new(move || drop(file.lock().unwrap().flush_durably()));
        let flush = |_| self.inner().flush_durably();
        self.layer.ask(Op::Flush(self.path.clone()), flush, || (), Some(late))
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

    fn flush_durably(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct LayerWhole {
    layer: Layer,
    inner: Option<Box<dyn WholeFlush>>,
}

impl WholeFlush for LayerWhole {
    fn flush_durably(&self) -> io::Result<()> {
        let flush = |_| self.inner.as_ref().map_or(Ok(()), |inner| inner.flush_durably());
        self.layer.ask(Op::FlushWhole, flush, || (), None)
    }
}

#[derive(Debug)]
struct LayerLock {
    layer: Layer,
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
        self.layer.ask(Op::Read(self.path.clone()), |_| self.inner.note(), Vec::new, None)
    }

    fn set_note(&self, note: &[u8]) -> io::Result<()> {
        let note = self.layer.notes.map_or_else(|| note.to_vec(), |instead| instead(note));
        self.layer.ask(Op::Note(self.path.clone()), |_| self.inner.set_note(&note), || (), None)
    }
}
