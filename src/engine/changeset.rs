//! What a commit turns into a generation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::head::Head;
use super::table::Table;
use crate::format::entry::Entry;
use crate::format::manifest::{Change, GenerationKind};
use crate::format::names::Name;
use crate::hash::Blake3;
use crate::path::StorePath;
use crate::revision::Generation;

/// Where the bytes of a file are until they are committed.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory, for small content.
    Inline(Vec<u8>),
    /// In a staging file that was fsynced.
    Staged(Name),
}

/// One change that is not committed yet.
#[derive(Debug)]
pub(crate) enum PendingChange {
    /// Puts new bytes.
    Write {
        bytes: u64,
        blake3: Blake3,
        content: Content,
    },
    /// Puts bytes that an earlier generation wrote.
    Link(Entry),
    Remove,
}

/// Everything about a generation except its number and its time.
#[derive(Debug)]
pub(crate) struct ChangeSet {
    pub(crate) kind: GenerationKind,
    pub(crate) author: String,
    pub(crate) message: String,
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) restores: Option<Generation>,
    pub(crate) changes: BTreeMap<StorePath, PendingChange>,
}

/// What a transaction asks to commit.
#[derive(Debug)]
pub(crate) struct CommitRequest<'a> {
    /// The state on which the transaction began.
    pub(crate) base: &'a Head,
    pub(crate) change_set: ChangeSet,
    /// The paths that the transaction read.
    pub(crate) read_set: BTreeSet<StorePath>,
    /// The prefixes that the transaction listed.
    pub(crate) scan_set: BTreeSet<String>,
    /// Whether to overwrite what other writers committed since the base.
    pub(crate) overwrite: bool,
}

impl ChangeSet {
    /// The changes as the manifest of this generation states them.
    pub(crate) fn changes(&self, generation: Generation) -> Vec<Change> {
        self.changes.iter().map(|(path, pending)| pending.change(path, generation)).collect()
    }
}

impl PendingChange {
    fn change(&self, path: &StorePath, generation: Generation) -> Change {
        match self {
            Self::Remove => Change::Remove(path.clone()),
            Self::Link(entry) => Change::Put(entry.clone()),
            Self::Write { bytes, blake3, .. } => Change::Put(Entry {
                path: path.clone(),
                generation,
                bytes: *bytes,
                blake3: *blake3,
                stored_as: None,
            }),
        }
    }

    /// Whether the change makes a difference to a table.
    pub(crate) fn makes_a_difference(&self, table: &Table, path: &StorePath) -> bool {
        let live = table.get(path);
        match self {
            Self::Write { blake3, .. } => live.is_none_or(|live| live.blake3 != *blake3),
            Self::Link(entry) => live.is_none_or(|live| live.blake3 != entry.blake3),
            Self::Remove => live.is_some(),
        }
    }
}
