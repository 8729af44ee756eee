//! One write batch: write everything first, start writeback on every file, then wait.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::sync::Arc;

use super::WriteBatch;
use crate::format::names::{LOCKS, Name, STAGING};
use crate::fs::{Access, Fs, FsFile, SyncFs};
use crate::revision::Generation;

/// From this many files and directories on, one syncfs replaces their fsyncs, where the system
/// allows it. Found by measurement: see `docs/durability.md`.
const SYNCFS_FROM: usize = 12;
/// The most files that stay open until they are fsynced.
const OPEN_MAX: usize = 64;

/// A write batch on a directory tree. `docs/durability.md` says why each fsync is there.
#[derive(Debug)]
pub(crate) struct DirectoryBatch {
    fs: Arc<dyn Fs>,
    /// Opened before the first write, so that it reports every error since then.
    syncfs: Option<Box<dyn SyncFs>>,
    /// Files that were written but not fsynced.
    open: Vec<Box<dyn FsFile>>,
    /// The number of files that were closed before an fsync: the syncfs will cover them.
    closed: usize,
    /// Directories to fsync: those that gained a name, and all above them up to the root.
    dirs: BTreeSet<String>,
    created_dirs: Vec<String>,
    created: Vec<String>,
    /// New names of staging files, with the old ones.
    promoted: BTreeMap<String, String>,
}

impl DirectoryBatch {
    pub(crate) fn new(fs: Arc<dyn Fs>) -> io::Result<Self> {
        let syncfs = fs.syncfs()?;
        Ok(Self {
            fs,
            syncfs,
            open: Vec::new(),
            closed: 0,
            dirs: BTreeSet::new(),
            created_dirs: Vec::new(),
            created: Vec::new(),
            promoted: BTreeMap::new(),
        })
    }

    /// Creates a file and the missing directories above it. The caller writes it and gives it to
    /// [`written`](Self::written).
    pub(crate) fn create(&mut self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>> {
        self.directories(path)?;
        let file = self.fs.create(path, access)?;
        self.created.push(path.to_owned());
        Ok(file)
    }

    /// Takes a file that was written to its end.
    pub(crate) fn written(&mut self, file: Box<dyn FsFile>) -> io::Result<()> {
        file.start_writeback();
        self.open.push(file);
        if self.open.len() <= OPEN_MAX {
            return Ok(());
        }
        if self.syncfs.is_some() {
            self.closed += self.open.len();
            self.open.clear();
            return Ok(());
        }
        self.sync_open()
    }

    fn sync_open(&mut self) -> io::Result<()> {
        self.open.drain(..).try_for_each(|file| file.sync())
    }

    /// Records durably, as an empty file, that a number was used. Without it the next start of the
    /// machine could reuse the number. Only the highest of several such files is kept, as it covers
    /// the lower ones.
    fn keep_used(&self, number: Generation) -> io::Result<()> {
        let mut batch = Self::new(Arc::clone(&self.fs))?;
        // An earlier attempt may have left the file, but failed to fsync it.
        let _ = self.fs.remove(&Name::Used(number).to_string());
        batch.put(&Name::Used(number), b"")?;
        batch.sync()?;
        for listed in self.fs.list(LOCKS)? {
            if let Some(name @ Name::Used(lower)) = Name::parse(&format!("{LOCKS}/{}", listed.name))
                && lower < number
            {
                self.fs.remove(&name.to_string())?;
            }
        }
        Ok(())
    }

    /// Creates the directories above a path, and remembers all of them for the sync.
    ///
    /// That includes those that exist: another process may have created one and died before its
    /// fsync. Fsyncing a directory in which nothing is new costs next to nothing.
    fn directories(&mut self, path: &str) -> io::Result<()> {
        let Some((dir, _)) = path.rsplit_once('/') else {
            self.dirs.insert(String::new());
            return Ok(());
        };
        if self.dirs.contains(dir) {
            return Ok(());
        }
        self.dirs.insert(String::new());
        for directory in crate::path::directories(path) {
            if self.dirs.contains(directory) {
                continue;
            }
            if self.fs.create_dir(directory)? {
                self.created_dirs.push(directory.to_owned());
            }
            self.dirs.insert(directory.to_owned());
        }
        Ok(())
    }
}

impl WriteBatch for DirectoryBatch {
    fn put(&mut self, name: &Name, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(&name.to_string(), Access::ReadOnly)?;
        file.write_all(bytes)?;
        self.written(file)
    }

    fn stage(&mut self) -> io::Result<(Name, Box<dyn FsFile>)> {
        let [a, b, c, d, e, f, g, h, ..] = self.fs.random()?;
        let name = Name::Staged(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let path = name.to_string();
        // This name need not be durable: the file gets another name before anything refers to it.
        self.fs.create_dir(STAGING)?;
        let file = self.fs.create(&path, Access::ReadOnly)?;
        self.created.push(path);
        Ok((name, file))
    }

    fn staged(&mut self, file: Box<dyn FsFile>) -> io::Result<()> {
        self.written(file)
    }

    /// Writes `CURRENT.next`.
    fn stage_pointer(&mut self, pointer: &[u8]) -> io::Result<()> {
        // A crash may have left one. The manifest still shows the commit to which it belonged.
        match self.fs.remove(&Name::NextPointer.to_string()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.put(&Name::NextPointer, pointer),
        }
    }

    fn promote(&mut self, staged: &Name, name: &Name) -> io::Result<()> {
        let (from, to) = (staged.to_string(), name.to_string());
        self.directories(&to)?;
        self.fs.rename_new(&from, &to)?;
        self.dirs.insert(STAGING.to_owned());
        self.promoted.insert(to, from);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let waiting = self.open.len() + self.dirs.len();
        if let Some(syncfs) = &self.syncfs
            && (self.closed > 0 || waiting >= SYNCFS_FROM)
        {
            syncfs.sync()?;
            self.open.clear();
        } else {
            self.sync_open()?;
            self.dirs.iter().try_for_each(|dir| self.fs.sync_dir(dir))?;
        }
        self.dirs.clear();
        Ok(())
    }

    fn discard(&mut self, keeps_number: bool) {
        self.open.clear();
        let number =
            self.created.iter().find_map(|path| Name::parse(path)?.generation()).filter(|_| keeps_number);
        let unkept = number.filter(|number| self.keep_used(*number).is_err());
        for (to, from) in std::mem::take(&mut self.promoted) {
            // Even this may need space that the disk does not have.
            if self.fs.rename_new(&to, &from).is_err() {
                let _ = self.fs.remove(&to);
            }
        }
        for path in self.created.drain(..) {
            let _ = self.fs.remove(&path);
        }
        for dir in self.created_dirs.drain(..).rev() {
            let _ = self.fs.remove_dir(&dir);
        }
        // The removals may have made space for it. If it fails again, only the note in the writer
        // lock knows the number, until the machine stops.
        if let Some(number) = unkept {
            let _ = self.keep_used(number);
        }
    }
}
