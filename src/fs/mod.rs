//! The only code that touches a disk, a clock or randomness.
//!
//! [`Fs`] is one directory tree. Paths are relative to it, separated by `/`, and empty for the tree itself. Symbolic
//! links are never followed, and only regular files are opened: whoever plants a link in a store cannot lead it out.

pub(crate) mod host_dirs;
pub(crate) mod lock;
#[cfg(any(test, feature = "sim"))]
#[cfg_attr(
    not(all(test, feature = "proof")),
    allow(dead_code, reason = "the proof asks for more than the crash kit")
)]
pub(crate) mod op;
pub(crate) mod probe;
pub(crate) mod real;
#[cfg(any(test, feature = "sim"))]
#[cfg_attr(
    not(all(test, feature = "proof")),
    allow(dead_code, reason = "the proof asks for more than the crash kit")
)]
pub(crate) mod sim;
pub(crate) mod source;

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::time::Duration;

use rustix::io::Errno;

use crate::time::Timestamp;

/// What stands under a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileKind {
    File,
    Directory,
    Other,
}

/// Who may write to a file once it has been made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Nobody: it is part of a store.
    ReadOnly,
    /// Whoever the process's umask lets.
    Writable,
}

/// How a lock is shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LockMode {
    /// Together with other shared holders.
    Shared,
    /// Alone.
    Exclusive,
}

/// The file system under a directory, as far as the system tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FsInfo {
    pub(crate) filesystem: String,
    pub(crate) verdict: FsVerdict,
    pub(crate) free_bytes: u64,
    /// ext4 with the feature `fast_commit`; `None` where that could not be found out.
    pub(crate) fast_commit: Option<bool>,
}

/// What a kind of file system means for the promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FsVerdict {
    Good,
    Weak(&'static str),
    Refused(&'static str),
}

/// What is known of a path without opening it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: FileKind,
    pub(crate) bytes: u64,
}

/// One name in a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DirEntry {
    /// The name, or its nearest text where it is not UTF-8.
    pub(crate) name: String,
    pub(crate) is_directory: bool,
    pub(crate) is_utf8: bool,
}

/// The process, for the note in the writer lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) program: String,
    pub(crate) host: String,
    /// What is new whenever the machine starts again; `None` where the system does not tell.
    pub(crate) boot: Option<String>,
}

/// An open file.
pub(crate) trait FsFile: Read + Write + Send + Sync + Debug {
    /// The length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Asks the system to begin writing the bytes to the disk, without waiting. Promises nothing.
    fn start_writeback(&self);
    /// Returns once the bytes and the length are durable. To be called once: after a failure the system may report
    /// success for bytes that it has dropped.
    fn sync(&self) -> io::Result<()>;
}

/// A lock that is held until this is dropped or the process ends.
pub(crate) trait FsLock: Send + Sync + Debug {
    /// What tells the locked file from any other: its device and its number there.
    fn identity(&self) -> io::Result<(u64, u64)>;
    /// Whether nobody else holds the lock; this one then holds it alone. If somebody does, it may hold nothing any
    /// more: to be asked only by whoever is about to let go of it. Of several that ask, the last one is told so.
    fn is_last_holder(&self) -> bool;
    /// The note that the last exclusive holder left in the file.
    fn note(&self) -> io::Result<Vec<u8>>;
    /// Leaves a note in the file, for whoever finds it locked. It is not fsynced: it matters only until the
    /// machine stops.
    fn set_note(&self, note: &[u8]) -> io::Result<()>;
}

/// Fsyncs everything that was written to the file system since this was opened.
pub(crate) trait SyncFs: Send + Sync + Debug {
    fn sync(&self) -> io::Result<()>;
}

/// A directory tree, a clock and a source of randomness.
pub(crate) trait Fs: Send + Sync + Debug {
    /// Makes a file that did not exist and opens it for writing.
    fn create(&self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>>;
    /// Opens a regular file for reading.
    fn open(&self, path: &str) -> io::Result<Box<dyn FsFile>>;
    /// What stands under the path; `None` when nothing does.
    fn stat(&self, path: &str) -> io::Result<Option<Stat>>;
    /// Makes a directory unless it exists. Says whether it made it.
    fn create_dir(&self, path: &str) -> io::Result<bool>;
    /// Removes the name of a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes a directory if it is empty.
    fn remove_dir(&self, path: &str) -> io::Result<()>;
    /// Gives a file another name, atomically replacing what had that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Gives a file another name; fails with `AlreadyExists` when something has that name.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>>;
    /// Returns once the names in the directory are durable. To be called once, as for files.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// a syncfs, where that can stand in for fsyncs one by one.
    fn syncfs(&self) -> io::Result<Option<Box<dyn SyncFs>>>;
    /// Takes the lock of a file, which is made if it does not exist; `None` when somebody else holds it.
    fn try_lock(&self, path: &str, mode: LockMode) -> io::Result<Option<Box<dyn FsLock>>>;
    /// Removes the name of a locked file, unless the name has become that of another one.
    fn remove_locked(&self, path: &str, lock: &dyn FsLock) -> io::Result<()>;
    /// Whether the directory under the name by which it was opened is still this one.
    fn is_same_dir(&self) -> io::Result<bool>;
    /// What carries the directory.
    fn info(&self) -> io::Result<FsInfo>;
    /// The time by the system's clock, in whole milliseconds.
    fn now(&self) -> Timestamp;
    /// The time by a clock that only goes forward, from an arbitrary start.
    fn monotonic(&self) -> Duration;
    /// Waits.
    fn sleep(&self, time: Duration);
    /// Random bytes.
    fn random(&self) -> io::Result<[u8; 16]>;
    /// This process.
    fn process(&self) -> Process;
}

/// The error for a name that is there but is not a file that the store wrote.
pub(crate) fn not_a_file(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is {what}, not a regular file"))
}

/// Reads, and once more where the system cannot read what is there. Only what it cannot read twice counts as damaged:
/// which generation is served follows from it.
pub(crate) fn twice<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match read() {
        Err(error) if is_unreadable(&error) => read(),
        other => other,
    }
}

/// Whether an error of reading says something about what was to be read, and that it is there.
pub(crate) fn is_unreadable(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::NotFound && !is_transient(error)
}

/// Whether an error says that the system could not do it now, rather than that the name or its bytes are bad.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
        || matches!(
            error.kind(),
            K::PermissionDenied | K::OutOfMemory | K::Interrupted | K::TimedOut | K::StaleNetworkFileHandle
        )
}
