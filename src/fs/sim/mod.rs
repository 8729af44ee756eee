//! [`Fs`] on a simulated disk. Everything that was not fsynced can be lost at any time, and every
//! combination of what is left can be examined.
//!
//! The simulated disk promises no more than a real one. See [`disk`] for what an fsync covers, and
//! [`crash_point`] for what a power cut may leave. A seed decides the clock, the randomness and the
//! process, so that every run can be repeated.

pub(crate) mod crash_point;
pub(crate) mod disk;
mod outcome;
pub(crate) mod paths;
pub(crate) mod random;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::LockMode;
use super::lock::NOTE_MAX;
use super::op::Op;
use super::{Access, DirEntry, FileKind, Fs, FsFile, FsLock, Process, Stat, SyncFs, not_a_file};
use super::{FsInfo, FsVerdict};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::time::Timestamp;
use disk::{Disk, FailedSync, Node};
use random::Random;

/// When every simulation begins: 2026-01-01, in milliseconds since 1970.
const START: i64 = 1_767_225_600_000;
/// How long one operation takes, in milliseconds.
const TICK: u64 = 1;

/// One operation, and the disk before it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) before: Disk,
}

/// The operations on disks, each one once.
#[derive(Clone, Default, Debug)]
pub(crate) struct Watch(Arc<Mutex<(HashSet<Op>, Vec<Op>)>>);

impl Watch {
    fn note(&self, op: Op) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.0.insert(op.clone()) {
            noted.1.push(op);
        }
    }

    /// Takes the operations, in the order of their first occurrence.
    pub(crate) fn taken(&self) -> Vec<Op> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).1
    }
}

#[derive(Debug)]
struct World {
    disk: Disk,
    locks: BTreeMap<Node, Vec<(u64, LockMode)>>,
    holders: u64,
    boot: u64,
    elapsed: u64,
    random: Random,
    offers_syncfs: bool,
    /// Whether a rename that replaces nothing adds a second name and then removes the first.
    links: bool,
    tape: Option<Vec<Step>>,
    watch: Option<Watch>,
    next_sync: Option<FailedSync>,
}

/// The access of a process to a simulated disk. A clone is the access of another process to the
/// same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimFs(Arc<Mutex<World>>);

impl SimFs {
    /// A machine that has just started, with this disk. `boot` distinguishes this start from
    /// others.
    pub(crate) fn start(disk: Disk, boot: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            disk,
            locks: BTreeMap::new(),
            holders: 0,
            boot,
            // Each start is one day after the start before.
            elapsed: boot * 86_400_000,
            random: Random::new(boot),
            offers_syncfs: false,
            links: false,
            tape: None,
            watch: None,
            next_sync: None,
        })))
    }

    /// Works after a panic too, so that a value dropped then does not hide the cause.
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, op: impl FnOnce() -> Op) -> MutexGuard<'_, World> {
        let mut world = self.world();
        world.elapsed += TICK;
        let World { disk, tape, watch, .. } = &mut *world;
        if tape.is_some() || watch.is_some() {
            let op = op();
            if let Some(watch) = watch {
                watch.note(op.clone());
            }
            if let Some(tape) = tape {
                tape.push(Step { op, before: disk.clone() });
            }
        }
        world
    }

    /// The same machine after every process on it was killed, with the disk as it was then. Nothing
    /// becomes durable by this.
    pub(crate) fn killed(&self, disk: Disk) -> Self {
        let before = self.world();
        // Lists every field, so that a new field needs a decision here.
        let World {
            disk: _,
            locks: _,
            holders,
            boot,
            elapsed,
            ref random,
            offers_syncfs,
            links,
            tape: _,
            watch: _,
            next_sync: _,
        } = *before;
        let after = Self::start(disk, boot);
        {
            let mut world = after.world();
            world.holders = holders;
            world.elapsed = elapsed;
            world.random = random.clone();
            world.offers_syncfs = offers_syncfs;
            world.links = links;
        }
        after
    }

    /// Notes in `watch` every operation on the disk from now on.
    pub(crate) fn watched(self, watch: &Watch) -> Self {
        self.world().watch = Some(watch.clone());
        self
    }

    /// Makes everything that was written durable, as an idle machine does.
    pub(crate) fn settle(&self) {
        let _ = self.world().disk.sync_all();
    }

    /// Whether the disk has stopped because the fsync of a directory failed.
    #[cfg(test)]
    pub(crate) fn has_stopped(&self) -> bool {
        self.world().disk.check_takes_changes().is_err()
    }

    /// Sets whether the disk offers syncfs.
    pub(crate) fn offer_syncfs(&self, offer: bool) {
        self.world().offers_syncfs = offer;
    }

    /// From now on the file system has no rename that replaces nothing.
    pub(crate) fn link_instead(&self) {
        self.world().links = true;
    }

    /// Begins to record every operation with the disk before it.
    pub(crate) fn record(&self) {
        self.world().tape = Some(Vec::new());
    }

    /// The number of operations that were recorded so far.
    pub(crate) fn recorded(&self) -> usize {
        self.world().tape.as_ref().map_or(0, Vec::len)
    }

    /// Ends the recording and returns it.
    pub(crate) fn recording(&self) -> Vec<Step> {
        self.world().tape.take().unwrap_or_default()
    }

    /// The disk as it is now.
    pub(crate) fn disk(&self) -> Disk {
        self.world().disk.clone()
    }

    /// Makes the next fsync report a failure and have this effect.
    pub(crate) fn fail_next_sync(&self, effect: FailedSync) {
        self.world().next_sync = Some(effect);
    }
}

impl World {
    fn rename(&mut self, from: &str, to: &str, replaces: bool) -> io::Result<()> {
        // Looks up both directories before any name in them, as the system does.
        for path in [from, to] {
            self.disk.dir(path.rsplit_once('/').map_or("", |(dir, _)| dir))?;
        }
        if from.is_empty() || to.is_empty() {
            return Err(Errno::NOENT.into());
        }
        let node = self.disk.existing(from)?;
        let is_in = |path: &str, dir| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        match self.disk.find(to)? {
            Some(_) if !replaces => return Err(Errno::EXIST.into()),
            _ if is_in(to, from) => return Err(Errno::INVAL.into()),
            Some(_) if is_in(from, to) => return Err(Errno::NOTEMPTY.into()),
            Some(taken) if taken == node => return Ok(()),
            Some(taken) => match (self.disk.is_dir(node), self.disk.dirs.get(&taken)) {
                (false, Some(_)) => return Err(Errno::ISDIR.into()),
                (true, None) => return Err(Errno::NOTDIR.into()),
                (true, Some(names)) if !names.is_empty() => return Err(Errno::NOTEMPTY.into()),
                _ => {}
            },
            None => {}
        }
        self.disk.check_takes_changes()?;
        let (from_dir, from) = self.disk.place(from)?;
        let (to_dir, to) = self.disk.place(to)?;
        let removed = (from_dir, from.into(), None);
        let added = (to_dir, to.into(), Some(node));
        if self.links && !replaces {
            self.disk.change(vec![added]);
            self.disk.change(vec![removed]);
        } else {
            self.disk.change(vec![removed, added]);
        }
        Ok(())
    }

    /// Takes a lock and returns the number of its holder. `None` when another holder excludes
    /// `mode`.
    fn lock(&mut self, node: Node, mode: LockMode) -> Option<u64> {
        self.holders += 1;
        self.lock_as(self.holders, node, mode).then_some(self.holders)
    }

    fn lock_as(&mut self, holder: u64, node: Node, mode: LockMode) -> bool {
        let holders = self.locks.entry(node).or_default();
        let is_free = holders.iter().all(|(_, held)| mode == LockMode::Shared && *held == LockMode::Shared);
        if is_free {
            holders.push((holder, mode));
        }
        is_free
    }

    fn unlock(&mut self, holder: u64, node: Node) {
        if let Some(holders) = self.locks.get_mut(&node) {
            holders.retain(|(held_by, _)| *held_by != holder);
        }
    }
}

impl Fs for SimFs {
    fn create(&self, path: &str, _: Access) -> io::Result<Box<dyn FsFile>> {
        let mut world = self.ask(|| Op::Create(path.into()));
        if world.disk.find(path)?.is_some() {
            return Err(Errno::EXIST.into());
        }
        let (dir, name) = world.disk.place(path)?;
        world.disk.check_takes_changes()?;
        let node = world.disk.add_file(dir, name, false);
        Ok(Box::new(SimFile { fs: self.clone(), path: path.into(), node, at: 0, writable: true }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn FsFile>> {
        let world = self.ask(|| Op::Open(path.into()));
        let node = world.disk.existing(path)?;
        if world.disk.is_dir(node) {
            return Err(not_a_file("a directory"));
        }
        Ok(Box::new(SimFile { fs: self.clone(), path: path.into(), node, at: 0, writable: false }))
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        let world = self.ask(|| Op::Stat(path.into()));
        let node = match world.disk.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(node.map(|node| match world.disk.files.get(&node) {
            Some(data) => Stat { kind: FileKind::File, bytes: data.now.len() as u64 },
            None => Stat { kind: FileKind::Directory, bytes: 0 },
        }))
    }

    fn create_dir(&self, path: &str) -> io::Result<bool> {
        let mut world = self.ask(|| Op::CreateDir(path.into()));
        if world.disk.find(path)?.is_some() {
            return Ok(false);
        }
        let (dir, name) = world.disk.place(path)?;
        world.disk.check_takes_changes()?;
        world.disk.add_dir(dir, name);
        Ok(true)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut world = self.ask(|| Op::Remove(path.into()));
        world.disk.existing_file(path)?;
        world.disk.check_takes_changes()?;
        let (dir, name) = world.disk.place(path)?;
        world.disk.change(vec![(dir, name.into(), None)]);
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut world = self.ask(|| Op::RemoveDir(path.into()));
        let node = world.disk.existing(path)?;
        match world.disk.dirs.get(&node) {
            None => return Err(Errno::NOTDIR.into()),
            Some(names) if !names.is_empty() => return Err(Errno::NOTEMPTY.into()),
            Some(_) => {}
        }
        world.disk.check_takes_changes()?;
        let (dir, name) = world.disk.place(path)?;
        world.disk.change(vec![(dir, name.into(), None)]);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.ask(|| Op::Rename(from.into(), to.into()));
        world.rename(from, to, true)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.ask(|| Op::RenameNew(from.into(), to.into()));
        world.rename(from, to, false)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let world = self.ask(|| Op::List(path.into()));
        let dir = world.disk.dir(path)?;
        let names = world.disk.dirs.get(&dir).into_iter().flatten();
        let listed = names.map(|(name, node)| DirEntry {
            name: name.to_string(),
            is_directory: world.disk.is_dir(*node),
            is_utf8: true,
        });
        Ok(listed.collect())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut world = self.ask(|| Op::SyncDir(path.into()));
        let dir = world.disk.dir(path)?;
        match world.next_sync.take() {
            None => world.disk.sync_dir(dir),
            Some(effect) => world.disk.fail_sync_dir(dir, effect),
        }
    }

    fn syncfs(&self) -> io::Result<Option<Box<dyn SyncFs>>> {
        if !self.world().offers_syncfs {
            return Ok(None);
        }
        drop(self.ask(|| Op::OpenSyncFs));
        Ok(Some(Box::new(SimSyncFs(self.clone()))))
    }

    fn try_lock(&self, path: &str, mode: LockMode) -> io::Result<Option<Box<dyn FsLock>>> {
        let mut world = self.ask(|| Op::Lock(path.into()));
        let node = match world.disk.find(path)? {
            Some(node) if world.disk.is_dir(node) => return Err(not_a_file("something else")),
            Some(node) => node,
            None => {
                let (dir, name) = world.disk.place(path)?;
                world.disk.check_takes_changes()?;
                world.disk.add_file(dir, name, true)
            }
        };
        if let Some(data) = world.disk.files.get_mut(&node) {
            data.is_note = true;
        }
        // Opening the file, locking it and looking up its name are three steps. Other processes run
        // between them.
        drop(world);
        let Some(holder) = self.world().lock(node, mode) else { return Ok(None) };
        let lock = SimLock { fs: self.clone(), path: path.into(), node, holder };
        let named = self.world().disk.find(path)?;
        Ok(if named == Some(node) { Some(Box::new(lock)) } else { None })
    }

    fn remove_locked(&self, path: &str, lock: &dyn FsLock) -> io::Result<()> {
        let mut world = self.ask(|| Op::Remove(path.into()));
        if (0, world.disk.existing(path)?) != lock.identity()? {
            return Ok(());
        }
        world.disk.check_takes_changes()?;
        let (dir, name) = world.disk.place(path)?;
        world.disk.change(vec![(dir, name.into(), None)]);
        Ok(())
    }

    fn is_same_dir(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn info(&self) -> io::Result<FsInfo> {
        Ok(FsInfo {
            filesystem: "simulated".into(),
            verdict: FsVerdict::Good,
            free_bytes: u64::MAX,
            fast_commit: Some(false),
        })
    }

    fn now(&self) -> Timestamp {
        let millis = START.saturating_add(i64::try_from(self.world().elapsed).unwrap_or(i64::MAX));
        Timestamp::from_jiff(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.world().elapsed)
    }

    fn sleep(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut world = self.world();
        world.elapsed = world.elapsed.saturating_add(millis);
        drop(world);
        // The thread that is waited for runs before the one that waits.
        #[cfg(feature = "shuttle")]
        crate::sync::thread::yield_now();
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        self.world().random.fill(&mut bytes);
        Ok(bytes)
    }

    fn process(&self) -> Process {
        let boot = Some(format!("simulated start {}", self.world().boot));
        Process { pid: 1, program: "simulated".into(), host: "simulated".into(), boot }
    }
}

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    path: String,
    node: Node,
    at: usize,
    writable: bool,
}

impl Read for SimFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let world = self.fs.ask(|| Op::Read(self.path.clone()));
        if self.writable {
            return Err(Errno::BADF.into());
        }
        let data = world.disk.files.get(&self.node).ok_or(Errno::IO)?;
        let read = data.now.get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.fs.ask(|| Op::Write(self.path.clone()));
        if !self.writable {
            return Err(Errno::BADF.into());
        }
        world.disk.check_takes_changes()?;
        world.disk.write(self.node, self.at, bytes);
        self.at += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FsFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        let world = self.fs.world();
        if let Some(watch) = &world.watch {
            watch.note(Op::Read(self.path.clone()));
        }
        Ok(world.disk.files.get(&self.node).ok_or(Errno::IO)?.now.len() as u64)
    }

    fn start_writeback(&self) {}

    fn sync(&self) -> io::Result<()> {
        let mut world = self.fs.ask(|| Op::Sync(self.path.clone()));
        match world.next_sync.take() {
            None => world.disk.sync_file(self.node),
            Some(effect) => world.disk.fail_sync_file(self.node, effect),
        }
    }
}

#[derive(Debug)]
struct SimSyncFs(SimFs);

impl SyncFs for SimSyncFs {
    fn sync(&self) -> io::Result<()> {
        let mut world = self.0.ask(|| Op::SyncFs);
        match world.next_sync.take() {
            None => world.disk.sync_all(),
            Some(effect) => world.disk.fail_sync_all(effect),
        }
    }
}

#[derive(Debug)]
struct SimLock {
    fs: SimFs,
    path: String,
    node: Node,
    holder: u64,
}

impl FsLock for SimLock {
    fn identity(&self) -> io::Result<(u64, u64)> {
        Ok((0, self.node))
    }

    fn is_last_holder(&self) -> bool {
        // Like `flock`: it gives up the shared lock before it asks for the exclusive one.
        self.fs.world().unlock(self.holder, self.node);
        self.fs.world().lock_as(self.holder, self.node, LockMode::Exclusive)
    }

    fn note(&self) -> io::Result<Vec<u8>> {
        let world = self.fs.world();
        if let Some(watch) = &world.watch {
            watch.note(Op::Note(self.path.clone()));
        }
        let now = &world.disk.files.get(&self.node).ok_or(Errno::IO)?.now;
        let read = now.len().min(usize::try_from(NOTE_MAX).unwrap_or(usize::MAX));
        Ok(now.get(..read).unwrap_or_default().trim_ascii_end().to_vec())
    }

    fn set_note(&self, note: &[u8]) -> io::Result<()> {
        let mut world = self.fs.ask(|| Op::Note(self.path.clone()));
        world.disk.check_takes_changes()?;
        let before = world.disk.files.get(&self.node).map_or(0, |data| data.now.len());
        let mut padded = note.to_vec();
        padded.resize(note.len().max(before), b' ');
        world.disk.write(self.node, 0, &padded);
        Ok(())
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.fs.world().unlock(self.holder, self.node);
    }
}
