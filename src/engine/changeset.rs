//! What is to become a generation.

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

/// Where the bytes of a file are until it is committed.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory: they are few.
    Inline(Vec<u8>),
    /// In a staging file that has been fsynced.
    Staged(Name),
}

/// One change that is to be made.
#[derive(Debug)]
pub(crate) enum PendingChange {
    /// New bytes.
    Write {
        bytes: u64,
        blake3: Blake3,
        content: Content,
    },
    /// Bytes that an earlier generation wrote.
    Link(Entry),
    Remove,
}

/// Everything about a generation but its number and its time.
#[derive(Debug)]
pub(crate) struct ChangeSet {
    pub(crate) kind: GenerationKind,
    pub(crate) author: String,
    pub(crate) message: String,
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) restores: Option<Generation>,
    pub(crate) changes: BTreeMap<StorePath, PendingChange>,
}

/// What a transaction wants to become a generation.
#[derive(Debug)]
pub(crate) struct CommitRequest<'a> {
    /// The state that it was made on.
    pub(crate) base: &'a Head,
    pub(crate) change_set: ChangeSet,
    /// The paths that were read through it.
    pub(crate) read_set: BTreeSet<StorePath>,
    /// The prefixes that were listed through it.
    pub(crate) scan_set: BTreeSet<String>,
    /// Whether to win over what others have committed since the base.
    pub(crate) overwrite: bool,
}

impl ChangeSet {
    /// Its changes, as the manifest of this generation states them.
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

    /// Whether it makes a difference to a table.
    pub(crate) fn makes_a_difference(&self, table: &Table, path: &StorePath) -> bool {
        let live = table.get(path);
        match self {
            Self::Write { blake3, .. } => live.is_none_or(|live| live.blake3 != *blake3),
            Self::Link(entry) => live.is_none_or(|live| live.blake3 != entry.blake3),
            Self::Remove => live.is_some(),
        }
    }
}
