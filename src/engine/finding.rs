//! What is found wrong with a store, as a person and a program can read it.

use std::fmt;

use serde::Serialize;

use super::read::LoadError;
use crate::format::names::Name;
use crate::revision::Generation;

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Nothing is wrong with what was committed.
    Note,
    /// Something derived is damaged: it costs time, not data.
    Warning,
    /// Something that was committed is damaged.
    Error,
}

/// What kind of thing was found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// `CURRENT` is there and not what was written.
    PointerDamaged,
    /// `CURRENT` is not there.
    PointerMissing,
    /// A manifest is not what was written.
    ManifestDamaged,
    /// A manifest of the chain is not there.
    ManifestMissing,
    /// Generations before a damaged manifest cannot be reached from the newest.
    ChainBroken,
    /// A checkpoint is not what was written.
    CheckpointDamaged,
    /// A file is not what was committed.
    FileDamaged,
    /// A file that was committed is not there.
    FileMissing,
    /// A commit that was begun and never committed.
    InterruptedCommit,
    /// Something that no manifest names.
    Orphan,
}

/// One thing that was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// The logical path of a committed file, or the path in the store of anything else.
    pub path: Option<String>,
    /// The generation that wrote it.
    pub generation: Option<Generation>,
    /// What exactly was found.
    pub detail: String,
}

/// What opening a store found damaged, and which generation it serves instead. Nothing on disk was changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// What was wrong, the worst first.
    pub findings: Vec<Finding>,
    /// The generation that is served.
    pub serving: Generation,
    /// Whether that may be older than the last one that was committed, so that nothing can be committed until the store is
    /// repaired.
    pub degraded: bool,
}

/// Declares how the members of an enum are printed: as serde writes them.
macro_rules! display_as {
    ($name:ident { $($member:ident => $text:literal),* $(,)? }) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$member => $text),* })
            }
        }
    };
}

display_as!(Severity { Note => "note", Warning => "warning", Error => "error" });
display_as!(FindingKind {
    PointerDamaged => "pointer_damaged",
    PointerMissing => "pointer_missing",
    ManifestDamaged => "manifest_damaged",
    ManifestMissing => "manifest_missing",
    ChainBroken => "chain_broken",
    CheckpointDamaged => "checkpoint_damaged",
    FileDamaged => "file_damaged",
    FileMissing => "file_missing",
    InterruptedCommit => "interrupted_commit",
    Orphan => "orphan",
});

impl Finding {
    /// The names that a commit left under a number that it did not get to keep.
    pub(crate) fn interrupted(generation: Generation) -> Self {
        Self {
            severity: Severity::Note,
            kind: FindingKind::InterruptedCommit,
            path: None,
            generation: Some(generation),
            detail: "a commit was begun under this number and not committed; what it wrote is kept".into(),
        }
    }

    pub(crate) fn new(severity: Severity, kind: FindingKind, name: &Name, detail: impl Into<String>) -> Self {
        Self {
            severity,
            kind,
            path: Some(name.to_string()),
            generation: name.generation(),
            detail: detail.into(),
        }
    }

    /// The finding that a fault on the way from the pointer to the table is. `None` when it says nothing about the
    /// store.
    pub(crate) fn of(fault: &LoadError) -> Option<Self> {
        use FindingKind as K;
        let (name, missing, detail) = match fault {
            LoadError::Fatal(_) => return None,
            LoadError::Missing(name) => (name.clone(), true, "it is missing".to_owned()),
            LoadError::Damaged { name, why } => (name.clone(), false, why.to_string()),
            LoadError::OtherHash { generation, expected, found } => {
                let detail = format!("the chain gives it the hash {expected}, its bytes have {found}");
                (Name::Manifest(*generation), false, detail)
            }
        };
        let (severity, kind) = match (&name, missing) {
            (Name::Pointer, true) => (Severity::Error, K::PointerMissing),
            (Name::Pointer, false) => (Severity::Error, K::PointerDamaged),
            (Name::Checkpoint(_), _) => (Severity::Warning, K::CheckpointDamaged),
            (_, true) => (Severity::Error, K::ManifestMissing),
            (_, false) => (Severity::Error, K::ManifestDamaged),
        };
        let mut finding = Self::new(severity, kind, &name, detail);
        if let Name::Checkpoint(generation) = name {
            finding.generation = Some(generation);
        }
        Some(finding)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.kind)?;
        if let Some(path) = &self.path {
            write!(f, ": {path}")?;
        }
        if let Some(generation) = self.generation {
            write!(f, " (generation {generation})")?;
        }
        write!(f, ": {}", self.detail)
    }
}
