//! File locks. Every use of `fs2` is in this file, so that replacing it is quick.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;

use super::{FsLock, LockMode};

/// The longest note that is read from a lock file, in bytes.
pub(crate) const NOTE_MAX: u64 = 4096;

/// A lock on a file of the operating system.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

/// Takes the lock of an open file, unless another holder excludes `mode`.
pub(crate) fn try_lock(file: File, mode: LockMode) -> io::Result<Option<FileLock>> {
    match ask(&file, mode) {
        Ok(()) => Ok(Some(FileLock { file })),
        Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => Ok(None),
        Err(error) => Err(error),
    }
}

fn ask(file: &File, mode: LockMode) -> io::Result<()> {
    match mode {
        LockMode::Shared => fs2::FileExt::try_lock_shared(file),
        LockMode::Exclusive => fs2::FileExt::try_lock_exclusive(file),
    }
}

impl FsLock for FileLock {
    fn identity(&self) -> io::Result<(u64, u64)> {
        let meta = self.file.metadata()?;
        Ok((meta.dev(), meta.ino()))
    }

    fn is_last_holder(&self) -> bool {
        ask(&self.file, LockMode::Exclusive).is_ok()
    }

    fn note(&self) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut note = Vec::new();
        file.take(NOTE_MAX).read_to_end(&mut note)?;
        note.truncate(note.trim_ascii_end().len());
        Ok(note)
    }

    /// One write, so that a killed process leaves this note or the one before, never half of one.
    /// Spaces overwrite the rest of a longer note.
    fn set_note(&self, note: &[u8]) -> io::Result<()> {
        let mut file = &self.file;
        let before = usize::try_from(file.metadata()?.len().min(NOTE_MAX)).unwrap_or_default();
        let mut padded = note.to_vec();
        padded.resize(note.len().max(before), b' ');
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&padded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_exclude_each_other_and_a_drop_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(dir.path().join("lock"))
                .unwrap()
        };
        let first = try_lock(open(), LockMode::Shared).unwrap().unwrap();
        let second = try_lock(open(), LockMode::Shared).unwrap().unwrap();
        assert!(try_lock(open(), LockMode::Exclusive).unwrap().is_none());
        assert!(!first.is_last_holder());
        drop(second);
        assert!(first.is_last_holder());
        assert!(try_lock(open(), LockMode::Shared).unwrap().is_none());
        first.set_note(b"longer").unwrap();
        first.set_note(b"note").unwrap();
        assert_eq!(first.note().unwrap(), b"note");
        assert_eq!(first.file.metadata().unwrap().len(), 6, "one write has replaced all of the longer note");
        drop(first);
        assert!(try_lock(open(), LockMode::Exclusive).unwrap().is_some());
    }
}
