//! [`Fs`] that records what is asked of it and fails where it is told to.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lock::Mode;
use super::medium::Carrier;
use super::op::Op;
use super::{Access, Fs, FsFile, FsLock, Listed, Process, Stat, WholeFlush};
use crate::time::Timestamp;

/// When and how operations fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The number of matching operations that succeed first.
    pub(crate) after: usize,
    /// The error number of the operating system.
    pub(crate) errno: i32,
    /// Whether every later matching operation fails too.
    pub(crate) for_ever: bool,
    pub(crate) matches: fn(&Op) -> bool,
    /// Whether a rename that fails has happened all the same.
    pub(crate) takes_effect: bool,
}

#[derive(Debug, Default)]
struct State {
    trace: Vec<Op>,
    plan: Option<Plan>,
    seen: usize,
    now: Option<Timestamp>,
    boot: Option<String>,
    whole: bool,
    waits: bool,
}

/// A directory tree behind a layer of faults. Unless [`FaultFs::wait_for_the_disk`] says otherwise, its flushes are
/// only recorded: nothing survives a power cut in most tests, and waiting would only make them slow.
#[derive(Clone, Debug)]
pub(crate) struct FaultFs {
    inner: Arc<dyn Fs>,
    state: Arc<Mutex<State>>,
}

impl FaultFs {
    pub(crate) fn new(inner: Arc<dyn Fs>) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// Also after a test has failed, so that what is dropped then does not hide why.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count operations for this plan, or ends all faults.
    pub(crate) fn plan(&self, plan: Option<Plan>) {
        let mut state = self.state();
        (state.plan, state.seen) = (plan, 0);
    }

    /// How many operations matched the plan so far.
    pub(crate) fn seen(&self) -> usize {
        self.state().seen
    }

    pub(crate) fn take_trace(&self) -> Vec<Op> {
        std::mem::take(&mut self.state().trace)
    }

    pub(crate) fn set_now(&self, now: &str) {
        self.state().now = Some(now.parse().unwrap());
    }

    pub(crate) fn set_boot(&self, boot: &str) {
        self.state().boot = Some(boot.to_owned());
    }

    /// Whether a flush of the whole is offered.
    pub(crate) fn offer_whole(&self, offer: bool) {
        self.state().whole = offer;
    }

    /// Flushes are really done from now on. Where the tree below offers no flush of the whole, that one is still only
    /// recorded.
    pub(crate) fn wait_for_the_disk(&self) {
        self.state().waits = true;
    }

    fn waits(&self) -> bool {
        self.state().waits
    }

    fn ask(&self, op: Op) -> io::Result<()> {
        let mut state = self.state();
        let matching = state.plan.filter(|plan| (plan.matches)(&op));
        state.trace.push(op);
        let Some(plan) = matching else { return Ok(()) };
        state.seen += 1;
        let due = if plan.for_ever { state.seen > plan.after } else { state.seen - 1 == plan.after };
        if due { Err(io::Error::from_raw_os_error(plan.errno)) } else { Ok(()) }
    }

    fn file(&self, path: &str, inner: Box<dyn FsFile>) -> Box<dyn FsFile> {
        Box::new(FaultFile { fs: self.clone(), path: path.to_owned(), inner })
    }
}

impl Fs for FaultFs {
    fn create(&self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>> {
        self.ask(Op::Create(path.into()))?;
        Ok(self.file(path, self.inner.create(path, access)?))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn FsFile>> {
        self.ask(Op::Open(path.into()))?;
        Ok(self.file(path, self.inner.open(path)?))
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        self.ask(Op::Stat(path.into()))?;
        self.inner.stat(path)
    }

    fn make_dir(&self, path: &str) -> io::Result<bool> {
        self.ask(Op::MakeDir(path.into()))?;
        self.inner.make_dir(path)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.ask(Op::Remove(path.into()))?;
        self.inner.remove(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.ask(Op::RemoveDir(path.into()))?;
        self.inner.remove_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let asked = self.ask(Op::Rename(from.into(), to.into()));
        if asked.is_ok() || self.state().plan.is_some_and(|plan| plan.takes_effect) {
            self.inner.rename(from, to)?;
        }
        asked
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.ask(Op::RenameNew(from.into(), to.into()))?;
        self.inner.rename_new(from, to)
    }

    fn list(&self, path: &str) -> io::Result<Vec<Listed>> {
        self.ask(Op::List(path.into()))?;
        self.inner.list(path)
    }

    fn flush_dir(&self, path: &str) -> io::Result<()> {
        self.ask(Op::FlushDir(path.into()))?;
        if self.waits() { self.inner.flush_dir(path) } else { Ok(()) }
    }

    fn whole_flush(&self) -> io::Result<Option<Box<dyn WholeFlush>>> {
        if !self.state().whole {
            return Ok(None);
        }
        self.ask(Op::OpenWhole)?;
        let inner = if self.waits() { self.inner.whole_flush()? } else { None };
        Ok(Some(Box::new(FaultWhole { fs: self.clone(), inner })))
    }

    fn try_lock(&self, path: &str, mode: Mode) -> io::Result<Option<Box<dyn FsLock>>> {
        self.ask(Op::Lock(path.into()))?;
        let lock = self.inner.try_lock(path, mode)?;
        Ok(lock.map(|inner| -> Box<dyn FsLock> {
            Box::new(FaultLock { fs: self.clone(), path: path.to_owned(), inner })
        }))
    }

    fn remove_locked(&self, path: &str, lock: &dyn FsLock) -> io::Result<()> {
        self.ask(Op::Remove(path.into()))?;
        self.inner.remove_locked(path, lock)
    }

    fn is_in_place(&self) -> io::Result<bool> {
        self.inner.is_in_place()
    }

    fn carrier(&self) -> io::Result<Carrier> {
        self.inner.carrier()
    }

    fn now(&self) -> Timestamp {
        self.state().now.unwrap_or_else(|| self.inner.now())
    }

    fn uptime(&self) -> Duration {
        self.inner.uptime()
    }

    fn pause(&self, time: Duration) {
        self.inner.pause(time);
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.inner.random()
    }

    fn process(&self) -> Process {
        let boot = self.state().boot.clone();
        let process = self.inner.process();
        Process { boot: boot.or(process.boot), ..process }
    }
}

#[derive(Debug)]
struct FaultFile {
    fs: FaultFs,
    path: String,
    inner: Box<dyn FsFile>,
}

impl Read for FaultFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fs.ask(Op::Read(self.path.clone()))?;
        self.inner.read(buffer)
    }
}

impl Write for FaultFile {
    /// A write that fails has written the first half.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.fs.ask(Op::Write(self.path.clone())) {
            self.inner.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl FsFile for FaultFile {
    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }

    fn start_writeback(&self) {
        if self.fs.waits() {
            self.inner.start_writeback();
        }
    }

    fn flush_durably(&self) -> io::Result<()> {
        self.fs.ask(Op::Flush(self.path.clone()))?;
        if self.fs.waits() { self.inner.flush_durably() } else { Ok(()) }
    }
}

#[derive(Debug)]
struct FaultWhole {
    fs: FaultFs,
    inner: Option<Box<dyn WholeFlush>>,
}

impl WholeFlush for FaultWhole {
    fn flush_durably(&self) -> io::Result<()> {
        self.fs.ask(Op::FlushWhole)?;
        self.inner.as_ref().map_or(Ok(()), |inner| inner.flush_durably())
    }
}

#[derive(Debug)]
struct FaultLock {
    fs: FaultFs,
    path: String,
    inner: Box<dyn FsLock>,
}

impl FsLock for FaultLock {
    fn identity(&self) -> io::Result<(u64, u64)> {
        self.inner.identity()
    }

    fn is_last_holder(&self) -> bool {
        self.inner.is_last_holder()
    }

    fn note(&self) -> io::Result<Vec<u8>> {
        self.inner.note()
    }

    fn set_note(&self, note: &[u8]) -> io::Result<()> {
        self.fs.ask(Op::Note(self.path.clone()))?;
        self.inner.set_note(note)
    }
}
