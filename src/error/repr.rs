//! The facts of every failure.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::hash::StoreId;
use crate::path::{PathError, StorePath};
use crate::revision::{Generation, RevisionError};
use crate::time::{Timestamp, TimestampError};

/// A path that another writer changed first. See [`Error::conflicts`](crate::Error::conflicts).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ConflictingPath {
    /// The path.
    pub path: StorePath,
    /// The generation that changed the path.
    pub generation: Generation,
}

/// The process that holds the writer lock, by its own note. See
/// [`Error::holder`](crate::Error::holder).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LockHolder {
    /// The id of the process.
    pub pid: u32,
    /// The name of its program.
    pub program: String,
    /// The name of its machine.
    pub host: String,
    /// When the process took the lock.
    pub since: Timestamp,
}

/// The operation that the operating system refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Read,
    /// Reads content from the caller's reader.
    ReadContent,
    /// Reads a file outside the store.
    ReadFile,
    List,
    Open,
    Pin,
    Export,
    /// The fsync of an export that is in place already.
    SyncExport,
    /// Writes the bytes of a file to the caller's sink.
    PassOn,
    Probe,
    ChooseId,
    Lock,
    Create,
    Stage,
    /// Waits before a change is tried again.
    Wait,
    BeginWrite,
    Write,
    Sync,
}

impl Operation {
    /// Whether the operation only reads the store. Its failure says nothing about a commit.
    pub(super) const fn is_reading(self) -> bool {
        matches!(
            self,
            Self::Read
                | Self::ReadContent
                | Self::ReadFile
                | Self::List
                | Self::Open
                | Self::Pin
                | Self::Export
                | Self::SyncExport
                | Self::PassOn
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "cannot read",
            Self::ReadContent => "cannot read the content for",
            Self::ReadFile => "cannot read the file for",
            Self::List => "cannot list",
            Self::Open => "cannot open",
            Self::Pin => "cannot pin",
            Self::Export => "cannot export to",
            Self::SyncExport => "the export is in place, but may not survive a power cut: cannot fsync",
            Self::PassOn => "cannot pass on the content of",
            Self::Probe => "cannot probe the file system under",
            Self::ChooseId => "cannot choose an id for",
            Self::Lock => "cannot lock",
            Self::Create => "cannot create",
            Self::Stage => "cannot stage",
            Self::Wait => "cannot wait before retrying",
            Self::BeginWrite => "cannot begin to write",
            Self::Write => "cannot write",
            Self::Sync => "cannot fsync",
        })
    }
}

/// Every failure, with its facts. The public type is [`Error`](crate::Error).
#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrorRepr {
    #[error("there is no store at {}: the directory does not exist", .0.display())]
    NoDirectory(PathBuf),
    #[error("there is no store at {}: the directory is empty", .0.display())]
    EmptyDirectory(PathBuf),
    #[error("there is no store at {}: the directory holds other things and no CURRENT", .0.display())]
    NotAStore(PathBuf),
    #[error("there is no store at {} yet: its creation was interrupted before the first generation", .0.display())]
    UnfinishedInit(PathBuf),
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    #[error("{} is not empty", .0.display())]
    DirectoryNotEmpty(PathBuf),
    #[error("{} is the directory that this process works in, which cannot be replaced", .0.display())]
    WorkingDirectory(PathBuf),
    #[error("{} names the directory above one that does not exist", .0.display())]
    AboveMissing(PathBuf),
    #[error("{} is inside the store", .0.display())]
    InStore(PathBuf),
    #[error("{} is a store already", .0.display())]
    AlreadyAStore(PathBuf),
    #[error(transparent)]
    BadPath(PathError),
    #[error("{path} and {other} cannot both be in a store: {rule}")]
    PathsCollide { path: StorePath, other: String, rule: &'static str },
    #[error(transparent)]
    BadRevision(RevisionError),
    #[error(transparent)]
    BadTime(TimestampError),
    #[error("{pattern:?} is not a pattern: {detail}")]
    BadPattern { pattern: String, detail: String },
    #[error("{what} breaks a rule: {rule}")]
    Limit { what: String, rule: String },
    #[error("{path} was refused by the validator for {pattern:?}: {source}")]
    Refused { path: StorePath, pattern: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{path} cannot be written as JSON: {source}")]
    NotJson { path: StorePath, source: serde_json::Error },
    #[error(
        "{path} of generation {generation} is intact, but is not the JSON that the caller expects: {source}"
    )]
    OtherJson { path: StorePath, generation: Generation, source: serde_json::Error },
    #[error("{} cannot be committed: {rule}", .file.display())]
    BadSource { file: PathBuf, rule: String },
    #[error("{} cannot be committed: {source}", .file.display())]
    BadSourceName { file: PathBuf, source: PathError },
    #[error("{} has no file, and pruning would remove everything", .0.display())]
    NothingToKeep(PathBuf),
    #[error("{} cannot be committed: {rule}", .file.display())]
    SourceChanging { file: PathBuf, rule: &'static str },
    #[error("{} changed while it was being read, three times in a row", .0.display())]
    SourceChanged(PathBuf),
    #[error("{path} is not in generation {generation}")]
    NoSuchPath { path: String, generation: Generation },
    #[error("{path} is a directory in generation {generation}, not a file")]
    IsDirectory { path: StorePath, generation: Generation },
    #[error("{0} was removed earlier in this transaction")]
    RemovedHere(StorePath),
    #[error("{pattern:?} matches no path in generation {generation}")]
    NoMatch { pattern: String, generation: Generation },
    #[error("revision {revision} does not exist: {detail}")]
    NoSuchRevision { revision: String, detail: String },
    #[error("another commit changed {} since generation {base}", list(.paths))]
    Conflict { base: Generation, paths: Vec<ConflictingPath> },
    #[error("the writer lock was held for all of {waited_ms} ms{}", held_by(.holder.as_ref()))]
    Busy { waited_ms: u128, holder: Option<LockHolder> },
    #[error("{path}, written by generation {generation}, is damaged: {detail}")]
    DamagedFile {
        path: StorePath,
        generation: Generation,
        detail: String,
        expected: String,
        found: String,
        is_missing: bool,
        intact: Option<Generation>,
    },
    #[error("{name} is damaged: {detail}")]
    DamagedMetadata {
        name: String,
        generation: Option<Generation>,
        detail: String,
        expected: Option<String>,
        found: Option<String>,
    },
    #[error("no generation of the store at {} can be read: {detail}", .dir.display())]
    NothingIntact { dir: PathBuf, detail: String },
    #[error("nothing can be committed while the store is damaged: {detail}")]
    Degraded { detail: String, serving: Generation },
    #[error("{} is another store than the one that this handle opened: its id is {found}, not {expected}", .dir.display())]
    OtherStore { dir: PathBuf, expected: StoreId, found: StoreId },
    #[error("the directory {} was moved or replaced after this handle opened it", .0.display())]
    DirectoryReplaced(PathBuf),
    #[error(
        "the history of the store was replaced: generation {known}, which this handle had read, is no longer part of it"
    )]
    HistoryReplaced { known: Generation },
    #[error("{name} is written in format {format}; this program reads format 1")]
    NewerFormat { name: String, format: u64 },
    #[error("a store on {filesystem} is refused: {reason}")]
    FilesystemRefused { filesystem: String, reason: String },
    #[allow(
        dead_code,
        reason = "retention, which expires snapshots, comes later; the kind is part of the interface already"
    )]
    #[error("the files of generation {generation} were removed by retention")]
    SnapshotExpired { generation: Generation },
    #[error("it is unknown whether generation {generation} survives a power cut: {step} failed")]
    OutcomeUnknown { generation: Generation, step: &'static str, source: io::Error },
    #[error("an earlier commit through this handle, of generation {0}, ended with an unknown outcome")]
    Poisoned(Generation),
    #[error("stopped on request")]
    Cancelled,
    #[error("{action} {name}: {source}")]
    Io { action: Operation, name: String, source: io::Error },
}

fn list(paths: &[ConflictingPath]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<String> =
        paths.iter().take(SHOWN).map(|c| format!("{} (in generation {})", c.path, c.generation)).collect();
    if paths.len() > SHOWN {
        text.push(format!("{} more", paths.len() - SHOWN));
    }
    text.join(", ")
}

fn held_by(holder: Option<&LockHolder>) -> String {
    holder.map_or_else(String::new, |h| {
        format!(" by process {} ({}) on {} since {}", h.pid, h.program, h.host, h.since)
    })
}
