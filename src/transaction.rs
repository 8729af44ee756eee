//! Changes on a base generation. They become one generation together, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::iter::Peekable;
use std::ops::Bound;
use std::vec;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::engine::changeset::{ChangeSet, CommitRequest, Content, PendingChange};
use crate::engine::commit::Outcome;
use crate::engine::content;
use crate::engine::table::Listing;
use crate::error::{Error, ErrorKind, ErrorRepr, Operation, Result};
use crate::format::entry::Entry;
use crate::format::manifest::GenerationKind;
use crate::format::names::Name;
use crate::hash::Blake3;
use crate::json_value;
use crate::path::StorePath;
use crate::revision::Generation;
use crate::snapshot::Snapshot;
use crate::storage::WriteBatch;

/// Content that is in memory already stays there until the commit, up to this length in bytes.
const INLINE_MAX: usize = 64 << 10;
/// The most content that one transaction keeps in memory, in bytes.
const INLINE_TOTAL_MAX: usize = 8 << 20;

/// Changes that become one generation when they are [committed](Transaction::commit).
///
/// [`Store::update`](crate::Store::update) passes one to its closure and commits it;
/// [`Store::begin`](crate::Store::begin) gives one to the caller.
///
/// Nothing of a transaction is visible before the commit, and a dropped transaction leaves nothing
/// behind. It holds no lock. Instead it remembers which paths of its base it reads and writes. If
/// another writer changes one of them first, the commit fails with
/// [`Conflict`](ErrorKind::Conflict).
#[derive(Debug)]
#[must_use = "a transaction that is dropped commits nothing"]
pub struct Transaction {
    pub(crate) base: Snapshot,
    pub(crate) changes: BTreeMap<StorePath, PendingChange>,
    pub(crate) read_set: BTreeSet<StorePath>,
    pub(crate) scan_set: BTreeSet<String>,
    pub(crate) restores: Option<Generation>,
    overwrite: bool,
    author: Option<String>,
    metadata: BTreeMap<String, Value>,
    /// The content that is in staging files.
    staging: Option<Box<dyn WriteBatch>>,
    inline: usize,
}

/// The paths of a transaction, sorted. See [`Transaction::list`].
#[derive(Clone, Debug)]
#[must_use = "iterators do nothing unless they are consumed"]
pub struct Paths {
    base: Peekable<Listing>,
    /// The changed paths, and whether each exists afterwards.
    changes: Peekable<vec::IntoIter<(StorePath, bool)>>,
}

impl Iterator for Paths {
    type Item = StorePath;

    fn next(&mut self) -> Option<StorePath> {
        loop {
            let Some((changed, _)) = self.changes.peek() else {
                return self.base.next().map(|entry| entry.path);
            };
            if let Some(entry) = self.base.next_if(|entry| entry.path <= *changed)
                && entry.path < *changed
            {
                return Some(entry.path);
            }
            if let Some((path, true)) = self.changes.next() {
                return Some(path);
            }
        }
    }
}

/// What a commit did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Commit {
    /// The generation that has the committed state.
    pub generation: Generation,
    /// Whether that generation is new. `false` when the newest generation had the same state
    /// already.
    pub changed: bool,
    /// The number of paths that the commit put.
    pub put: u64,
    /// The number of paths that the commit removed.
    pub removed: u64,
    /// The length of the file content that the commit wrote, in bytes. A rename or a rollback
    /// writes none.
    pub bytes: u64,
}

impl Transaction {
    pub(crate) const fn new(base: Snapshot) -> Self {
        Self {
            base,
            changes: BTreeMap::new(),
            read_set: BTreeSet::new(),
            scan_set: BTreeSet::new(),
            restores: None,
            overwrite: false,
            author: None,
            metadata: BTreeMap::new(),
            staging: None,
            inline: 0,
        }
    }

    /// The generation on which this transaction began.
    #[must_use]
    pub fn base(&self) -> Generation {
        self.base.generation()
    }

    /// Sets the author of the commit, in place of that of the [handle](crate::OpenOptions::author).
    /// At most 1024 bytes.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let mut tx = store.begin()?;
    /// tx.put("hours", "9-17")?;
    /// tx.author("ann").metadata("ticket", 17.into());
    /// let commit = tx.commit("open")?;
    /// let shown = store.show(commit.generation)?;
    /// assert_eq!((shown.author.as_str(), &shown.metadata["ticket"]), ("ann", &17.into()));
    /// # Ok::<(), genstore::Error>(())
    /// ```
    pub fn author(&mut self, author: &str) -> &mut Self {
        self.author = Some(author.to_owned());
        self
    }

    /// Adds a field of the application's own to the manifest.
    /// [`HistoryEntry::metadata`](crate::HistoryEntry::metadata) has it. All fields together take
    /// at most 1 MiB as JSON.
    pub fn metadata(&mut self, key: &str, value: Value) -> &mut Self {
        self.metadata.insert(key.to_owned(), value);
        self
    }

    /// Whether the commit replaces what other writers have committed under the same paths since the
    /// base. `false` by default: the commit then fails with `Conflict`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let mut tx = store.begin()?;
    /// store.update("theirs", |tx| tx.put("hours", "9-20"))?;
    /// tx.put("hours", "9-17")?;
    /// tx.overwrite(true);
    /// tx.commit("whatever was there")?;
    /// assert_eq!(store.snapshot()?.get("hours")?, b"9-17");
    /// # Ok::<(), genstore::Error>(())
    /// ```
    pub const fn overwrite(&mut self, overwrite: bool) -> &mut Self {
        self.overwrite = overwrite;
        self
    }

    /// Puts these bytes under a path. They replace the file that is there.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// assert!(store.update("bad path", |tx| tx.put("../hours", "9-17")).is_err());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when `path` is not a [valid path](StorePath). `Io` when the content cannot be
    /// staged.
    pub fn put(&mut self, path: impl AsRef<str>, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let path = path.as_ref();
        let path = StorePath::new(path)?;
        let bytes = bytes.into();
        if bytes.len() > INLINE_MAX || self.inline + bytes.len() > INLINE_TOTAL_MAX {
            return self.stage(path, bytes.as_slice(), Operation::Read);
        }
        self.inline += bytes.len();
        let blake3 = Blake3::of(&bytes);
        let length = bytes.len() as u64;
        self.changes
            .insert(path, PendingChange::Write { bytes: length, blake3, content: Content::Inline(bytes) });
        Ok(())
    }

    /// Puts a value under a path as JSON text, indented by two spaces, with a line feed at the end.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("rates", |tx| tx.put_json("rates.json", &[0.5, 0.25]))?;
    /// let rates: Vec<f64> = store.snapshot()?.get_json("rates.json")?;
    /// assert_eq!(rates, [0.5, 0.25]);
    ///
    /// let refused = store.update("rates", |tx| tx.put_json("rates.json", &[f64::NAN]));
    /// assert_eq!(refused.unwrap_err().kind(), genstore::ErrorKind::Invalid);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`put`](Transaction::put). `Invalid` also when the value cannot be written as JSON, or
    /// holds NaN or an infinity. JSON has no form for those, so they would not read back.
    pub fn put_json<T: Serialize + ?Sized>(&mut self, path: impl AsRef<str>, value: &T) -> Result<()> {
        let path = path.as_ref();
        let checked = StorePath::new(path)?;
        let text =
            json_value::to_text(value).map_err(|source| ErrorRepr::NotJson { path: checked, source })?;
        self.put(path, text)
    }

    /// Puts everything that `reader` gives under a path. The content goes through a staging file in
    /// the store, in pieces of at most 64 KiB, and is never in memory as a whole.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let mut tx = store.begin()?;
    /// tx.put_reader("zeros", std::io::Read::take(std::io::repeat(0), 1_000_000))?;
    /// tx.commit("a million zeros")?;
    /// assert_eq!(store.snapshot()?.total_bytes(), 1_000_000);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when `path` is not a [valid path](StorePath). `Io` when the reader fails or the
    /// content cannot be staged. After an error the transaction is as it was before the call.
    pub fn put_reader(&mut self, path: impl AsRef<str>, reader: impl Read) -> Result<()> {
        self.stage(StorePath::new(path.as_ref())?, reader, Operation::ReadContent)
    }

    /// Streams content into a staging file, and puts it under the path.
    pub(crate) fn stage(&mut self, path: StorePath, reader: impl Read, action: Operation) -> Result<()> {
        let (name, bytes, blake3) = self.stream(&path, reader, action)?;
        self.changes.insert(path, PendingChange::Write { bytes, blake3, content: Content::Staged(name) });
        Ok(())
    }

    /// Streams content into a staging file.
    pub(crate) fn stream(
        &mut self,
        path: &StorePath,
        mut reader: impl Read,
        action: Operation,
    ) -> Result<(Name, u64, Blake3)> {
        let engine = &self.base.engine;
        let cannot_stage = |error| Error::io(Operation::Stage, path.as_str(), error);
        let batch = match &mut self.staging {
            Some(batch) => batch,
            none => none.insert(engine.storage().begin_batch().map_err(cannot_stage)?),
        };
        let (name, mut file) = batch.stage().map_err(cannot_stage)?;
        let unreadable = |error| Error::io(action, path.as_str(), error);
        let copied = engine.check_cancel().and_then(|()| {
            content::copy_hashed(&mut reader, u64::MAX, unreadable, |bytes| {
                file.write_all(bytes).map_err(cannot_stage)?;
                engine.check_cancel()
            })
        });
        match copied {
            Ok((bytes, blake3)) => {
                batch.staged(file).map_err(cannot_stage)?;
                Ok((name, bytes, blake3))
            }
            Err(error) => {
                drop(file);
                let _ = engine.storage().delete(&name);
                Err(error)
            }
        }
    }

    /// Moves a file to another path. A file that is there is replaced. No committed bytes are
    /// copied.
    ///
    /// A rename counts as a read of `from`: the commit conflicts if another writer changes that
    /// file first.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("downtown.json", "{}"))?;
    /// let commit = store.update("move", |tx| tx.rename("downtown.json", "stores/downtown.json"))?;
    /// assert_eq!((commit.put, commit.removed, commit.bytes), (1, 1, 0));
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when `from` or `to` is not a [valid path](StorePath). `NotFound` when there is no
    /// file at `from`.
    pub fn rename(&mut self, from: impl AsRef<str>, to: impl AsRef<str>) -> Result<()> {
        let from = StorePath::new(from.as_ref())?;
        let to = StorePath::new(to.as_ref())?;
        let entry = match self.changes.get(&from) {
            None => {
                let entry = self.base.find(from.as_str())?.clone();
                self.read_set.insert(from.clone());
                entry
            }
            Some(PendingChange::Link(entry)) => entry.clone(),
            Some(PendingChange::Remove) => return Err(removed(&from)),
            Some(PendingChange::Write { .. }) => {
                let pending = self.changes.remove(&from);
                self.forget(from);
                self.changes.extend(pending.map(|pending| (to, pending)));
                return Ok(());
            }
        };
        self.forget(from);
        self.changes.insert(to.clone(), PendingChange::Link(entry.renamed(to)));
        Ok(())
    }

    /// Removes a file. Earlier generations keep it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let open = store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// store.update("close", |tx| tx.remove("hours"))?;
    /// assert!(store.snapshot()?.is_empty());
    /// assert!(!store.snapshot_at(open.generation)?.is_empty());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when `path` is not a [valid path](StorePath). `NotFound` when there is no file at
    /// `path`.
    pub fn remove(&mut self, path: impl AsRef<str>) -> Result<()> {
        let path = StorePath::new(path.as_ref())?;
        match self.changes.get(&path) {
            Some(PendingChange::Remove) => return Err(removed(&path)),
            Some(_) => {}
            None => drop(self.base.find(path.as_str())?),
        }
        self.forget(path);
        Ok(())
    }

    /// Drops the pending change of a path, and removes the path if the base has it.
    fn forget(&mut self, path: StorePath) {
        self.changes.remove(&path);
        if self.base.head.table.get(&path).is_some() {
            self.changes.insert(path, PendingChange::Remove);
        }
    }

    /// The content of a file, with the changes of this transaction.
    ///
    /// A read from the base is remembered: if another writer changes the file first, the commit
    /// fails with `Conflict`. So read everything here on which a change depends.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let mut tx = store.begin()?;
    /// tx.put("hours", "9-17")?;
    /// assert_eq!(tx.get("hours")?, b"9-17");
    /// assert!(!tx.contains("prices")?);
    /// assert!(tx.get_json::<u32>("hours").is_err());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Snapshot::get`]. `NotFound` also when this transaction has removed the file.
    pub fn get(&mut self, path: impl AsRef<str>) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let checked = StorePath::new(path)?;
        let engine = &self.base.engine;
        match self.changes.get(&checked) {
            Some(PendingChange::Remove) => Err(removed(&checked)),
            Some(PendingChange::Write { content: Content::Inline(bytes), .. }) => Ok(bytes.clone()),
            Some(PendingChange::Write { content: Content::Staged(name), bytes, .. }) => {
                let cannot_read = |error| Error::io(Operation::Read, name.to_string(), error);
                let mut content = Vec::with_capacity(usize::try_from(*bytes).unwrap_or(0));
                engine
                    .storage()
                    .open(name)
                    .and_then(|mut file| file.read_to_end(&mut content))
                    .map_err(cannot_read)?;
                Ok(content)
            }
            Some(PendingChange::Link(entry)) => content::read(engine.storage(), entry)
                .map_err(|failed| engine.failed(entry, self.base.head.link, failed)),
            None => {
                self.read_set.insert(checked);
                self.base.get(path)
            }
        }
    }

    /// The content of a file, with the changes of this transaction, read as JSON. Remembered as by
    /// [`get`](Transaction::get).
    ///
    /// # Errors
    /// As [`get`](Transaction::get) and [`Snapshot::get_json`].
    pub fn get_json<T: DeserializeOwned>(&mut self, path: impl AsRef<str>) -> Result<T> {
        let path = path.as_ref();
        let bytes = self.get(path)?;
        let path = StorePath::new(path)?;
        let generation = self.base();
        serde_json::from_slice(&bytes)
            .map_err(|source| ErrorRepr::OtherJson { path, generation, source }.into())
    }

    /// Whether a file exists, with the changes of this transaction. Remembered as by
    /// [`get`](Transaction::get).
    ///
    /// # Errors
    /// `Invalid` when `path` is not a [valid path](StorePath).
    pub fn contains(&mut self, path: impl AsRef<str>) -> Result<bool> {
        let path = StorePath::new(path.as_ref())?;
        match self.changes.get(&path) {
            Some(pending) => Ok(!matches!(pending, PendingChange::Remove)),
            None => {
                let found = self.base.head.table.get(&path).is_some();
                self.read_set.insert(path);
                Ok(found)
            }
        }
    }

    /// The paths that begin with `prefix`, sorted, with the changes of this transaction. An empty
    /// prefix means all.
    ///
    /// The prefix is remembered: if another writer adds or removes such a path first, the commit
    /// fails with `Conflict`. The iterator borrows nothing, so a loop over it can change the
    /// transaction. Later changes do not show in it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| {
    ///     tx.put("stores/downtown.json", "{}")?;
    ///     tx.put("stores/harbour.json", "{}")
    /// })?;
    /// store.update("close all but Downtown", |tx| {
    ///     for path in tx.list("stores/") {
    ///         if path.as_str() != "stores/downtown.json" {
    ///             tx.remove(path)?;
    ///         }
    ///     }
    ///     Ok::<(), genstore::Error>(())
    /// })?;
    /// assert_eq!(store.snapshot()?.len(), 1);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    pub fn list(&mut self, prefix: impl AsRef<str>) -> Paths {
        let prefix = prefix.as_ref();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let changes = self.changes.range::<str, _>(from);
        let changes = changes.take_while(|(path, _)| path.as_str().starts_with(prefix));
        let changes: Vec<(StorePath, bool)> = changes
            .map(|(path, pending)| (path.clone(), !matches!(pending, PendingChange::Remove)))
            .collect();
        self.scan_set.insert(prefix.to_owned());
        Paths {
            base: Listing::new(&self.base.head.table, prefix).peekable(),
            changes: changes.into_iter().peekable(),
        }
    }

    /// The entry of a path in the base.
    pub(crate) fn base_entry(&self, path: &StorePath) -> Option<&Entry> {
        self.base.head.table.get(path)
    }

    /// Commits the changes as the next generation. The generation is durable when this returns
    /// `Ok`.
    ///
    /// `message` says why, for the history; at most 64 KiB. The commit may wait for another writer,
    /// up to [`OpenOptions::lock_wait`](crate::OpenOptions::lock_wait).
    ///
    /// If other commits came after the base, the changes are applied to the newest generation. That
    /// is a conflict if one of those commits changed a path that this transaction wrote or read. It
    /// is no conflict if both wrote the same bytes under a path, or both removed it.
    ///
    /// If nothing differs from the newest generation, no generation is created. [`Commit::changed`]
    /// is then `false`, and the newest generation is durable.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let mut tx = store.begin()?;
    /// tx.put("hours", "9-17")?;
    /// let commit = tx.commit("open")?;
    /// assert!(commit.changed);
    ///
    /// // The same state again creates no generation.
    /// let again = store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// assert_eq!((again.changed, again.generation), (false, commit.generation));
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// Nothing was committed after any of these errors but the last.
    /// * `Conflict` when another commit changed a path first. [`Error::conflicts`] has the paths.
    /// * `Busy` when another writer held the lock for too long.
    /// * `Invalid` when the changes break a rule, or a validator refuses a file.
    /// * `Corrupt` when the store is damaged and must be repaired first.
    /// * `Poisoned` when an earlier commit through this handle ended with an unknown outcome.
    /// * `Io` when the system refused, or a [`CancelFlag`](crate::CancelFlag) stopped the call. The
    ///   handle stays usable.
    /// * `CommitOutcomeUnknown` when the disk failed at the very end: the generation may be durable
    ///   or not. The store is whole in both cases. The handle is then `Poisoned`: open the store
    ///   again and see which generation is the newest.
    pub fn commit(mut self, message: &str) -> Result<Commit> {
        let engine = &self.base.engine;
        engine.poison().check()?;
        if let Some(batch) = &mut self.staging {
            batch.sync().map_err(|error| Error::io(Operation::Sync, "the staged content", error))?;
        }
        let change_set = ChangeSet {
            kind: if self.restores.is_some() { GenerationKind::Rollback } else { GenerationKind::Commit },
            author: self.author.take().unwrap_or_else(|| engine.options().author.clone()),
            message: message.to_owned(),
            metadata: std::mem::take(&mut self.metadata),
            restores: self.restores,
            changes: std::mem::take(&mut self.changes),
        };
        let request = CommitRequest {
            base: &self.base.head,
            change_set,
            read_set: std::mem::take(&mut self.read_set),
            scan_set: std::mem::take(&mut self.scan_set),
            overwrite: self.overwrite,
        };
        let outcome = engine.commit(request);
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::CommitOutcomeUnknown) {
            // The staged content may be all that is left of the commit, so it is not discarded.
            self.staging = None;
        }
        outcome.map(Commit::of)
    }
}

fn removed(path: &StorePath) -> Error {
    ErrorRepr::RemovedHere(path.clone()).into()
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(batch) = &mut self.staging {
            batch.discard(false);
        }
    }
}

impl Commit {
    fn of(outcome: Outcome) -> Self {
        let made = outcome.made.unwrap_or_default();
        Self {
            generation: outcome.generation,
            changed: outcome.made.is_some(),
            put: made.put,
            removed: made.removed,
            bytes: made.bytes,
        }
    }
}
