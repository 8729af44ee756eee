//! Putting files from outside the store into a transaction.

use std::path::Path;
use std::sync::Arc;

use crate::engine::changeset::{Content, Planned};
use crate::engine::content;
use crate::error::{Error, Operation, Problem, Result};
use crate::format::entry::Entry;
use crate::fs::source::{Fingerprint, Source, Walk};
use crate::hash::Blake3;
use crate::path::StorePath;
use crate::transaction::Transaction;

/// How often a file that changes while it is read is read again.
const TRIES: u32 = 3;

/// How far something long has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Files done.
    pub files_done: u64,
    /// Files in all.
    pub files_total: u64,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

impl Progress {
    /// Nothing done of files of these lengths. What is told may be hostile, so sums end at the largest number.
    pub(crate) fn of(lengths: impl Iterator<Item = u64>) -> Self {
        lengths.fold(Self::default(), |sum, bytes| Self {
            files_total: sum.files_total + 1,
            bytes_total: sum.bytes_total.saturating_add(bytes),
            ..sum
        })
    }

    /// One more file of this length is done.
    pub(crate) const fn done(&mut self, bytes: u64) {
        self.files_done += 1;
        self.bytes_done = self.bytes_done.saturating_add(bytes);
    }
}

/// Who wants to know how far something has come. It may be called from several threads.
pub type ProgressFn = Arc<dyn Fn(&Progress) + Send + Sync>;

/// How a directory is put into a transaction.
#[derive(Clone, Default)]
pub struct PutDir {
    /// Whether paths that the directory does not have are removed.
    pub prune: bool,
    /// The folder of the store that it is put into; the whole store unless set.
    pub into: Option<String>,
    /// Whether symbolic links are followed. They are refused otherwise.
    pub follow_links: bool,
    /// Told of every file that has been read.
    pub progress: Option<ProgressFn>,
}

impl std::fmt::Debug for PutDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { prune, into, follow_links, .. } = self;
        f.debug_struct("PutDir")
            .field("prune", prune)
            .field("into", into)
            .field("follow_links", follow_links)
            .finish_non_exhaustive()
    }
}

/// What was read of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PutDirReport {
    /// The number of files.
    pub files: u64,
    /// Their length, in bytes.
    pub bytes: u64,
}

impl Transaction {
    /// Puts a file from outside the store under a path. It is streamed, and never in memory as a whole.
    ///
    /// A file that changes while it is read is read again, and refused when it keeps changing.
    ///
    /// # Errors
    /// `Invalid` when it is no path, not a regular file or keeps changing; `Io` when it cannot be read or staged.
    pub fn put_file(&mut self, path: impl AsRef<str>, file: impl AsRef<Path>) -> Result<()> {
        self.put_source(StorePath::new(path.as_ref())?, file.as_ref(), true).map(drop)
    }

    /// Puts every file below a directory, each under its name there.
    ///
    /// # Errors
    /// `Invalid`, naming the file, when something in it cannot be saved: a name that is no path of a store, a
    /// symbolic link unless they are to be followed, a FIFO, a socket, a device, a store, or a file or folder that
    /// changes while it is read. `Io` when something cannot be read or staged. The transaction may then hold a part
    /// of the directory.
    pub fn put_dir(&mut self, dir: impl AsRef<Path>, options: &PutDir) -> Result<PutDirReport> {
        let engine = Arc::clone(&self.base.engine);
        let walk = Walk::of(dir.as_ref(), engine.dir(), options.follow_links, &|| engine.check_cancel())?;
        let folder = match options.into.as_deref().map(|into| into.trim_end_matches('/')) {
            None | Some("") => String::new(),
            Some(into) => format!("{}/", StorePath::new(into)?),
        };
        let named = walk
            .files
            .iter()
            .map(|found| Ok((StorePath::new(&format!("{folder}{}", found.relative))?, found)));
        let named: Vec<_> = named.collect::<Result<_>>()?;
        let mut progress = Progress::of(walk.files.iter().map(|found| found.bytes));
        if options.prune {
            if named.is_empty() {
                let rule = "it holds no file, and pruning would remove everything".to_owned();
                return Err(Problem::BadSource { file: dir.as_ref().into(), rule }.into());
            }
            for path in self.list(&folder)? {
                if named.binary_search_by(|(named, _)| named.cmp(&path)).is_err() {
                    self.remove(path.as_str())?;
                }
            }
        }
        let mut read = Vec::with_capacity(named.len());
        for (path, found) in named {
            let fingerprint = self.put_source(path, &found.file, options.follow_links)?;
            read.push(fingerprint);
            progress.done(fingerprint.bytes);
            if let Some(tell) = &options.progress {
                tell(&progress);
            }
        }
        walk.check_unchanged(&read)?;
        Ok(PutDirReport { files: progress.files_done, bytes: progress.bytes_done })
    }

    /// Puts one file, and gives what it was when it was read.
    fn put_source(&mut self, path: StorePath, file: &Path, follow: bool) -> Result<Fingerprint> {
        for _ in 0..TRIES {
            let mut source = Source::open(file, follow)?;
            let cannot_read = |error| Error::io(Operation::Read, file.display().to_string(), error);
            let bytes = source.bytes();
            // What the base has already need not be written only to be compared.
            if self.base_entry(&path).is_some_and(|live| live.bytes == bytes) {
                let blake3 = self.hash(&mut source, file)?;
                let storage = self.base.engine.storage();
                let is_there = |live: &&Entry| live.blake3 == blake3 && !content::is_damaged(storage, live);
                let same = self.base_entry(&path).filter(is_there).cloned();
                if let Some(live) = same {
                    if !source.is_unchanged().map_err(cannot_read)? {
                        continue;
                    }
                    self.changes.insert(path, Planned::Link(live));
                    return Ok(source.fingerprint());
                }
                source = Source::open(file, follow)?;
            }
            let (name, bytes, blake3) = self.stream(&path, &mut source, Operation::ReadFile)?;
            if source.is_unchanged().map_err(cannot_read)? && bytes == source.bytes() {
                self.changes.insert(path, Planned::Write { bytes, blake3, content: Content::Staged(name) });
                return Ok(source.fingerprint());
            }
            let _ = self.base.engine.storage().delete(&name);
        }
        Err(Problem::SourceChanged(file.into()).into())
    }

    fn hash(&self, source: &mut Source, file: &Path) -> Result<Blake3> {
        let unreadable = |error| Error::io(Operation::Read, file.display().to_string(), error);
        self.base.engine.check_cancel()?;
        let expected = source.bytes();
        let (_, blake3) = content::drain(source, expected, unreadable, |_| self.base.engine.check_cancel())?;
        Ok(blake3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lengths_do_not_overflow_the_sums() {
        let mut progress = Progress::of([u64::MAX, 5].into_iter());
        assert_eq!((progress.files_total, progress.bytes_total), (2, u64::MAX));
        progress.done(u64::MAX);
        progress.done(5);
        assert_eq!((progress.files_done, progress.bytes_done), (2, u64::MAX));
    }
}
