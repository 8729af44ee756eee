//! Files from outside the store, put into a transaction.

use std::path::Path;
use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::engine::changeset::{Content, PendingChange};
use crate::engine::content;
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::format::entry::Entry;
use crate::fs::source::{Fingerprint, Source, Walk};
use crate::hash::Blake3;
use crate::path::StorePath;
use crate::progress::{Progress, ProgressFn};
use crate::transaction::Transaction;

/// How often a file is read in all if it changes while it is read.
const TRIES: u32 = 3;

/// The options of [`Transaction::put_dir`].
///
/// ```
/// # use genstore::PutDirOptions;
/// let options = PutDirOptions::new().into_dir("shops").prune(true).follow_links(true);
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct PutDirOptions {
    prune: bool,
    into: String,
    follow_links: bool,
    progress: Option<ProgressFn>,
    cancel: CancelFlag,
}

impl PutDirOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to remove the paths that the directory does not have, below
    /// [`into_dir`](Self::into_dir). `false` by default.
    pub const fn prune(mut self, prune: bool) -> Self {
        self.prune = prune;
        self
    }

    /// The directory in the store that receives the files. The root of the store by default.
    pub fn into_dir(mut self, dir: impl AsRef<str>) -> Self {
        dir.as_ref().trim_end_matches('/').clone_into(&mut self.into);
        self
    }

    /// Whether to follow symbolic links. `false` by default: a symbolic link is then an error.
    pub const fn follow_links(mut self, follow: bool) -> Self {
        self.follow_links = follow;
        self
    }

    /// Calls `callback` after every file. See [`Progress`].
    pub fn progress(mut self, callback: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(callback));
        self
    }

    /// A flag that stops the call between two files. The transaction then has a part of the
    /// directory. The [flag of the handle](crate::OpenOptions::cancel) stops it too.
    pub fn cancel(mut self, flag: CancelFlag) -> Self {
        self.cancel = flag;
        self
    }
}

impl std::fmt::Debug for PutDirOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { prune, into, follow_links, .. } = self;
        f.debug_struct("PutDirOptions")
            .field("prune", prune)
            .field("into", into)
            .field("follow_links", follow_links)
            .finish_non_exhaustive()
    }
}

/// What [`Transaction::put_dir`] has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PutDirReport {
    /// The number of files.
    pub files: u64,
    /// The length of these files together, in bytes.
    pub bytes: u64,
}

impl Transaction {
    /// Puts a file from outside the store under a path. The content is never in memory as a whole.
    ///
    /// Symbolic links are followed. A file that changes while it is read is read again, three times
    /// in all.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let file = dir.path().join("hours.txt");
    /// std::fs::write(&file, "9-17").unwrap();
    /// store.update("open", |tx| tx.put_file("hours", &file))?;
    /// assert_eq!(store.snapshot()?.get("hours")?, b"9-17");
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when `path` is not a [valid path](StorePath), or `file` is not a regular file or
    /// keeps changing. `Io` when the file cannot be read or staged.
    pub fn put_file(&mut self, path: impl AsRef<str>, file: impl AsRef<Path>) -> Result<()> {
        self.put_source(StorePath::new(path.as_ref())?, file.as_ref(), true).map(drop)
    }

    /// Puts every file below a directory from outside the store, each under its name in that
    /// directory.
    ///
    /// The files that are read are one consistent state: if a file or directory changes meanwhile,
    /// the call fails.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let source = dir.path().join("source");
    /// std::fs::create_dir(&source).unwrap();
    /// std::fs::write(source.join("hours"), "9-17").unwrap();
    ///
    /// let options = genstore::PutDirOptions::new().into_dir("shop").prune(true);
    /// let mut tx = store.begin()?;
    /// let read = tx.put_dir(&source, &options)?;
    /// tx.commit("as in the directory")?;
    /// assert_eq!(read.files, 1);
    /// assert_eq!(store.snapshot()?.get("shop/hours")?, b"9-17");
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// After an error the transaction may have a part of the directory, so do not commit it.
    /// * `Invalid` when something in the directory cannot be committed; the error names it. That is
    ///   a name that is not a valid path, a symbolic link that is not to be followed, a FIFO, a
    ///   socket, a device, a store, or a file or directory that changes while it is read. Also when
    ///   [`prune`](PutDirOptions::prune) is set and the directory has no file.
    /// * `Io` when something cannot be read or staged, or a [`CancelFlag`] stopped the call.
    pub fn put_dir(&mut self, dir: impl AsRef<Path>, options: &PutDirOptions) -> Result<PutDirReport> {
        let engine = Arc::clone(&self.base.engine);
        let go_on = || options.cancel.check().and_then(|()| engine.check_cancel());
        let walk = Walk::of(dir.as_ref(), engine.dir(), options.follow_links, &go_on)?;
        let directory = match options.into.as_str() {
            "" => String::new(),
            into => format!("{}/", StorePath::new(into)?),
        };
        let named =
            walk.files.iter().map(|found| match StorePath::new(&format!("{directory}{}", found.relative)) {
                Ok(path) => Ok((path, found)),
                Err(source) => Err(ErrorRepr::BadSourceName { file: found.file.clone(), source }),
            });
        let named: Vec<_> = named.collect::<Result<_, _>>()?;
        let mut progress = Progress::of(walk.files.iter().map(|found| found.bytes));
        if options.prune {
            if named.is_empty() {
                return Err(ErrorRepr::NothingToKeep(dir.as_ref().into()).into());
            }
            for path in self.list(&directory) {
                if named.binary_search_by(|(named, _)| named.cmp(&path)).is_err() {
                    self.remove(&path)?;
                }
            }
        }
        let mut read = Vec::with_capacity(named.len());
        for (path, found) in named {
            go_on()?;
            let fingerprint = self.put_source(path, &found.file, options.follow_links)?;
            read.push(fingerprint);
            progress.done(fingerprint.bytes);
            if let Some(callback) = &options.progress {
                callback(&progress);
            }
        }
        walk.check_unchanged(&read)?;
        Ok(PutDirReport { files: progress.files_done, bytes: progress.bytes_done })
    }

    /// Puts one file. Returns its fingerprint from before it was read.
    fn put_source(&mut self, path: StorePath, file: &Path, follow: bool) -> Result<Fingerprint> {
        for _ in 0..TRIES {
            let mut source = Source::open(file, follow)?;
            let cannot_read = |error| Error::io(Operation::Read, file.display().to_string(), error);
            let bytes = source.bytes();
            // If the base has the same content, nothing needs to be staged.
            if self.base_entry(&path).is_some_and(|live| live.bytes == bytes) {
                let blake3 = self.hash(&mut source, file)?;
                let storage = self.base.engine.storage();
                let is_there = |live: &&Entry| live.blake3 == blake3 && !content::is_damaged(storage, live);
                let same = self.base_entry(&path).filter(is_there).cloned();
                if let Some(live) = same {
                    if !source.is_unchanged().map_err(cannot_read)? {
                        continue;
                    }
                    self.changes.insert(path, PendingChange::Link(live));
                    return Ok(source.fingerprint());
                }
                source = Source::open(file, follow)?;
            }
            let (name, bytes, blake3) = self.stream(&path, &mut source, Operation::ReadFile)?;
            if source.is_unchanged().map_err(cannot_read)? && bytes == source.bytes() {
                self.changes
                    .insert(path, PendingChange::Write { bytes, blake3, content: Content::Staged(name) });
                return Ok(source.fingerprint());
            }
            let _ = self.base.engine.storage().delete(&name);
        }
        Err(ErrorRepr::SourceChanged(file.into()).into())
    }

    fn hash(&self, source: &mut Source, file: &Path) -> Result<Blake3> {
        let unreadable = |error| Error::io(Operation::Read, file.display().to_string(), error);
        self.base.engine.check_cancel()?;
        let expected = source.bytes();
        let (_, blake3) =
            content::copy_hashed(source, expected, unreadable, |_| self.base.engine.check_cancel())?;
        Ok(blake3)
    }
}
