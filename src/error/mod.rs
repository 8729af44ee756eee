//! The error type of the library: what happened, what it means for the data, what to do next.

mod advice;
mod repr;

use std::fmt;
use std::io;

use crate::path::PathError;
use crate::revision::{Generation, RevisionError};
use crate::time::TimestampError;

pub use repr::{ConflictingPath, LockHolder};
pub(crate) use repr::{ErrorRepr, Operation};

/// The result of every call of this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is, and what the caller should do about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store, the path or the revision does not exist. Name another.
    NotFound,
    /// The input breaks a rule. The message names the rule: change the input.
    Invalid,
    /// Another writer committed the same paths first. Read again, decide, commit again.
    Conflict,
    /// Another writer held the lock for longer than the handle waits. Try again later.
    Busy,
    /// The disk does not have what was committed. See what is intact, and find out why.
    Corrupt,
    /// Retention removed files of the snapshot. Take a new snapshot.
    SnapshotExpired,
    /// The generation may or may not survive a power cut. Open the store again and look.
    CommitOutcomeUnknown,
    /// An earlier commit through this handle ended with an unknown outcome. Open the store again.
    Poisoned,
    /// The store needs a newer program, or another file system.
    Unsupported,
    /// The operating system refused, and the source of the error says why. Or the caller
    /// [interrupted](Error::is_interrupted) the call.
    Io,
}

impl ErrorKind {
    /// The name of the kind in lower case with underscores, such as `not_found`, for logs and JSON.
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

/// What an [`Error`] is about. Together with the [kind](Error::kind), it lets a program add advice
/// in its own words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Subject {
    /// A directory that does not exist or is empty. [`Store::create`](crate::Store::create) can
    /// create a store there.
    EmptyDirectory,
    /// A directory in which the creation of a store was interrupted.
    /// [`Store::create`](crate::Store::create) completes the creation.
    UnfinishedStore,
    /// A directory that cannot be used for the purpose of the call.
    Directory,
    /// The path or the content of a file in the store.
    File,
    /// A pattern of paths.
    Pattern,
    /// A generation, or a text that should name one.
    Revision,
    /// A pointer, a manifest or a checkpoint.
    Metadata,
    /// A file or directory outside the store that should be committed.
    Source,
    /// The store as a whole, or the call.
    Store,
}

/// Why a call failed. [`kind`](Error::kind) says what the caller should do; the other methods give
/// the facts.
///
/// `Display` is one clause that says what happened. [`consequence`](Error::consequence) and
/// [`advice`](Error::advice) are two more for a person.
///
/// ```
/// use genstore::ErrorKind;
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let store = genstore::Store::create(dir.path().join("store"))?;
/// let prices = match store.snapshot()?.get("prices") {
///     Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
///     other => other?,
/// };
/// assert!(prices.is_empty());
///
/// let error = store.snapshot_at(7).unwrap_err();
/// let text = format!("{error}; {}; {}", error.consequence(), error.advice());
/// assert!(text.starts_with("revision 7 does not exist"));
/// # Ok::<(), genstore::Error>(())
/// ```
pub struct Error(Box<ErrorRepr>);

impl From<ErrorRepr> for Error {
    fn from(repr: ErrorRepr) -> Self {
        Self(Box::new(repr))
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

    /// Whether there is no store.
    pub(crate) fn is_missing_store(&self) -> bool {
        use ErrorRepr as E;
        matches!(&*self.0, E::NoDirectory(_) | E::EmptyDirectory(_) | E::UnfinishedInit(_) | E::NotAStore(_))
    }

    /// Whether a store could not be created because there is one already.
    pub(crate) fn already_exists(&self) -> bool {
        matches!(&*self.0, ErrorRepr::AlreadyAStore(_))
    }

    /// The kind of failure, which says what the caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use ErrorRepr as E;
        match &*self.0 {
            E::NoDirectory(_)
            | E::EmptyDirectory(_)
            | E::NotAStore(_)
            | E::UnfinishedInit(_)
            | E::NoSuchPath { .. }
            | E::IsDirectory { .. }
            | E::RemovedHere(_)
            | E::NoMatch { .. }
            | E::NoSuchRevision { .. } => ErrorKind::NotFound,
            E::NotADirectory(_)
            | E::DirectoryNotEmpty(_)
            | E::WorkingDirectory(_)
            | E::AboveMissing(_)
            | E::AlreadyAStore(_)
            | E::InStore(_)
            | E::BadPath(_)
            | E::PathsCollide { .. }
            | E::BadRevision(_)
            | E::BadTime(_)
            | E::BadPattern { .. }
            | E::Limit { .. }
            | E::Refused { .. }
            | E::NotJson { .. }
            | E::OtherJson { .. }
            | E::BadSource { .. }
            | E::BadSourceName { .. }
            | E::NothingToKeep(_)
            | E::SourceChanging { .. }
            | E::SourceChanged(_) => ErrorKind::Invalid,
            E::Conflict { .. } => ErrorKind::Conflict,
            E::Busy { .. } => ErrorKind::Busy,
            E::DamagedFile { .. }
            | E::DamagedMetadata { .. }
            | E::NothingIntact { .. }
            | E::Degraded { .. }
            | E::OtherStore { .. }
            | E::DirectoryReplaced(_)
            | E::HistoryReplaced { .. } => ErrorKind::Corrupt,
            E::NewerFormat { .. } | E::FilesystemRefused { .. } => ErrorKind::Unsupported,
            E::SnapshotExpired { .. } => ErrorKind::SnapshotExpired,
            E::OutcomeUnknown { .. } => ErrorKind::CommitOutcomeUnknown,
            E::Poisoned(_) => ErrorKind::Poisoned,
            E::Cancelled | E::Io { .. } => ErrorKind::Io,
        }
    }

    /// What the error is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        use ErrorRepr as E;
        match &*self.0 {
            E::NoDirectory(_) | E::EmptyDirectory(_) => Subject::EmptyDirectory,
            E::UnfinishedInit(_) => Subject::UnfinishedStore,
            E::NotAStore(_)
            | E::NotADirectory(_)
            | E::DirectoryNotEmpty(_)
            | E::WorkingDirectory(_)
            | E::AboveMissing(_)
            | E::InStore(_)
            | E::AlreadyAStore(_) => Subject::Directory,
            E::BadPath(_)
            | E::BadSourceName { .. }
            | E::PathsCollide { .. }
            | E::NoSuchPath { .. }
            | E::IsDirectory { .. }
            | E::RemovedHere(_)
            | E::Refused { .. }
            | E::NotJson { .. }
            | E::OtherJson { .. }
            | E::Conflict { .. }
            | E::DamagedFile { .. } => Subject::File,
            E::BadPattern { .. } | E::NoMatch { .. } => Subject::Pattern,
            E::BadRevision(_)
            | E::BadTime(_)
            | E::NoSuchRevision { .. }
            | E::SnapshotExpired { .. }
            | E::OutcomeUnknown { .. } => Subject::Revision,
            E::DamagedMetadata { .. } | E::NewerFormat { .. } => Subject::Metadata,
            E::BadSource { .. } | E::NothingToKeep(_) | E::SourceChanging { .. } | E::SourceChanged(_) => {
                Subject::Source
            }
            E::Limit { .. }
            | E::Busy { .. }
            | E::NothingIntact { .. }
            | E::Degraded { .. }
            | E::OtherStore { .. }
            | E::DirectoryReplaced(_)
            | E::HistoryReplaced { .. }
            | E::FilesystemRefused { .. }
            | E::Poisoned(_)
            | E::Cancelled
            | E::Io { .. } => Subject::Store,
        }
    }

    /// What the failure means for the data, as one clause, such as "the store is as it was".
    #[must_use]
    pub fn consequence(&self) -> &'static str {
        self.0.consequence()
    }

    /// What to do next, as one clause. It names neither a call nor a command:
    /// [`subject`](Error::subject) helps a program to add them.
    #[must_use]
    pub fn advice(&self) -> String {
        self.0.advice()
    }

    /// The path in the store, or the name of the file or directory, that the error is about.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        use ErrorRepr as E;
        match &*self.0 {
            E::BadPath(PathError { path, .. })
            | E::BadSourceName { source: PathError { path, .. }, .. }
            | E::NoSuchPath { path, .. } => Some(path),
            E::PathsCollide { path, .. }
            | E::RemovedHere(path)
            | E::IsDirectory { path, .. }
            | E::Refused { path, .. }
            | E::NotJson { path, .. }
            | E::OtherJson { path, .. }
            | E::DamagedFile { path, .. } => Some(path.as_str()),
            E::DamagedMetadata { name, .. } | E::NewerFormat { name, .. } | E::Io { name, .. } => Some(name),
            E::NoDirectory(path)
            | E::EmptyDirectory(path)
            | E::NotAStore(path)
            | E::UnfinishedInit(path)
            | E::NotADirectory(path)
            | E::DirectoryNotEmpty(path)
            | E::WorkingDirectory(path)
            | E::AboveMissing(path)
            | E::AlreadyAStore(path)
            | E::InStore(path)
            | E::SourceChanged(path)
            | E::NothingToKeep(path)
            | E::SourceChanging { file: path, .. }
            | E::BadSource { file: path, .. } => path.to_str(),
            E::Conflict { paths, .. } => paths.first().map(|conflict| conflict.path.as_str()),
            _ => None,
        }
    }

    /// The generation that the error is about.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        use ErrorRepr as E;
        match &*self.0 {
            E::OtherJson { generation, .. }
            | E::NoSuchPath { generation, .. }
            | E::IsDirectory { generation, .. }
            | E::NoMatch { generation, .. }
            | E::DamagedFile { generation, .. }
            | E::SnapshotExpired { generation }
            | E::OutcomeUnknown { generation, .. }
            | E::Poisoned(generation)
            | E::Degraded { serving: generation, .. }
            | E::Conflict { base: generation, .. }
            | E::HistoryReplaced { known: generation } => Some(*generation),
            E::DamagedMetadata { generation, .. } => *generation,
            _ => None,
        }
    }

    /// The hash or length that was recorded for a damaged file.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        match &*self.0 {
            ErrorRepr::DamagedFile { expected, .. } => Some(expected),
            ErrorRepr::DamagedMetadata { expected, .. } => expected.as_deref(),
            _ => None,
        }
    }

    /// The hash or length that was found instead of the [expected](Error::expected) one.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        match &*self.0 {
            ErrorRepr::DamagedFile { found, .. } => Some(found),
            ErrorRepr::DamagedMetadata { found, .. } => found.as_deref(),
            _ => None,
        }
    }

    /// The newest generation that has another, intact version of the damaged file.
    #[must_use]
    pub fn intact(&self) -> Option<Generation> {
        match &*self.0 {
            ErrorRepr::DamagedFile { intact, .. } => *intact,
            _ => None,
        }
    }

    /// The paths that another writer changed first, for a [`Conflict`](ErrorKind::Conflict). Empty
    /// for any other kind.
    #[must_use]
    pub fn conflicts(&self) -> &[ConflictingPath] {
        match &*self.0 {
            ErrorRepr::Conflict { paths, .. } => paths,
            _ => &[],
        }
    }

    /// The process that held the lock, for [`Busy`](ErrorKind::Busy), if it is known.
    #[must_use]
    pub fn holder(&self) -> Option<&LockHolder> {
        match &*self.0 {
            ErrorRepr::Busy { holder, .. } => holder.as_ref(),
            _ => None,
        }
    }

    /// Whether the caller ended the call, by a [`CancelFlag`](crate::CancelFlag) or by
    /// [`on_lock_wait`](crate::OpenOptions::on_lock_wait). Nothing was committed then.
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

    /// What `?` makes of an error of a small type.
    #[track_caller]
    fn invalid(small: impl std::error::Error + Into<Error>) -> Error {
        let text = small.to_string();
        let error: Error = small.into();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Invalid, text));
        assert!(std::error::Error::source(&error).is_none(), "the text is not repeated");
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
