//! One durability round: write everything first, start writeback on every file, then wait.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::sync::Arc;

use super::WriteBatch;
use crate::format::names::{LOCKS, Name, STAGING};
use crate::fs::{Access, Fs, FsFile, SyncFs};
use crate::revision::Generation;

/// From this many files and directories on, one syncfs stands in for theirs, where the
/// system allows it. Found by measurement: see `docs/durability.md`.
const SYNCFS_FROM: usize = 12;
/// The most files that are held open until they are fsynced.
const OPEN_MAX: usize = 64;

/// A round on a directory tree. `docs/durability.md` says why each fsync is there.
#[derive(Debug)]
pub(crate) struct DirectoryBatch {
    fs: Arc<dyn Fs>,
    /// Opened before the first write, so that it reports every error from then on.
    whole: Option<Box<dyn SyncFs>>,
    /// Written and not fsynced.
    open: Vec<Box<dyn FsFile>>,
    /// Files that were closed before they were fsynced, as the syncfs will cover them.
    closed: usize,
    /// Directories that gained a name, or that hold one that did, up to the root.
    dirs: BTreeSet<String>,
    made_dirs: Vec<String>,
    made: Vec<String>,
    promoted: BTreeMap<String, String>,
}

impl DirectoryBatch {
    pub(crate) fn new(fs: Arc<dyn Fs>) -> io::Result<Self> {
        let whole = fs.syncfs()?;
        let (dirs, made_dirs, made, promoted) = Default::default();
        Ok(Self { fs, whole, open: Vec::new(), closed: 0, dirs, made_dirs, made, promoted })
    }

    /// Makes a new file with the directories above it, and writes it.
    pub(crate) fn create(&mut self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>> {
        self.directories(path)?;
        let file = self.fs.create(path, access)?;
        self.made.push(path.to_owned());
        Ok(file)
    }

    /// Takes a file that has been written to its end.
    pub(crate) fn written(&mut self, file: Box<dyn FsFile>) -> io::Result<()> {
        file.start_writeback();
        self.open.push(file);
        if self.open.len() <= OPEN_MAX {
            return Ok(());
        }
        if self.whole.is_some() {
            self.closed += self.open.len();
            self.open.clear();
            return Ok(());
        }
        self.sync_open()
    }

    fn sync_open(&mut self) -> io::Result<()> {
        self.open.drain(..).try_for_each(|file| file.sync())
    }

    /// Leaves a name that says that a number was used, durably: without it nobody could tell after the next start of the
    /// machine. Of several numbers the highest says it of all.
    fn keep_used(&self, number: Generation) -> io::Result<()> {
        let mut batch = Self::new(Arc::clone(&self.fs))?;
        // What an earlier try has left may have failed to be fsynced.
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

    /// Makes the directories above a path, and remembers that all of them are to be fsynced.
    ///
    /// Also those that exist: another process may have made one and died before it fsynced it. A directory in
    /// which nothing is new costs next to nothing to fsync.
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
                self.made_dirs.push(directory.to_owned());
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
        // The name itself need not be durable: the file gets another one before anything refers to it.
        self.fs.create_dir(STAGING)?;
        let file = self.fs.create(&path, Access::ReadOnly)?;
        self.made.push(path);
        Ok((name, file))
    }

    fn staged(&mut self, file: Box<dyn FsFile>) -> io::Result<()> {
        self.written(file)
    }

    /// Writes `CURRENT.next`.
    fn stage_pointer(&mut self, pointer: &[u8]) -> io::Result<()> {
        // A crash may have left one. The commit that it belonged to is known by its manifest.
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
        if let Some(whole) = &self.whole
            && (self.closed > 0 || waiting >= SYNCFS_FROM)
        {
            whole.sync()?;
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
            self.made.iter().find_map(|path| Name::parse(path)?.generation()).filter(|_| keeps_number);
        let unkept = number.filter(|number| self.keep_used(*number).is_err());
        for (to, from) in std::mem::take(&mut self.promoted) {
            // Even that may need space that is not there.
            if self.fs.rename_new(&to, &from).is_err() {
                let _ = self.fs.remove(&to);
            }
        }
        for path in self.made.drain(..) {
            let _ = self.fs.remove(&path);
        }
        for dir in self.made_dirs.drain(..).rev() {
            let _ = self.fs.remove_dir(&dir);
        }
        // What was removed may have made space for it. Where it fails again, only the note in the writer lock says it,
        // until the machine stops.
        if let Some(number) = unkept {
            let _ = self.keep_used(number);
        }
    }
}
