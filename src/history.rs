//! The history of a store, newest first, and the differences between two generations.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::engine::chain::Chain;
use crate::engine::read::{self, LoadError, paths};
use crate::engine::{Engine, Head};
use crate::error::Result;
use crate::format::manifest::{GenerationKind, Manifest};
use crate::format::pointer::ManifestRef;
use crate::hash::Blake3;
use crate::path::StorePath;
use crate::revision::{Generation, IntoRevision};
use crate::snapshot::{FileEntry, Snapshot};
use crate::store::Store;
use crate::time::Timestamp;

/// How many generations are read at once.
const BATCH: usize = 64;

/// What the manifest of one generation says. See [`Store::history`] and [`Store::show`].
///
/// `Display` gives one line: number, time, kind, author, number of changes, and the first line of
/// the message, each without padding. An empty author or message is left out. The line is for
/// people: a program reads the fields.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The number of the generation.
    pub generation: Generation,
    /// Why the generation was created.
    pub kind: GenerationKind,
    /// When the generation was created. It is never earlier than its parent, even if the clock went
    /// backwards.
    pub time: Timestamp,
    /// The author, as the application gave it.
    pub author: String,
    /// The message of the commit.
    pub message: String,
    /// The fields that the application [added](crate::Transaction::metadata). The first generation
    /// has the [`ProbeReport`](crate::ProbeReport) of the store under `medium`.
    pub metadata: BTreeMap<String, Value>,
    /// The paths that the generation put, sorted.
    pub put: Vec<StorePath>,
    /// The paths that the generation removed, sorted.
    pub removed: Vec<StorePath>,
    /// The generation before this one. `None` for the first.
    pub parent: Option<Generation>,
    /// The generation that a rollback restored. `None` for any other kind.
    pub restores: Option<Generation>,
    /// The BLAKE3 hash of the manifest file.
    pub manifest: Blake3,
    /// The number of files in the generation.
    pub files: u64,
    /// The length of all files of the generation together, in bytes.
    pub bytes: u64,
}

impl HistoryEntry {
    fn of(link: ManifestRef, manifest: Manifest) -> Self {
        let (put, removed) = paths(&manifest.changes);
        Self {
            generation: link.generation,
            kind: manifest.kind,
            time: manifest.time,
            author: manifest.author,
            message: manifest.message,
            metadata: manifest.metadata,
            put,
            removed,
            parent: manifest.parent.map(|parent| parent.generation),
            restores: manifest.restores,
            manifest: link.manifest,
            files: manifest.files,
            bytes: manifest.bytes,
        }
    }
}

impl fmt::Display for HistoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first_line = self.message.lines().next().unwrap_or_default();
        write!(f, "{} {} {}", self.generation, self.time, self.kind)?;
        if !self.author.is_empty() {
            write!(f, " {}", self.author)?;
        }
        write!(f, " +{} -{}", self.put.len(), self.removed.len())?;
        if !first_line.is_empty() {
            write!(f, " {first_line}")?;
        }
        Ok(())
    }
}

/// The generations of a store, newest first. See [`Store::history`].
///
/// The iterator reads up to 64 manifests at a time. Commits after its creation do not show.
///
/// A damaged manifest is one item that is an error. After it, the iterator goes on at the newest
/// intact checkpoint below the damage, if there is one. The generations in between cannot be
/// reached.
#[derive(Debug)]
pub struct History {
    engine: Arc<Engine>,
    /// If set, only the generations that changed this path.
    only: Option<StorePath>,
    next: Option<ManifestRef>,
    ready: VecDeque<Result<HistoryEntry>>,
}

impl History {
    fn new(engine: Arc<Engine>, from: ManifestRef, only: Option<StorePath>) -> Self {
        Self { engine, only, next: Some(from), ready: VecDeque::new() }
    }

    /// Reads on until an item is ready, or to the end.
    fn fill(&mut self) {
        let Some(from) = self.next.take() else { return };
        for (count, found) in Chain::new(self.engine.storage(), self.engine.id(), from).enumerate() {
            match found {
                Err(fault) => self.ready.push_back(Err(fault.into_error())),
                Ok((link, _)) if count >= BATCH && !self.ready.is_empty() => {
                    self.next = Some(link);
                    return;
                }
                Ok((link, manifest)) => {
                    let wanted =
                        |path| manifest.changes.binary_search_by(|change| change.path().cmp(path)).is_ok();
                    if self.only.as_ref().is_none_or(wanted) {
                        self.ready.push_back(Ok(HistoryEntry::of(link, manifest)));
                    }
                }
            }
        }
    }
}

impl Iterator for History {
    type Item = Result<HistoryEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.fill();
        }
        self.ready.pop_front()
    }
}

/// How a file differs between two generations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// Only the second generation has the file.
    Added,
    /// Only the first generation has the file.
    Removed,
    /// Both generations have the file, with different content.
    Modified,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Modified => "modified",
        })
    }
}

/// One file that differs between two generations. See [`Store::diff`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The path.
    pub path: StorePath,
    /// How the file differs.
    pub change: ChangeKind,
    /// The file in the first generation.
    pub from: Option<FileEntry>,
    /// The file in the second generation.
    pub to: Option<FileEntry>,
}

impl Store {
    /// All generations, from the newest to the first.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// store.update("prices", |tx| tx.put("prices", "{}"))?;
    /// let messages = |history: genstore::History| -> genstore::Result<Vec<String>> {
    ///     history.map(|generation| Ok(generation?.message)).collect()
    /// };
    /// assert_eq!(messages(store.history()?)?, ["prices", "open", "create the store"]);
    /// assert_eq!(messages(store.history_of("hours")?)?, ["open"]);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`snapshot`](Store::snapshot). Later damage is an item of the iterator.
    pub fn history(&self) -> Result<History> {
        Ok(History::new(Arc::clone(&self.engine), self.engine.refresh()?.link, None))
    }

    /// The generations that changed one path, newest first. There are none if the path never
    /// existed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// store.update("prices", |tx| tx.put("prices", "{}"))?;
    /// for generation in store.history_of("hours")? {
    ///     assert_eq!(generation?.message, "open");
    /// }
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when `path` is not a [valid path](StorePath). All else as
    /// [`history`](Store::history).
    pub fn history_of(&self, path: impl AsRef<str>) -> Result<History> {
        let path = StorePath::new(path.as_ref())?;
        Ok(History::new(Arc::clone(&self.engine), self.engine.refresh()?.link, Some(path)))
    }

    /// The history entry of one generation.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// let generation = store.show("latest")?;
    /// assert_eq!((generation.message.as_str(), generation.put[0].as_str()), ("open", "hours"));
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`snapshot_at`](Store::snapshot_at).
    pub fn show(&self, revision: impl IntoRevision) -> Result<HistoryEntry> {
        let link = self.find(revision)?;
        let manifest = read::manifest(self.engine.storage(), link).map_err(LoadError::into_error)?;
        Ok(HistoryEntry::of(link, manifest))
    }

    /// The files whose content differs between two generations, sorted by path. This compares
    /// hashes and reads no content.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// store.update("prices", |tx| tx.put("prices", "{}"))?;
    /// let differences = store.diff("latest~1", "latest")?;
    /// assert_eq!(differences.len(), 1);
    /// assert_eq!(differences[0].change, genstore::ChangeKind::Added);
    /// assert_eq!(store.snapshot_at(2)?.diff(&store.snapshot()?), differences);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`snapshot_at`](Store::snapshot_at).
    pub fn diff(&self, from: impl IntoRevision, to: impl IntoRevision) -> Result<Vec<Difference>> {
        Ok(self.snapshot_at(from)?.diff(&self.snapshot_at(to)?))
    }
}

impl Snapshot {
    /// The files whose content differs between this snapshot and another one, sorted by path. This
    /// compares hashes and reads no content.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let before = store.snapshot()?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// let differences = before.diff(&store.snapshot()?);
    /// assert_eq!(differences[0].path.as_str(), "hours");
    /// # Ok::<(), genstore::Error>(())
    /// ```
    #[must_use]
    pub fn diff(&self, to: &Self) -> Vec<Difference> {
        differences(&self.head, &to.head)
    }
}

fn differences(from: &Head, to: &Head) -> Vec<Difference> {
    let removed_or_modified = from.table.iter().filter_map(|old| match to.table.get(&old.path) {
        Some(new) if new.blake3 == old.blake3 => None,
        Some(new) => Some((ChangeKind::Modified, Some(old), Some(new))),
        None => Some((ChangeKind::Removed, Some(old), None)),
    });
    let added = to
        .table
        .iter()
        .filter(|new| from.table.get(&new.path).is_none())
        .map(|new| (ChangeKind::Added, None, Some(new)));
    let mut differences: Vec<Difference> = removed_or_modified
        .chain(added)
        .filter_map(|(change, from, to)| {
            let path = from.or(to)?.path.clone();
            Some(Difference { path, change, from: from.map(FileEntry::from), to: to.map(FileEntry::from) })
        })
        .collect();
    differences.sort_by(|one, two| one.path.cmp(&two.path));
    differences
}
