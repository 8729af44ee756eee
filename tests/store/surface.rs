//! What holds for the types of the library as they are, without a store.

use genstore::{
    Commit, Difference, Error, ErrorKind, ExportReport, FileEntry, FileReader, Finding, Generation, History,
    HistoryEntry, OpenOptions, Progress, PutDirReport, RecoveryReport, Revision, Snapshot, Status, Store,
    StorePath, Timestamp, Transaction, VerifyOptions, VerifyReport,
};

/// A program passes each of them to other threads, and an asynchronous one holds them while it waits.
#[test]
fn everything_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Store>();
    shared::<Snapshot>();
    shared::<Transaction>();
    shared::<Error>();
    shared::<History>();
    shared::<FileReader>();
    shared::<(OpenOptions, VerifyOptions)>();
    shared::<(Commit, ExportReport, PutDirReport, VerifyReport, RecoveryReport, Status)>();
    shared::<(Difference, ErrorKind, FileEntry, Finding, Generation, HistoryEntry)>();
    shared::<(Progress, Revision, StorePath, Timestamp)>();
}
