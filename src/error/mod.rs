//! The one error type: what happened, what it means for the data, what to do next.

mod advice;
mod repr;

use std::fmt;
use std::io;

use crate::path::PathError;
use crate::revision::{Generation, RevisionError};
use crate::time::TimestampError;

pub use repr::{ConflictingPath, LockHolder};
pub(crate) use repr::{ErrorRepr, Operation};

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
    /// Somebody else committed the same paths first: read again, decide, commit again.
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

/// What an error is about. With the [kind](Error::kind) it tells a program which words of its own to add.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Subject {
    /// A directory that does not exist or is empty: [`Store::create`](crate::Store::create) can create a store there.
    EmptyDirectory,
    /// A directory in which the creation of a store was interrupted: [`Store::create`](crate::Store::create) completes
    /// it.
    UnfinishedStore,
    /// A directory that cannot be what it was named for.
    Directory,
    /// A file in the store: its path or its content.
    File,
    /// A pattern of paths.
    Pattern,
    /// A generation, or the text that was to name one.
    Revision,
    /// A pointer, a manifest or a checkpoint.
    Metadata,
    /// A file or directory outside the store that was to be committed.
    Source,
    /// The store as a whole, or the call.
    Store,
}

/// What went wrong. [`kind`](Error::kind) says what the caller should do; the other methods give the facts.
///
/// `Display` is one clause that says what happened; [`consequence`](Error::consequence) and
/// [`advice`](Error::advice) complete the sentence for a person.
pub struct Error(Box<ErrorRepr>);

impl From<ErrorRepr> for Error {
    fn from(problem: ErrorRepr) -> Self {
        Self(Box::new(problem))
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        ErrorRepr::BadPath(error).into()
    }
}

impl From<RevisionError> for Error {
    fn from(error: RevisionError) -> Self {
        ErrorRepr::BadRevision(error).into()
    }
}

impl From<TimestampError> for Error {
    fn from(error: TimestampError) -> Self {
        ErrorRepr::BadTime(error).into()
    }
}

impl Error {
    pub(crate) fn io(action: Operation, name: impl Into<String>, source: io::Error) -> Self {
        ErrorRepr::Io { action, name: name.into(), source }.into()
    }

    /// Whether no store was found.
    pub(crate) fn is_missing_store(&self) -> bool {
        use ErrorRepr as P;
        matches!(&*self.0, P::NoDirectory(_) | P::EmptyDirectory(_) | P::UnfinishedInit(_) | P::NotAStore(_))
    }

    /// Whether a store was found where one was to be made.
    pub(crate) fn already_exists(&self) -> bool {
        matches!(&*self.0, ErrorRepr::AlreadyAStore(_))
    }

    /// What the caller should do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use ErrorRepr as P;
        match &*self.0 {
            P::NoDirectory(_)
            | P::EmptyDirectory(_)
            | P::NotAStore(_)
            | P::UnfinishedInit(_)
            | P::NoSuchPath { .. }
            | P::IsDirectory { .. }
            | P::RemovedHere(_)
            | P::NoMatch { .. }
            | P::NoSuchRevision { .. } => ErrorKind::NotFound,
            P::NotADirectory(_)
            | P::DirectoryNotEmpty(_)
            | P::WorkingDirectory(_)
            | P::AboveMissing(_)
            | P::AlreadyAStore(_)
            | P::InStore(_)
            | P::BadPath(_)
            | P::PathsCollide { .. }
            | P::BadRevision(_)
            | P::BadTime(_)
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
            P::NewerFormat { .. } | P::FilesystemRefused { .. } => ErrorKind::Unsupported,
            P::SnapshotExpired { .. } => ErrorKind::SnapshotExpired,
            P::OutcomeUnknown { .. } => ErrorKind::CommitOutcomeUnknown,
            P::Poisoned(_) => ErrorKind::Poisoned,
            P::Cancelled | P::Io { .. } => ErrorKind::Io,
        }
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        use ErrorRepr as P;
        match &*self.0 {
            P::NoDirectory(_) | P::EmptyDirectory(_) => Subject::EmptyDirectory,
            P::UnfinishedInit(_) => Subject::UnfinishedStore,
            P::NotAStore(_)
            | P::NotADirectory(_)
            | P::DirectoryNotEmpty(_)
            | P::WorkingDirectory(_)
            | P::AboveMissing(_)
            | P::InStore(_)
            | P::AlreadyAStore(_) => Subject::Directory,
            P::BadPath(_)
            | P::PathsCollide { .. }
            | P::NoSuchPath { .. }
            | P::IsDirectory { .. }
            | P::RemovedHere(_)
            | P::Refused { .. }
            | P::NotJson { .. }
            | P::OtherJson { .. }
            | P::Conflict { .. }
            | P::DamagedFile { .. } => Subject::File,
            P::BadPattern { .. } | P::NoMatch { .. } => Subject::Pattern,
            P::BadRevision(_)
            | P::BadTime(_)
            | P::NoSuchRevision { .. }
            | P::SnapshotExpired { .. }
            | P::OutcomeUnknown { .. } => Subject::Revision,
            P::DamagedMetadata { .. } | P::NewerFormat { .. } => Subject::Metadata,
            P::BadSource { .. } | P::SourceChanged(_) => Subject::Source,
            P::Limit { .. }
            | P::Busy { .. }
            | P::NothingIntact { .. }
            | P::Degraded { .. }
            | P::OtherStore { .. }
            | P::DirectoryReplaced(_)
            | P::HistoryReplaced { .. }
            | P::FilesystemRefused { .. }
            | P::Poisoned(_)
            | P::Cancelled
            | P::Io { .. } => Subject::Store,
        }
    }

    /// What it means for the data, as one clause.
    #[must_use]
    pub fn consequence(&self) -> &'static str {
        self.0.consequence()
    }

    /// What to do next, as one clause. It names no call and no command: see [`subject`](Error::subject) to add them.
    #[must_use]
    pub fn advice(&self) -> String {
        self.0.advice()
    }

    /// The logical path or the name of the file that it is about.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        use ErrorRepr as P;
        match &*self.0 {
            P::BadPath(PathError { path, .. }) | P::NoSuchPath { path, .. } => Some(path),
            P::PathsCollide { path, .. }
            | P::RemovedHere(path)
            | P::IsDirectory { path, .. }
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
            | P::WorkingDirectory(path)
            | P::AboveMissing(path)
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
        use ErrorRepr as P;
        match &*self.0 {
            P::OtherJson { generation, .. }
            | P::NoSuchPath { generation, .. }
            | P::IsDirectory { generation, .. }
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
            ErrorRepr::DamagedFile { expected, .. } => Some(expected),
            ErrorRepr::DamagedMetadata { expected, .. } => expected.as_deref(),
            _ => None,
        }
    }

    /// The hash or length that was found instead.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        match &*self.0 {
            ErrorRepr::DamagedFile { found, .. } => Some(found),
            ErrorRepr::DamagedMetadata { found, .. } => found.as_deref(),
            _ => None,
        }
    }

    /// The newest generation in which the damaged path has another version that is intact.
    #[must_use]
    pub fn intact(&self) -> Option<Generation> {
        match &*self.0 {
            ErrorRepr::DamagedFile { intact, .. } => *intact,
            _ => None,
        }
    }

    /// The paths that somebody else changed, of a [`Conflict`](ErrorKind::Conflict).
    #[must_use]
    pub fn conflicts(&self) -> &[ConflictingPath] {
        match &*self.0 {
            ErrorRepr::Conflict { paths, .. } => paths,
            _ => &[],
        }
    }

    /// Who held the lock, of [`Busy`](ErrorKind::Busy), where that could be known.
    #[must_use]
    pub fn holder(&self) -> Option<&LockHolder> {
        match &*self.0 {
            ErrorRepr::Busy { holder, .. } => holder.as_ref(),
            _ => None,
        }
    }

    /// Whether the caller's own cancel flag ended the call.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        matches!(&*self.0, ErrorRepr::Cancelled)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::StorePath;
    use crate::time::Timestamp;

    /// What `?` makes of a small error.
    #[track_caller]
    fn invalid(small: impl std::error::Error + Into<Error>) -> Error {
        let text = small.to_string();
        let error: Error = small.into();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Invalid, text));
        assert!(std::error::Error::source(&error).is_none(), "its text is said once");
        error
    }

    #[test]
    fn a_small_error_becomes_the_one_error_with_the_same_text() {
        let error = invalid(StorePath::new("a//b").unwrap_err());
        assert_eq!(error.path(), Some("a//b"));
        assert_eq!(
            error.to_string(),
            r#""a//b" is not a path a store can hold: a path must have no empty part"#
        );
        let error = invalid(Generation::new(0).unwrap_err());
        assert_eq!(
            error.to_string(),
            r#""0" is not a revision: a generation is a number from 1 to 9999999999"#
        );
        let error = invalid("latest~x".parse::<crate::Revision>().unwrap_err());
        assert_eq!(error.to_string(), r#""latest~x" is not a revision: latest~ is followed by a number"#);
        let error = invalid("yesterday".parse::<Timestamp>().unwrap_err());
        assert!(error.to_string().starts_with("\"yesterday\" is not a time: "), "{error}");
    }
}
