//! What can happen in the model. Each step of a process names the functions that take it. A test
//! checks that these functions exist.

use super::disk::Sync;

/// What became of a rename.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rename {
    Done,
    /// It reported a failure and happened.
    FailedDone,
    /// It reported a failure and did not happen.
    FailedUndone,
}

impl Rename {
    pub const ALL: [Self; 3] = [Self::Done, Self::FailedDone, Self::FailedUndone];
}

/// One step. The number is the process. Writers are interchangeable, and so are readers, so it
/// means the same process only within one state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Takes the writer lock and reads its note: `engine::lock::lock_writer`.
    Lock(usize),
    /// Reads the pointer again: `engine::handle::refresh`. If there is no store yet:
    /// `engine::create::check_vacant`.
    Refresh(usize),
    /// Creates the directories of a new store: `engine::create::create_directories`.
    CreateDirectories(usize),
    /// Writes the pointer that was found as a new `CURRENT.next`: `engine::publish::sync_head`.
    SettleWrite(usize),
    /// Fsyncs it: `engine::publish::sync_head`.
    SettleSync(usize, Sync),
    /// Fsyncs the root directory: `engine::publish::sync_head`, `storage::batch::sync`.
    SettleSyncDir(usize, Sync),
    /// Renames it over `CURRENT`: `engine::publish::sync_head`, `storage::directory::swap_pointer`.
    SettleSwap(usize, Rename),
    /// Fsyncs the root directory and notes that: `engine::publish::sync_head`,
    /// `storage::directory::sync_pointer`, `engine::lock::note_head_synced`.
    SettleEnd(usize, Sync),
    /// Finds that the commit changes nothing, and acknowledges the head: `engine::commit::commit`.
    NothingToSave(usize),
    /// Chooses a number and notes that it is in use: `engine::lock::next_number`,
    /// `engine::lock::reserve`.
    TakeNumber(usize),
    /// Creates the manifest, unless its name is taken: `engine::publish::write`,
    /// `storage::batch::put`.
    WriteManifest(usize),
    /// Creates `data/`, which is missing: `storage::batch::directories`.
    CreateDirectory(usize),
    /// Creates the data file, unless its name is taken: `engine::publish::write`,
    /// `storage::batch::promote`.
    WriteData(usize),
    /// Replaces a `CURRENT.next` that was left: `engine::publish::stage_pointer`,
    /// `storage::batch::stage_pointer`.
    WritePointer(usize),
    /// The first half of barrier 1, the files: `storage::batch::sync`, `storage::batch::sync_open`.
    SyncFiles(usize, Sync),
    /// The second half of barrier 1, one directory after the other: `storage::batch::sync`.
    SyncDir(usize, Sync),
    /// Gives up before the rename, after a failed write or because it was cancelled:
    /// `engine::publish::commit_batch`, `engine::handle::check_cancel`.
    GiveUp(usize),
    /// Removes the manifest of a failed attempt: `storage::batch::discard`.
    DiscardManifest(usize),
    /// Removes the other files and the directory of the attempt. Tells the caller that nothing was
    /// committed: `storage::batch::discard`.
    DiscardRest(usize),
    /// The rename: `engine::publish::commit_batch`, `storage::directory::swap_pointer`. If it
    /// fails, the outcome is unknown: `engine::publish::into_error`.
    Swap(usize, Rename),
    /// Barrier 2: `engine::publish::commit_batch`, `storage::directory::sync_pointer`. If it fails,
    /// the outcome is unknown: `engine::publish::into_error`.
    SyncPointer(usize, Sync),
    /// Notes that the pointer is durable, and acknowledges the commit: `engine::publish::publish`,
    /// `engine::lock::note_published`.
    Acknowledge(usize),
    /// The process ends at any point, and another one takes its place. A poisoned handle is opened
    /// again: `engine::open::open_on`.
    Kill(usize),
    /// A snapshot begins: `engine::read::pointer`.
    ReadPointer(usize),
    /// The snapshot reads the chain from there, and the files: `engine::read::manifest`,
    /// `engine::replay::table`, `engine::content::check`.
    ReadFiles(usize),
    /// `status` has read the pointer, and looks which numbers above the head have names:
    /// `status::status`.
    ReadNames(usize),
    /// `status` reads the pointer again, and reports the numbers above it: `status::status`.
    Report(usize),
    /// The machine stops and starts again. The disk keeps one of the things that it may keep. The
    /// store is opened, and shows the head and the interrupted commits: `engine::open::open_on`,
    /// `status::status`.
    PowerCut(u32),
}
