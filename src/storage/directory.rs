//! A store in a directory tree.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::round::DirectoryRound;
use super::{Pin, Round, Scanned, Storage};
use crate::format::names::{DATA, LOCKS, Name};
use crate::format::pointer::Link;
use crate::fs::LockMode;
use crate::fs::{FileKind, Fs, FsFile, FsLock, Listed, not_a_file};
use crate::path::PATH_MAX;
use crate::revision::Generation;

/// The longest path that is looked into when a folder is scanned, in bytes: no name of ours is longer.
const SCAN_PATH_MAX: usize = PATH_MAX + 32;
/// How often a pin is tried while somebody is just removing it.
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

    /// Takes a lock, and makes the folder of locks where a copy of the store has lost it: it is often empty.
    fn try_lock(&self, path: &str, mode: LockMode) -> io::Result<Option<Box<dyn FsLock>>> {
        match self.fs.try_lock(path, mode) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.fs.make_dir(LOCKS)?;
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

    fn scan(&self, folder: &str) -> io::Result<Vec<Scanned>> {
        let is_of_files = folder.split('/').next() == Some(DATA);
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(dir) = folders.pop() {
            let names = match self.fs.list(&dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            for listed in names {
                let path = format!("{dir}/{}", listed.name);
                let goes_deeper = is_of_files && listed.is_utf8 && path.len() <= SCAN_PATH_MAX;
                if listed.is_directory && goes_deeper {
                    folders.push(path);
                    continue;
                }
                let name = Name::parse(&path).filter(|_| listed.is_utf8 && !listed.is_directory);
                found.push(Scanned { path, name });
            }
        }
        found.sort_by(|one, two| one.path.cmp(&two.path));
        Ok(found)
    }

    fn list_root(&self) -> io::Result<Vec<Listed>> {
        self.fs.list("")
    }

    fn delete(&self, name: &Name) -> io::Result<()> {
        self.fs.remove(&name.to_string())
    }

    fn round(&self) -> io::Result<Box<dyn Round>> {
        Ok(Box::new(DirectoryRound::new(Arc::clone(&self.fs))?))
    }

    /// The holder of the writer lock has read the pointer that is replaced, and no one else swaps it.
    fn swap_pointer(&self, _expected: Option<Link>, _new: &[u8]) -> io::Result<()> {
        self.fs.rename(&Name::NextPointer.to_string(), &Name::Pointer.to_string())
    }

    fn flush_pointer(&self) -> io::Result<()> {
        self.fs.flush_dir("")
    }

    fn replace_derived(&self, staged: &Name, derived: &Name) -> io::Result<()> {
        let derived = derived.to_string();
        // A copy of the store may have lost the folder, which is often empty.
        if let Some((folder, _)) = derived.rsplit_once('/') {
            self.fs.make_dir(folder)?;
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
                Ok(None) => self.fs.pause(Duration::from_millis(1)),
                Err(error) if cannot_write(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody holds the pin alone"))
    }

    fn is_in_place(&self) -> io::Result<bool> {
        self.fs.is_in_place()
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
            // Something else stands where the pins should be.
            | K::InvalidData
            | K::NotADirectory
    )
}

/// A lock that is shared by all who hold the generation. The system lets go of it with the process; the last holder to
/// drop it removes the name.
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
