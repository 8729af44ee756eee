//! The properties of the library's types.

use genstore::{
    CancelFlag, Commit, Difference, Error, ErrorKind, ExportOptions, ExportReport, FileEntry, FileReader,
    Files, Finding, Generation, GenerationKind, History, HistoryEntry, OpenOptions, Paths, ProbeReport,
    Progress, PutDirOptions, PutDirReport, RecoveryReport, Revision, Snapshot, Status, Store, StorePath,
    Timestamp, Transaction, VerifyOptions, VerifyReport,
};

/// Programs pass these types to other threads, and asynchronous programs hold them across awaits.
#[test]
fn everything_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Store>();
    shared::<Snapshot>();
    shared::<Transaction>();
    shared::<Error>();
    shared::<History>();
    shared::<FileReader>();
    shared::<Files>();
    shared::<Paths>();
    shared::<CancelFlag>();
    shared::<(OpenOptions, ExportOptions, PutDirOptions, VerifyOptions)>();
    shared::<(Commit, ExportReport, PutDirReport, VerifyReport, ProbeReport, RecoveryReport, Status)>();
    shared::<(Difference, ErrorKind, FileEntry, Finding, Generation, GenerationKind, HistoryEntry)>();
    shared::<(Progress, Revision, StorePath, Timestamp)>();
}
