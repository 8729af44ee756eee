//! What the store needs from the place that holds it, in terms of the store's own names.
//!
//! [`directory`] keeps the store in a directory tree. Another kind of place, such as a bucket of
//! objects, would implement the three traits here.

pub(crate) mod batch;
pub(crate) mod directory;
pub(crate) mod export_dir;

use std::fmt::Debug;
use std::io;

use crate::format::names::Name;
use crate::format::pointer::ManifestRef;
use crate::fs::{DirEntry, Fs, FsFile, FsLock};
use crate::revision::Generation;

/// A file found in a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FoundName {
    /// The path in the store.
    pub(crate) path: String,
    /// What the path names. `None` when it is not a name of the store, or when a directory has the
    /// name of a file.
    pub(crate) name: Option<Name>,
}

/// The place that holds a store.
pub(crate) trait Storage: Send + Sync + Debug {
    /// Opens a file for reading.
    fn open(&self, name: &Name) -> io::Result<Box<dyn FsFile>>;
    /// The length of a file in bytes; `None` when it does not exist.
    fn bytes(&self, name: &Name) -> io::Result<Option<u64>>;
    /// Everything in one of the directories of `format::names` or in a directory below `data/`,
    /// sorted by path. A missing directory counts as empty.
    fn scan(&self, directory: &str) -> io::Result<Vec<FoundName>>;
    /// The names at the top of the place, sorted, including those that do not belong to the store.
    fn list_root(&self) -> io::Result<Vec<DirEntry>>;
    /// Removes a file.
    fn delete(&self, name: &Name) -> io::Result<()>;
    /// Begins a write batch: files that become durable together.
    fn begin_batch(&self) -> io::Result<Box<dyn WriteBatch>>;
    /// Replaces the pointer to `expected`, or no pointer, with `new`, atomically. A write batch has
    /// [staged](WriteBatch::stage_pointer) `new` before and was synced. Durable only after
    /// [`sync_pointer`](Storage::sync_pointer).
    ///
    /// A place whose writer lock does not exclude other writers has to compare, and fail if the
    /// pointer is not the expected one.
    fn swap_pointer(&self, expected: Option<ManifestRef>, new: &[u8]) -> io::Result<()>;
    /// Returns once the last swap is durable. The caller calls this once after each swap.
    fn sync_pointer(&self) -> io::Result<()>;
    /// Gives `staged`, which was written and fsynced, the name of a derived file. Replaces a file
    /// of that name.
    fn replace_derived(&self, staged: &Name, derived: &Name) -> io::Result<()>;
    /// Takes the writer lock; `None` when another writer holds it.
    fn try_lock_writer(&self) -> io::Result<Option<Box<dyn FsLock>>>;
    /// The note that the holder of the writer lock left.
    fn writer_note(&self) -> io::Result<Vec<u8>>;
    /// Protects the files of a generation from retention until the pin is dropped. `None` where
    /// nothing can be written, and so nothing pinned.
    fn pin(&self, generation: Generation) -> io::Result<Option<Box<dyn Pin>>>;
    /// Whether the place is still the one that was opened.
    fn is_same_dir(&self) -> io::Result<bool>;
    /// The clock, randomness and facts about the machine.
    fn system(&self) -> &dyn Fs;
}

/// Holds the files of a generation until it is dropped or the process ends.
pub(crate) trait Pin: Send + Sync + Debug {}

/// Files that are written now and become durable together. Dropping a batch leaves what it wrote.
pub(crate) trait WriteBatch: Send + Sync + Debug {
    /// Writes a new file. Fails with `AlreadyExists` when its name is taken.
    fn put(&mut self, name: &Name, bytes: &[u8]) -> io::Result<()>;
    /// Creates a staging file. The caller writes it and gives it back to
    /// [`staged`](WriteBatch::staged).
    fn stage(&mut self) -> io::Result<(Name, Box<dyn FsFile>)>;
    /// Takes a staging file that was written to its end.
    fn staged(&mut self, file: Box<dyn FsFile>) -> io::Result<()>;
    /// Writes what has to be durable before [`Storage::swap_pointer`] can make these bytes the
    /// pointer. Replaces what an earlier attempt left.
    fn stage_pointer(&mut self, pointer: &[u8]) -> io::Result<()>;
    /// Gives a staging file, which an earlier batch fsynced, its name in the store. Fails with
    /// `AlreadyExists` when that name is taken.
    fn promote(&mut self, staged: &Name, name: &Name) -> io::Result<()>;
    /// Returns once everything that this batch wrote is durable, names included. Must not be called
    /// again after a failure.
    fn sync(&mut self) -> io::Result<()>;
    /// Removes what this batch wrote, as far as possible. Promoted files go back to staging. With
    /// `keeps_number`, the generation number of the batch stays used: see [`Name::Used`].
    fn discard(&mut self, keeps_number: bool);
}
