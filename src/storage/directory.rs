//! A store in a directory tree.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::batch::DirectoryBatch;
use super::{FoundName, Pin, Storage, WriteBatch};
use crate::format::names::{DATA, LOCKS, Name};
use crate::format::pointer::ManifestRef;
use crate::fs::LockMode;
use crate::fs::{DirEntry, FileKind, Fs, FsFile, FsLock, not_a_file};
use crate::path::PATH_MAX;
use crate::revision::Generation;

/// The longest directory path that a scan enters, in bytes. No name of the store is longer.
const SCAN_PATH_MAX: usize = PATH_MAX + 32;
/// How often a pin is tried while another process is removing it.
const PIN_TRIES: u32 = 100;

/// The directory tree of a store.
#[derive(Debug)]
pub(crate) struct Directory {
    fs: Arc<dyn Fs>,
}

impl Directory {
    pub(crate) fn new(fs: Arc<dyn Fs>) -> Self {
        Self { fs }
    }

    /// Takes a lock. Creates the directory of locks if it is missing: it is often empty, so a copy
    /// of the store may lack it.
    fn try_lock(&self, path: &str, mode: LockMode) -> io::Result<Option<Box<dyn FsLock>>> {
        match self.fs.try_lock(path, mode) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.fs.create_dir(LOCKS)?;
                self.fs.try_lock(path, mode)
            }
            other => other,
        }
    }
}

impl Storage for Directory {
    fn open(&self, name: &Name) -> io::Result<Box<dyn FsFile>> {
        self.fs.open(&name.to_string())
    }

    fn bytes(&self, name: &Name) -> io::Result<Option<u64>> {
        match self.fs.stat(&name.to_string())? {
            None => Ok(None),
            Some(stat) if stat.kind == FileKind::File => Ok(Some(stat.bytes)),
            Some(_) => Err(not_a_file("something else")),
        }
    }

    fn scan(&self, directory: &str) -> io::Result<Vec<FoundName>> {
        let is_in_data = directory.split('/').next() == Some(DATA);
        let mut found = Vec::new();
        let mut directories = vec![directory.to_owned()];
        while let Some(dir) = directories.pop() {
            let names = match self.fs.list(&dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            for listed in names {
                let path = format!("{dir}/{}", listed.name);
                let goes_deeper = is_in_data && listed.is_utf8 && path.len() <= SCAN_PATH_MAX;
                if listed.is_directory && goes_deeper {
                    directories.push(path);
                    continue;
                }
                let name = Name::parse(&path).filter(|_| listed.is_utf8 && !listed.is_directory);
                found.push(FoundName { path, name });
            }
        }
        found.sort_by(|one, two| one.path.cmp(&two.path));
        Ok(found)
    }

    fn list_root(&self) -> io::Result<Vec<DirEntry>> {
        self.fs.list("")
    }

    fn delete(&self, name: &Name) -> io::Result<()> {
        self.fs.remove(&name.to_string())
    }

    fn begin_batch(&self) -> io::Result<Box<dyn WriteBatch>> {
        Ok(Box::new(DirectoryBatch::new(Arc::clone(&self.fs))?))
    }

    /// Compares nothing: the holder of the writer lock has read the old pointer, and no other
    /// process swaps it.
    fn swap_pointer(&self, _expected: Option<ManifestRef>, _new: &[u8]) -> io::Result<()> {
        self.fs.rename(&Name::NextPointer.to_string(), &Name::Pointer.to_string())
    }

    fn sync_pointer(&self) -> io::Result<()> {
        self.fs.sync_dir("")
    }

    fn replace_derived(&self, staged: &Name, derived: &Name) -> io::Result<()> {
        let derived = derived.to_string();
        // The directory is often empty, so a copy of the store may lack it.
        if let Some((directory, _)) = derived.rsplit_once('/') {
            self.fs.create_dir(directory)?;
        }
        self.fs.rename(&staged.to_string(), &derived)
    }

    fn try_lock_writer(&self) -> io::Result<Option<Box<dyn FsLock>>> {
        self.try_lock(&Name::WriterLock.to_string(), LockMode::Exclusive)
    }

    fn writer_note(&self) -> io::Result<Vec<u8>> {
        let mut note = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(self.open(&Name::WriterLock)?, 4096), &mut note)?;
        Ok(note)
    }

    fn pin(&self, generation: Generation) -> io::Result<Option<Box<dyn Pin>>> {
        let path = Name::Pin(generation).to_string();
        for _ in 0..PIN_TRIES {
            match self.try_lock(&path, LockMode::Shared) {
                Ok(Some(lock)) => {
                    let fs = Arc::clone(&self.fs);
                    return Ok(Some(Box::new(LockedPin { fs, path, lock })));
                }
                Ok(None) => self.fs.sleep(Duration::from_millis(1)),
                Err(error) if cannot_write(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process holds the pin exclusively"))
    }

    fn is_same_dir(&self) -> io::Result<bool> {
        self.fs.is_same_dir()
    }

    fn system(&self) -> &dyn Fs {
        &*self.fs
    }
}

fn cannot_write(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::PermissionDenied
            | K::ReadOnlyFilesystem
            | K::StorageFull
            | K::QuotaExceeded
            // Something other than a directory stands where the pins should be.
            | K::InvalidData
            | K::NotADirectory
    )
}

/// A lock that all holders of the generation share. The system releases it with the process. The
/// last holder to drop it removes the file.
#[derive(Debug)]
struct LockedPin {
    fs: Arc<dyn Fs>,
    path: String,
    lock: Box<dyn FsLock>,
}

impl Pin for LockedPin {}

impl Drop for LockedPin {
    fn drop(&mut self) {
        if self.lock.is_last_holder() {
            let _ = self.fs.remove_locked(&self.path, &*self.lock);
        }
    }
}
