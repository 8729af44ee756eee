//! The one error type: what happened, what it means for the data, what to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::hash::StoreId;
use crate::path::StorePath;
use crate::revision::Generation;
use crate::time::Timestamp;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error asks of the caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store, the path or the revision does not exist: ask for another.
    NotFound,
    /// The input breaks a rule, which the message names: change the input.
    Invalid,
    /// Somebody else saved the same paths first: read again, decide, save again.
    Conflict,
    /// Another writer held the lock for as long as this one was willing to wait: try again later.
    Busy,
    /// Something on disk is not what was written: see what is intact, and why it happened.
    Corrupt,
    /// Retention removed files of the snapshot: take a new one.
    SnapshotExpired,
    /// The generation may or may not survive a power cut: reopen the store and look.
    CommitOutcomeUnknown,
    /// An earlier commit through this handle ended with an unknown outcome: reopen the store.
    Poisoned,
    /// A newer program or another medium is needed.
    Unsupported,
    /// The operating system refused: the source of the error says why.
    Io,
}

impl ErrorKind {
    /// The name of the kind in lower case with underscores, as the command prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::Corrupt => "corrupt",
            Self::SnapshotExpired => "snapshot_expired",
            Self::CommitOutcomeUnknown => "commit_outcome_unknown",
            Self::Poisoned => "poisoned",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path that another writer changed, and the generation in which that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ConflictingPath {
    /// The path.
    pub path: StorePath,
    /// The generation that changed it.
    pub generation: Generation,
}

/// Who holds the writer lock, as the holder wrote it down.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LockHolder {
    /// The number of the process.
    pub pid: u32,
    /// The program of the process.
    pub program: String,
    /// The name of the machine it runs on.
    pub host: String,
    /// When it took the lock.
    pub since: Timestamp,
}

/// Everything that can go wrong, with its facts. The public face is [`Error`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("there is no store at {}: the directory does not exist", .0.display())]
    NoDirectory(PathBuf),
    #[error("there is no store at {}: the directory is empty", .0.display())]
    EmptyDirectory(PathBuf),
    #[error("there is no store at {}: the directory holds other things and no CURRENT", .0.display())]
    NotAStore(PathBuf),
    #[error("there is no store at {} yet: making one was interrupted before its first generation", .0.display())]
    UnfinishedInit(PathBuf),
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    #[error("{} is not empty", .0.display())]
    DirectoryNotEmpty(PathBuf),
    #[error("{} lies in the store", .0.display())]
    InStore(PathBuf),
    #[error("{} is a store already", .0.display())]
    AlreadyAStore(PathBuf),
    #[error("{path:?} is not a path a store can hold: {rule}")]
    BadPath { path: String, rule: &'static str },
    #[error("{path} and {other} cannot both be in a store: {rule}")]
    PathsCollide { path: StorePath, other: String, rule: &'static str },
    #[error("{text:?} is not a revision: {rule}")]
    BadRevision { text: String, rule: &'static str },
    #[error("{pattern:?} is not a pattern: {detail}")]
    BadPattern { pattern: String, detail: String },
    #[error("{what} breaks a rule: {rule}")]
    Limit { what: String, rule: String },
    #[error("{path} was refused by the validator for {pattern:?}: {source}")]
    Refused { path: StorePath, pattern: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{path} cannot be written as JSON: {source}")]
    NotJson { path: StorePath, source: serde_json::Error },
    #[error("{path} of generation {generation} is intact but not the JSON that was asked for: {source}")]
    OtherJson { path: StorePath, generation: Generation, source: serde_json::Error },
    #[error("{} cannot be saved: {rule}", .file.display())]
    BadSource { file: PathBuf, rule: String },
    #[error("{} changed while it was being read, three times in a row", .0.display())]
    SourceChanged(PathBuf),
    #[error("{path} is not in generation {generation}")]
    NoSuchPath { path: String, generation: Generation },
    #[error("{path} is a folder in generation {generation}, not a file")]
    IsFolder { path: StorePath, generation: Generation },
    #[error("{0} was removed earlier in this transaction")]
    RemovedHere(StorePath),
    #[error("{pattern:?} matches no path in generation {generation}")]
    NoMatch { pattern: String, generation: Generation },
    #[error("revision {revision} does not exist: {detail}")]
    NoSuchRevision { revision: String, detail: String },
    #[error("somebody else changed {} since generation {base}", list(.paths))]
    Conflict { base: Generation, paths: Vec<ConflictingPath> },
    #[error("the writer lock was held for all of {waited_ms} ms{}", held_by(.holder.as_ref()))]
    Busy { waited_ms: u128, holder: Option<LockHolder> },
    #[error("{path} as generation {generation} wrote it is damaged: {detail}")]
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
    #[error("nothing can be saved while the store is damaged: {detail}")]
    Degraded { detail: String, serving: Generation },
    #[error("the store under {} is another one than this handle opened: its id is {found}, not {expected}", .dir.display())]
    OtherStore { dir: PathBuf, expected: StoreId, found: StoreId },
    #[error("the directory {} was moved or replaced since this handle opened it", .0.display())]
    DirectoryReplaced(PathBuf),
    #[error(
        "the history under this handle was replaced: generation {known}, which it had read, is no longer a part of it"
    )]
    HistoryReplaced { known: Generation },
    #[error("{name} is written in format {format}; this program reads format 1")]
    NewerFormat { name: String, format: u64 },
    #[error("a store on {filesystem} is refused: {reason}")]
    MediumRefused { filesystem: String, reason: String },
    #[allow(
        dead_code,
        reason = "retention, which expires snapshots, comes later; the kind is part of the agreed interface"
    )]
    #[error("the files of generation {generation} were removed by retention")]
    SnapshotExpired { generation: Generation },
    #[error("whether generation {generation} survives a power cut is not known: {step} failed")]
    OutcomeUnknown { generation: Generation, step: &'static str, source: io::Error },
    #[error("an earlier commit through this handle, of generation {0}, ended with an unknown outcome")]
    Poisoned(Generation),
    #[error("stopped on request before anything was saved")]
    Cancelled,
    #[error("{action} {name}: {source}")]
    Io { action: &'static str, name: String, source: io::Error },
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

/// What went wrong. [`kind`](Error::kind) says what the caller should do; the other methods give the facts.
///
/// `Display` is one clause that says what happened; [`consequence`](Error::consequence) and
/// [`advice`](Error::advice) complete the sentence for a person.
pub struct Error(Box<Problem>);

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl Error {
    pub(crate) fn io(action: &'static str, name: impl Into<String>, source: io::Error) -> Self {
        Problem::Io { action, name: name.into(), source }.into()
    }

    /// Whether no store was found.
    pub(crate) fn is_vacant(&self) -> bool {
        use Problem as P;
        matches!(&*self.0, P::NoDirectory(_) | P::EmptyDirectory(_) | P::UnfinishedInit(_) | P::NotAStore(_))
    }

    /// Whether a store was found where one was to be made.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(&*self.0, Problem::AlreadyAStore(_))
    }

    /// What the caller should do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use Problem as P;
        match &*self.0 {
            P::NoDirectory(_)
            | P::EmptyDirectory(_)
            | P::NotAStore(_)
            | P::UnfinishedInit(_)
            | P::NoSuchPath { .. }
            | P::IsFolder { .. }
            | P::RemovedHere(_)
            | P::NoMatch { .. }
            | P::NoSuchRevision { .. } => ErrorKind::NotFound,
            P::NotADirectory(_)
            | P::DirectoryNotEmpty(_)
            | P::AlreadyAStore(_)
            | P::InStore(_)
            | P::BadPath { .. }
            | P::PathsCollide { .. }
            | P::BadRevision { .. }
            | P::BadPattern { .. }
            | P::Limit { .. }
            | P::Refused { .. }
            | P::NotJson { .. }
            | P::OtherJson { .. }
            | P::BadSource { .. }
            | P::SourceChanged(_) => ErrorKind::Invalid,
            P::Conflict { .. } => ErrorKind::Conflict,
            P::Busy { .. } => ErrorKind::Busy,
            P::DamagedFile { .. }
            | P::DamagedMetadata { .. }
            | P::NothingIntact { .. }
            | P::Degraded { .. }
            | P::OtherStore { .. }
            | P::DirectoryReplaced(_)
            | P::HistoryReplaced { .. } => ErrorKind::Corrupt,
            P::NewerFormat { .. } | P::MediumRefused { .. } => ErrorKind::Unsupported,
            P::SnapshotExpired { .. } => ErrorKind::SnapshotExpired,
            P::OutcomeUnknown { .. } => ErrorKind::CommitOutcomeUnknown,
            P::Poisoned(_) => ErrorKind::Poisoned,
            P::Cancelled | P::Io { .. } => ErrorKind::Io,
        }
    }

    /// What it means for the data, as one clause.
    #[must_use]
    pub fn consequence(&self) -> &'static str {
        use Problem as P;
        match &*self.0 {
            P::NoDirectory(_) | P::EmptyDirectory(_) | P::NotAStore(_) | P::UnfinishedInit(_) => {
                "nothing was read or changed"
            }
            P::NoSuchPath { .. }
            | P::IsFolder { .. }
            | P::RemovedHere(_)
            | P::NoMatch { .. }
            | P::NoSuchRevision { .. } => "the store is as it was",
            P::BadPath { .. } | P::BadRevision { .. } | P::BadPattern { .. } | P::NotADirectory(_) => {
                "nothing was read or changed"
            }
            P::OtherJson { .. } => "its bytes are what was saved",
            P::DamagedFile { is_missing: true, .. } => {
                "every other file can still be read, and nothing was changed"
            }
            P::DamagedFile { .. } => {
                "every other file can still be read, and the damaged one was left as evidence"
            }
            P::DamagedMetadata { .. } | P::NothingIntact { .. } => {
                "nothing on disk was changed, and the damaged file is evidence"
            }
            P::Degraded { .. } => {
                "the newest intact generation can still be read, and nothing on disk was changed"
            }
            P::OtherStore { .. } | P::DirectoryReplaced(_) | P::HistoryReplaced { .. } => {
                "nothing was read from it or saved to it"
            }
            P::NewerFormat { .. } => "the store was left as it is",
            P::SnapshotExpired { .. } => "newer generations can still be read",
            P::OutcomeUnknown { .. } => {
                "the store is at that generation or at the one before it, whole, and nothing was deleted"
            }
            P::Poisoned(_) => "this call did nothing",
            P::Io { action, .. } if is_reading(action) => "the store is as it was",
            _ => "nothing was saved, and the store is as it was",
        }
    }

    /// What to do next, as one clause.
    #[must_use]
    pub fn advice(&self) -> String {
        use Problem as P;
        match &*self.0 {
            P::NoDirectory(_) | P::EmptyDirectory(_) => {
                "check the name, or make a store there with init".into()
            }
            P::NotAStore(_) => {
                "check the name; if a store was here, bring its CURRENT and manifests back from a copy".into()
            }
            P::UnfinishedInit(_) => "run init again, which completes it".into(),
            P::NotADirectory(_) => "name a directory".into(),
            P::DirectoryNotEmpty(_) | P::InStore(_) => {
                "name a directory outside the store that is empty or does not exist".into()
            }
            P::AlreadyAStore(_) => "open it, or name another directory".into(),
            P::BadPath { .. } => "correct the path".into(),
            P::PathsCollide { .. } => "rename one of them".into(),
            P::BadRevision { .. } => "see the history for the generations there are".into(),
            P::BadPattern { .. } => "correct the pattern".into(),
            P::Limit { .. } => "keep to that rule: docs/format.md lists the limits".into(),
            P::Refused { .. } | P::NotJson { .. } => "correct its content".into(),
            P::OtherJson { .. } => {
                "compare it with an earlier generation, and roll back if it is a bad edit".into()
            }
            P::BadSource { .. } => {
                "leave it out, or mend it; a directory is saved with commit, a single file with put".into()
            }
            P::SourceChanged(_) => "stop whatever is writing to it, then save again".into(),
            P::IsFolder { .. } => "list the files in it, and name one".into(),
            P::RemovedHere(_) => "put it again first, or leave it out".into(),
            P::NoSuchPath { .. } | P::NoMatch { .. } => {
                "list the paths of that generation, or look the path up in the history".into()
            }
            P::NoSuchRevision { .. } => "see the history for the generations there are".into(),
            P::Conflict { .. } => "read those paths again, decide, and save again".into(),
            P::Busy { .. } => "try again, or wait longer".into(),
            P::DamagedFile { path, intact: Some(intact), .. } => {
                format!(
                    "{path} is intact in generation {intact}: look at it there, and roll that path back to it if it is good"
                )
            }
            P::DamagedFile { path, intact: None, .. } => {
                format!("no other version of {path} in this store is intact: bring it back from a copy")
            }
            P::DamagedMetadata { .. } => {
                "run verify to see what else is damaged, and copy the store before anything else".into()
            }
            P::NothingIntact { .. } => {
                "copy the directory before anything else, then bring a copy of the store back".into()
            }
            P::Degraded { serving, .. } => format!(
                "copy the store first; then export generation {serving} and make a new store of it, or bring the damaged \
                 file back from a copy that is as new, as an older CURRENT would discard every save since"
            ),
            P::OtherStore { .. } | P::DirectoryReplaced(_) | P::HistoryReplaced { .. } => {
                "find out who replaced it, then open the store again to work with what is there now".into()
            }
            P::NewerFormat { .. } => "use a newer version of this program".into(),
            P::MediumRefused { .. } => "put the store on a local disk, or force it if you accept that".into(),
            P::SnapshotExpired { .. } => "take a new snapshot".into(),
            P::OutcomeUnknown { .. } => {
                "find out why the disk failed, open the store again and see which generation it is at".into()
            }
            P::Poisoned(_) => "open the store again".into(),
            P::Cancelled => "run it again when you want it saved".into(),
            P::Io { source, .. } => io_advice(source),
        }
    }

    /// The logical path or the name of the file that it is about.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        use Problem as P;
        match &*self.0 {
            P::BadPath { path, .. } | P::NoSuchPath { path, .. } => Some(path),
            P::PathsCollide { path, .. }
            | P::RemovedHere(path)
            | P::IsFolder { path, .. }
            | P::Refused { path, .. }
            | P::NotJson { path, .. }
            | P::OtherJson { path, .. }
            | P::DamagedFile { path, .. } => Some(path.as_str()),
            P::DamagedMetadata { name, .. } | P::NewerFormat { name, .. } | P::Io { name, .. } => Some(name),
            P::NoDirectory(path)
            | P::EmptyDirectory(path)
            | P::NotAStore(path)
            | P::UnfinishedInit(path)
            | P::NotADirectory(path)
            | P::DirectoryNotEmpty(path)
            | P::AlreadyAStore(path)
            | P::InStore(path)
            | P::SourceChanged(path)
            | P::BadSource { file: path, .. } => path.to_str(),
            P::Conflict { paths, .. } => paths.first().map(|conflict| conflict.path.as_str()),
            _ => None,
        }
    }

    /// The generation that it is about.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        use Problem as P;
        match &*self.0 {
            P::OtherJson { generation, .. }
            | P::NoSuchPath { generation, .. }
            | P::IsFolder { generation, .. }
            | P::NoMatch { generation, .. }
            | P::DamagedFile { generation, .. }
            | P::SnapshotExpired { generation }
            | P::OutcomeUnknown { generation, .. }
            | P::Poisoned(generation)
            | P::Degraded { serving: generation, .. }
            | P::Conflict { base: generation, .. }
            | P::HistoryReplaced { known: generation } => Some(*generation),
            P::DamagedMetadata { generation, .. } => *generation,
            _ => None,
        }
    }

    /// The hash or length that was recorded, when something else was found.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        match &*self.0 {
            Problem::DamagedFile { expected, .. } => Some(expected),
            Problem::DamagedMetadata { expected, .. } => expected.as_deref(),
            _ => None,
        }
    }

    /// The hash or length that was found instead.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        match &*self.0 {
            Problem::DamagedFile { found, .. } => Some(found),
            Problem::DamagedMetadata { found, .. } => found.as_deref(),
            _ => None,
        }
    }

    /// The newest generation in which the damaged path has another version that is intact.
    #[must_use]
    pub fn intact(&self) -> Option<Generation> {
        match &*self.0 {
            Problem::DamagedFile { intact, .. } => *intact,
            _ => None,
        }
    }

    /// The paths that somebody else changed, of a [`Conflict`](ErrorKind::Conflict).
    #[must_use]
    pub fn conflicts(&self) -> &[ConflictingPath] {
        match &*self.0 {
            Problem::Conflict { paths, .. } => paths,
            _ => &[],
        }
    }

    /// Who held the lock, of [`Busy`](ErrorKind::Busy), where that could be known.
    #[must_use]
    pub fn holder(&self) -> Option<&LockHolder> {
        match &*self.0 {
            Problem::Busy { holder, .. } => holder.as_ref(),
            _ => None,
        }
    }

    /// Whether the caller's own cancel flag ended the call.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        matches!(&*self.0, Problem::Cancelled)
    }
}

/// The actions that only read: their failure says nothing about a save.
fn is_reading(action: &str) -> bool {
    ["cannot read", "cannot list", "cannot export", "cannot pin", "cannot open"]
        .iter()
        .any(|reading| action.starts_with(reading))
}

fn io_advice(source: &io::Error) -> String {
    /// `ENFILE` and `EMFILE` have these numbers on every Unix.
    const NO_DESCRIPTORS: [i32; 2] = [23, 24];
    if source.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code)) {
        return "raise the limit on open files: a commit needs about 80".into();
    }
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room, then try again",
        io::ErrorKind::PermissionDenied => "run as a user who may do that, or mend the permissions",
        io::ErrorKind::ReadOnlyFilesystem => "find out why the file system is read-only",
        io::ErrorKind::NotFound => "check the name",
        _ => "find out why the system refused, then try again",
    }
    .into()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} ({:?})", self.kind(), self.0, self.0)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}
