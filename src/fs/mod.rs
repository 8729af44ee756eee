//! The only code that uses the disk, the clock and randomness.
//!
//! [`Fs`] is one directory tree. Paths are relative to its root and separated by `/`. The empty
//! path is the root. Symbolic links are never followed, and only regular files are opened. So a
//! link planted in a store cannot lead out of it.

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

/// What is at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileKind {
    File,
    Directory,
    Other,
}

/// Who may write to a file once it is created.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// No one: the file is part of a store.
    ReadOnly,
    /// Those whom the umask of the process allows.
    Writable,
}

/// How a lock is shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LockMode {
    /// Other shared holders may hold it too.
    Shared,
    /// No other holder.
    Exclusive,
}

/// The file system of a directory, as far as the system reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FsInfo {
    pub(crate) filesystem: String,
    pub(crate) verdict: FsVerdict,
    pub(crate) free_bytes: u64,
    /// Whether it is ext4 with the feature `fast_commit`; `None` where that could not be found out.
    pub(crate) fast_commit: Option<bool>,
}

/// What a kind of file system means for the promises of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FsVerdict {
    Good,
    Weak(&'static str),
    Refused(&'static str),
}

/// What is known about a path without opening it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: FileKind,
    pub(crate) bytes: u64,
}

/// One name in a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DirEntry {
    /// The name; where it is not UTF-8, the nearest text.
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
    /// A value that is new at every start of the machine; `None` where the system has none.
    pub(crate) boot: Option<String>,
}

/// An open file.
pub(crate) trait FsFile: Read + Write + Send + Sync + Debug {
    /// The length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Asks the system to start writing the bytes to the disk, without waiting. Promises nothing.
    fn start_writeback(&self);
    /// Returns once the bytes and the length are durable. Must be called only once: after a failure
    /// the system may report success for bytes that it has dropped.
    fn sync(&self) -> io::Result<()>;
}

/// A lock that is held until the value is dropped or the process ends.
pub(crate) trait FsLock: Send + Sync + Debug {
    /// What identifies the locked file: its device and its inode number.
    fn identity(&self) -> io::Result<(u64, u64)>;
    /// Whether no one else holds the lock. If so, this holder now holds it exclusively. If not,
    /// this holder may have lost its lock, so it must ask only when it is about to drop the lock.
    /// Of several holders that ask, the last one gets `true`.
    fn is_last_holder(&self) -> bool;
    /// The note that the last exclusive holder left in the file.
    fn note(&self) -> io::Result<Vec<u8>>;
    /// Leaves a note in the file, for others who find it locked. It is not fsynced, as it matters
    /// only until the machine stops.
    fn set_note(&self, note: &[u8]) -> io::Result<()>;
}

/// Syncs everything that was written to the file system since this was opened.
pub(crate) trait SyncFs: Send + Sync + Debug {
    fn sync(&self) -> io::Result<()>;
}

/// A directory tree, a clock and a source of randomness.
pub(crate) trait Fs: Send + Sync + Debug {
    /// Creates a file and opens it for writing. Fails with `AlreadyExists` when the name is taken.
    fn create(&self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>>;
    /// Opens a regular file for reading.
    fn open(&self, path: &str) -> io::Result<Box<dyn FsFile>>;
    /// What is at the path; `None` when nothing is.
    fn stat(&self, path: &str) -> io::Result<Option<Stat>>;
    /// Creates a directory unless the name is taken. Returns whether it created one.
    fn create_dir(&self, path: &str) -> io::Result<bool>;
    /// Removes the name of a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Removes a directory if it is empty.
    fn remove_dir(&self, path: &str) -> io::Result<()>;
    /// Renames a file. Atomically replaces what has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Renames a file. Fails with `AlreadyExists` when the new name is taken.
    fn rename_new(&self, from: &str, to: &str) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>>;
    /// Returns once the names in the directory are durable. Must be called only once, as for files.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
    /// A syncfs, where it can replace single fsyncs.
    fn syncfs(&self) -> io::Result<Option<Box<dyn SyncFs>>>;
    /// Takes the lock of a file, which is created if missing. `None` when another holder excludes
    /// `mode`.
    fn try_lock(&self, path: &str, mode: LockMode) -> io::Result<Option<Box<dyn FsLock>>>;
    /// Removes the name of a locked file, unless another file has that name now.
    fn remove_locked(&self, path: &str, lock: &dyn FsLock) -> io::Result<()>;
    /// Whether the path by which the tree was opened still leads to it.
    fn is_same_dir(&self) -> io::Result<bool>;
    /// The file system of the tree.
    fn info(&self) -> io::Result<FsInfo>;
    /// The time by the clock of the system, in whole milliseconds.
    fn now(&self) -> Timestamp;
    /// The time since an arbitrary start, by a clock that only goes forward.
    fn monotonic(&self) -> Duration;
    /// Waits.
    fn sleep(&self, time: Duration);
    /// Random bytes.
    fn random(&self) -> io::Result<[u8; 16]>;
    /// This process.
    fn process(&self) -> Process;
}

/// The error for a name that is not a regular file.
pub(crate) fn not_a_file(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it is {what}, not a regular file"))
}

/// Reads, and once more when the system cannot read what is there. Only what it cannot read twice
/// counts as damaged, as that decides which generation is served.
pub(crate) fn retry_once<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match read() {
        Err(error) if is_unreadable(&error) => read(),
        other => other,
    }
}

/// Whether an error of reading means that the thing is there and cannot be read.
pub(crate) fn is_unreadable(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::NotFound && !is_transient(error)
}

/// Whether an error says that the system could not read now, not that the name or its bytes are
/// bad.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
        || matches!(
            error.kind(),
            K::PermissionDenied | K::OutOfMemory | K::Interrupted | K::TimedOut | K::StaleNetworkFileHandle
        )
}
