//! What a store needs of the place that it is kept in, in terms of the store's own names.
//!
//! [`directory`] keeps it in a directory tree. Another kind of place, such as a bucket of objects, would be another
//! implementation of the two traits here.

pub(crate) mod batch;
pub(crate) mod directory;
pub(crate) mod export_dir;

use std::fmt::Debug;
use std::io;

use crate::format::names::Name;
use crate::format::pointer::ManifestRef;
use crate::fs::{DirEntry, Fs, FsFile, FsLock};
use crate::revision::Generation;

/// A thing found in a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FoundName {
    /// Its path in the store.
    pub(crate) path: String,
    /// What it is; `None` when its name is none of ours, or a directory has the name of a file.
    pub(crate) name: Option<Name>,
}

/// The place that holds a store.
pub(crate) trait Storage: Send + Sync + Debug {
    /// Opens a thing for reading.
    fn open(&self, name: &Name) -> io::Result<Box<dyn FsFile>>;
    /// Its length in bytes; `None` when there is no such thing.
    fn bytes(&self, name: &Name) -> io::Result<Option<u64>>;
    /// Everything in one of the directories of `format::names`, or in a directory of files, sorted by path. A directory that is not
    /// there is empty.
    fn scan(&self, directory: &str) -> io::Result<Vec<FoundName>>;
    /// The names at the top of the place, sorted, also those that are none of the store's.
    fn list_root(&self) -> io::Result<Vec<DirEntry>>;
    /// Removes a thing.
    fn delete(&self, name: &Name) -> io::Result<()>;
    /// Begins to write things that are to be made durable together.
    fn begin_batch(&self) -> io::Result<Box<dyn WriteBatch>>;
    /// Replaces the pointer to `expected`, or none, with `new`, atomically. A round has
    /// [staged](Round::stage_pointer) `new` and was fsynced. Not durable before
    /// [`flush_pointer`](Storage::flush_pointer).
    ///
    /// A place without a writer lock that keeps others out compares, and fails when the pointer is another one.
    fn swap_pointer(&self, expected: Option<ManifestRef>, new: &[u8]) -> io::Result<()>;
    /// Returns once the last swap is durable. To be called once after each swap.
    fn sync_pointer(&self) -> io::Result<()>;
    /// Puts a file that was written and fsynced as `staged` under the name of something derived.
    fn replace_derived(&self, staged: &Name, derived: &Name) -> io::Result<()>;
    /// Takes the lock of the writers; `None` when another one holds it.
    fn try_lock_writer(&self) -> io::Result<Option<Box<dyn FsLock>>>;
    /// The note that the holder of the writer lock left.
    fn writer_note(&self) -> io::Result<Vec<u8>>;
    /// Holds the files of a generation against retention until the pin is dropped. `None` where nothing can be
    /// written, so that nothing can be held either.
    fn pin(&self, generation: Generation) -> io::Result<Option<Box<dyn Pin>>>;
    /// Whether the place is still the one that was opened.
    fn is_same_dir(&self) -> io::Result<bool>;
    /// The clock, the randomness and the facts about the machine.
    fn system(&self) -> &dyn Fs;
}

/// Holds the files of a generation until it is dropped or the process ends.
pub(crate) trait Pin: Send + Sync + Debug {}

/// Things that are written now and made durable together. Dropping a round leaves what it wrote.
pub(crate) trait WriteBatch: Send + Sync + Debug {
    /// Writes a new thing. Fails with `AlreadyExists` when its name is taken.
    fn put(&mut self, name: &Name, bytes: &[u8]) -> io::Result<()>;
    /// Makes a staging file, to be given back to [`staged`](Round::staged) once it has been written.
    fn stage(&mut self) -> io::Result<(Name, Box<dyn FsFile>)>;
    /// Takes a staging file that has been written to its end.
    fn staged(&mut self, file: Box<dyn FsFile>) -> io::Result<()>;
    /// Writes whatever has to be durable before [`Storage::swap_pointer`] can make these bytes the pointer, in place of
    /// what an earlier attempt has left.
    fn stage_pointer(&mut self, pointer: &[u8]) -> io::Result<()>;
    /// Gives a staging file, fsynced by an earlier round, its name in the store. Fails with `AlreadyExists` when
    /// that is taken.
    fn promote(&mut self, staged: &Name, name: &Name) -> io::Result<()>;
    /// Returns once everything that this round wrote is durable, names included. Not to be called again after a
    /// failure.
    fn sync(&mut self) -> io::Result<()>;
    /// Removes everything that this round wrote, as far as that can be done. What it adopted goes back to staging. Where
    /// one of its names had the number of a generation, that stays used if it is to be kept: see [`Name::Used`].
    fn discard(&mut self, keeps_number: bool);
}
