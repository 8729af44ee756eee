//! What opening and verifying find wrong with a store, for people and for programs.

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
    /// No committed data is damaged.
    Note,
    /// Something derived is damaged. That costs time, not data.
    Warning,
    /// Something that was committed is damaged, or could not be checked.
    Error,
}

/// The kind of a [`Finding`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// `CURRENT` is there, but not as it was written.
    PointerDamaged,
    /// `CURRENT` is missing.
    PointerMissing,
    /// A manifest is there, but not as it was written.
    ManifestDamaged,
    /// A manifest of the chain is missing.
    ManifestMissing,
    /// Generations before a damaged manifest cannot be reached from the newest.
    ChainBroken,
    /// A checkpoint is not as it was written.
    CheckpointDamaged,
    /// A file does not hold the bytes that were committed.
    FileDamaged,
    /// A committed file is missing.
    FileMissing,
    /// A committed file that this process has no permission to read. Its bytes were not checked.
    FileUnreadable,
    /// A commit that began and never finished.
    InterruptedCommit,
    /// A file that no manifest names.
    Orphan,
}

/// One thing that opening or verifying a store found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How much the finding matters.
    pub severity: Severity,
    /// The kind of the finding.
    pub kind: FindingKind,
    /// The logical path of a committed file, or the path in the store of anything else.
    pub path: Option<String>,
    /// The generation to which it belongs, where there is one.
    pub generation: Option<Generation>,
    /// What exactly was found, as a clause for a person.
    pub detail: String,
}

/// What opening or refreshing a store found damaged, and which generation it serves instead.
/// Nothing on disk was changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// What is damaged, the worst first.
    pub findings: Vec<Finding>,
    /// The generation that the store serves.
    pub serving: Generation,
    /// Whether [`serving`](Self::serving) may be older than the last committed generation. Then
    /// nothing can be committed until the store is repaired.
    pub degraded: bool,
}

/// Implements `Display` for an enum: each member prints as serde writes it.
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
    FileUnreadable => "file_unreadable",
    InterruptedCommit => "interrupted_commit",
    Orphan => "orphan",
});

impl Finding {
    /// The finding for the files of an interrupted commit.
    pub(crate) fn interrupted(generation: Generation) -> Self {
        Self {
            severity: Severity::Note,
            kind: FindingKind::InterruptedCommit,
            path: None,
            generation: Some(generation),
            detail: "a commit began under this number and did not finish; what it wrote is kept".into(),
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

    /// The finding for a fault met while loading a state. `None` when the fault says nothing about
    /// the store.
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
