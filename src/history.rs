//! What happened to a store, newest first, and what differs between two generations.

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

/// How many generations are read ahead at once.
const BATCH: usize = 64;

/// One generation as the history tells it.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Its number.
    pub generation: Generation,
    /// Why it was made.
    pub kind: GenerationKind,
    /// When it was made. Never earlier than its parent, even if the clock was.
    pub time: Timestamp,
    /// Who made it, as the application said.
    pub author: String,
    /// What for, as the application said.
    pub message: String,
    /// What else the application noted.
    pub metadata: BTreeMap<String, Value>,
    /// The paths that it put, sorted.
    pub put: Vec<StorePath>,
    /// The paths that it removed, sorted.
    pub removed: Vec<StorePath>,
    /// The generation before it; `None` for the first.
    pub parent: Option<Generation>,
    /// The generation that a rollback brought back.
    pub restores: Option<Generation>,
    /// The hash of its manifest file.
    pub manifest: Blake3,
    /// The number of files in it.
    pub files: u64,
    /// Their length, in bytes.
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
        let (put, removed) = (self.put.len(), self.removed.len());
        write!(f, "{} {} {}", self.generation, self.time, self.kind)?;
        if !self.author.is_empty() {
            write!(f, " {}", self.author)?;
        }
        write!(f, " +{put} -{removed} {first_line}")
    }
}

/// The generations of a store, newest first.
///
/// A damaged manifest gives one error. After it come the generations from the newest intact checkpoint below it on,
/// where there is one; those in between cannot be reached.
#[derive(Debug)]
pub struct History {
    engine: Arc<Engine>,
    /// Only generations that changed this path.
    only: Option<StorePath>,
    next: Option<ManifestRef>,
    ready: VecDeque<Result<HistoryEntry>>,
}

impl History {
    fn new(engine: Arc<Engine>, from: ManifestRef, only: Option<StorePath>) -> Self {
        Self { engine, only, next: Some(from), ready: VecDeque::new() }
    }

    /// Reads on until something is ready or the end is reached.
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

/// How a path differs between two generations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it, with other content.
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

/// One path that differs between two generations.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The path.
    pub path: StorePath,
    /// How it differs.
    pub change: ChangeKind,
    /// What the first generation has.
    pub from: Option<FileEntry>,
    /// What the second generation has.
    pub to: Option<FileEntry>,
}

impl Store {
    /// Every generation from the newest to the first.
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
    /// As [`snapshot`](Store::snapshot); damage on the way is an item of the iterator.
    pub fn history(&self) -> Result<History> {
        Ok(History::new(Arc::clone(&self.engine), self.engine.refresh()?.link, None))
    }

    /// The generations that changed one path, newest first.
    ///
    /// # Errors
    /// `Invalid` when it is no path, and as [`history`](Store::history). A path that never was has no history.
    pub fn history_of(&self, path: impl AsRef<str>) -> Result<History> {
        let path = StorePath::new(path.as_ref())?;
        Ok(History::new(Arc::clone(&self.engine), self.engine.refresh()?.link, Some(path)))
    }

    /// What the history tells of one generation.
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

    /// The paths whose content differs between two generations, sorted. Reads no content.
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
    /// The paths whose content differs between this snapshot and another one of the same store, sorted. Reads no
    /// content.
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
