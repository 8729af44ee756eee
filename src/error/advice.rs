//! The sentences that go with the facts: what a failure means for the data, and what to do next.

use std::io;

use super::repr::ErrorRepr;

impl ErrorRepr {
    /// What the failure means for the data, as one clause.
    pub(super) fn consequence(&self) -> &'static str {
        use ErrorRepr as E;
        match self {
            E::NoDirectory(_) | E::EmptyDirectory(_) | E::NotAStore(_) | E::UnfinishedInit(_) => {
                "nothing was read or changed"
            }
            E::NoSuchPath { .. }
            | E::IsDirectory { .. }
            | E::RemovedHere(_)
            | E::NoMatch { .. }
            | E::NoSuchRevision { .. } => "the store is as it was",
            E::BadPath(_)
            | E::BadRevision(_)
            | E::BadTime(_)
            | E::BadPattern { .. }
            | E::NotADirectory(_) => "nothing was read or changed",
            E::OtherJson { .. } => "the file is what was committed",
            // An export fails with these, or the creation of a store.
            E::DirectoryNotEmpty(_) | E::WorkingDirectory(_) | E::AboveMissing(_) | E::InStore(_) => {
                "nothing was written"
            }
            // An export and a check can be stopped too.
            E::Cancelled => "the store is as it was",
            E::DamagedFile { is_missing: true, .. } => {
                "every other file can still be read, and nothing was changed"
            }
            E::DamagedFile { .. } => {
                "every other file can still be read, and the damaged one was left as evidence"
            }
            E::DamagedMetadata { .. } | E::NothingIntact { .. } => {
                "nothing on the disk was changed, and the damaged file was left as evidence"
            }
            E::Degraded { .. } => {
                "the newest intact generation can still be read, and nothing on the disk was changed"
            }
            E::OtherStore { .. } | E::DirectoryReplaced(_) | E::HistoryReplaced { .. } => {
                "nothing was read from it or committed to it"
            }
            E::NewerFormat { .. } => "the store was left as it is",
            E::SnapshotExpired { .. } => "newer generations can still be read",
            E::OutcomeUnknown { .. } => {
                "the store is at that generation or at the one before, whole in both cases, and nothing was deleted"
            }
            E::Poisoned(_) => "this call did nothing",
            E::Io { action, .. } if action.is_reading() => "the store is as it was",
            _ => "nothing was committed, and the store is as it was",
        }
    }

    /// What to do next, as one clause.
    pub(super) fn advice(&self) -> String {
        use ErrorRepr as E;
        match self {
            E::NoDirectory(_) | E::EmptyDirectory(_) => "check the name, or create a store there".into(),
            E::NotAStore(_) => {
                "check the name; if there was a store, restore its CURRENT and manifests from a copy".into()
            }
            E::UnfinishedInit(_) => "create the store again, to complete it".into(),
            E::NotADirectory(_) => "name a directory".into(),
            E::WorkingDirectory(_) => "name a new directory".into(),
            E::AboveMissing(_) => "name the directory without `..`".into(),
            E::DirectoryNotEmpty(_) => "name a directory that is empty or does not exist".into(),
            E::InStore(_) => "name a directory outside the store".into(),
            E::AlreadyAStore(_) => "open that store, or name another directory".into(),
            E::BadPath(_) => "correct the path".into(),
            E::PathsCollide { .. } => "rename one of them".into(),
            E::BadRevision(_) => "see the history for the existing generations".into(),
            E::BadTime(_) => "correct the time".into(),
            E::BadPattern { .. } => "correct the pattern".into(),
            E::Limit { .. } => "keep that rule: docs/format.md lists the limits".into(),
            E::Refused { .. } | E::NotJson { .. } => "correct the content".into(),
            E::OtherJson { .. } => {
                "compare the file with an earlier generation, and roll back if it is a bad edit".into()
            }
            E::BadSource { .. } => "correct that, or leave it out".into(),
            E::BadSourceName { .. } => "rename it, or leave it out".into(),
            E::NothingToKeep(_) => "name the directory that was meant, or remove the files by name".into(),
            E::SourceChanging { .. } | E::SourceChanged(_) => {
                "stop the program that writes to it, then commit again".into()
            }
            E::IsDirectory { .. } => "list the files in that directory, and name one".into(),
            E::RemovedHere(_) => "put it again first, or leave it out".into(),
            E::NoSuchPath { .. } | E::NoMatch { .. } => {
                "list the paths of that generation, or look the path up in the history".into()
            }
            E::NoSuchRevision { .. } => "see the history for the existing generations".into(),
            E::Conflict { .. } => "read those paths again, decide, and commit again".into(),
            E::Busy { .. } => "try again, or wait longer".into(),
            E::DamagedFile { path, intact: Some(intact), .. } => {
                format!(
                    "{path} is intact in generation {intact}: look at it there, and roll that path back if the content is good"
                )
            }
            E::DamagedFile { path, intact: None, .. } => {
                format!("no other version of {path} in this store is intact: restore the file from a copy")
            }
            E::DamagedMetadata { .. } => {
                "copy the store before anything else, then check the rest of the store for damage".into()
            }
            E::NothingIntact { .. } => {
                "copy the directory before anything else, then restore the store from a copy".into()
            }
            E::Degraded { serving, .. } => format!(
                "copy the store first; then export generation {serving} and create a new store from it, or restore the \
                 damaged file from a copy that is as new, as an older CURRENT would discard every commit since"
            ),
            E::OtherStore { .. } | E::DirectoryReplaced(_) | E::HistoryReplaced { .. } => {
                "find out who replaced it, then open the store again to work with the new one".into()
            }
            E::NewerFormat { .. } => "use a newer version of this program".into(),
            E::FilesystemRefused { .. } => {
                "put the store on a local disk, unless you accept what this file system cannot promise".into()
            }
            E::SnapshotExpired { .. } => "take a new snapshot".into(),
            E::OutcomeUnknown { .. } => {
                "find out why the disk failed, then open the store again and see which generation is the newest".into()
            }
            E::Poisoned(_) => "open the store again".into(),
            E::Cancelled => "start the call again".into(),
            E::Io { source, .. } => io_advice(source),
        }
    }
}

fn io_advice(source: &io::Error) -> String {
    /// `ENFILE` and `EMFILE` have these numbers on every Unix.
    const NO_DESCRIPTORS: [i32; 2] = [23, 24];
    if source.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code)) {
        return "raise the limit on open files: a commit needs about 80".into();
    }
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room, then try again",
        io::ErrorKind::PermissionDenied => "use an account that may do that, or change the permissions",
        io::ErrorKind::ReadOnlyFilesystem => "find out why the file system is read-only",
        io::ErrorKind::NotFound => "check the name",
        _ => "find out why the system refused, then try again",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::repr::Operation;
    use super::*;

    #[test]
    fn what_a_reader_or_an_export_asks_for_is_not_called_a_commit() {
        let dir = || PathBuf::from("dir");
        let io = |action| ErrorRepr::Io { action, name: "a".into(), source: io::ErrorKind::Other.into() };
        for error in [
            ErrorRepr::DirectoryNotEmpty(dir()),
            ErrorRepr::WorkingDirectory(dir()),
            ErrorRepr::AboveMissing(dir()),
            ErrorRepr::InStore(dir()),
            ErrorRepr::Cancelled,
            io(Operation::PassOn),
            io(Operation::Export),
            io(Operation::Read),
        ] {
            let said = format!("{error}; {}; {}", error.consequence(), error.advice());
            assert!(!said.contains("commit"), "{said}");
        }
        assert!(io(Operation::Write).consequence().contains("nothing was committed"));
    }

    #[test]
    fn no_sentence_names_a_verb_of_the_command() {
        let dir = || PathBuf::from("dir");
        let refused = || io::Error::from(io::ErrorKind::Other);
        let path = crate::StorePath::new("a").unwrap();
        let generation = crate::Generation::FIRST;
        let errors = [
            ErrorRepr::NoDirectory(dir()),
            ErrorRepr::EmptyDirectory(dir()),
            ErrorRepr::NotAStore(dir()),
            ErrorRepr::UnfinishedInit(dir()),
            ErrorRepr::AlreadyAStore(dir()),
            ErrorRepr::BadSource { file: dir(), rule: "it is a FIFO".into() },
            ErrorRepr::NothingToKeep(dir()),
            ErrorRepr::SourceChanged(dir()),
            ErrorRepr::NoSuchPath { path: "a".into(), generation },
            ErrorRepr::NoSuchRevision { revision: "7".into(), detail: String::new() },
            ErrorRepr::Busy { waited_ms: 1, holder: None },
            ErrorRepr::DamagedFile {
                path,
                generation,
                detail: String::new(),
                expected: String::new(),
                found: String::new(),
                is_missing: false,
                intact: Some(generation),
            },
            ErrorRepr::DamagedMetadata {
                name: "CURRENT".into(),
                generation: None,
                detail: String::new(),
                expected: None,
                found: None,
            },
            ErrorRepr::NothingIntact { dir: dir(), detail: String::new() },
            ErrorRepr::Degraded { detail: String::new(), serving: generation },
            ErrorRepr::FilesystemRefused { filesystem: "nfs".into(), reason: String::new() },
            ErrorRepr::OutcomeUnknown { generation, step: "x", source: refused() },
            ErrorRepr::Poisoned(generation),
            ErrorRepr::Cancelled,
            ErrorRepr::Io { action: Operation::Write, name: "a".into(), source: refused() },
        ];
        for error in errors {
            let said = format!("{}; {}", error.consequence(), error.advice());
            for verb in ["genstore", "run ", "init", "verify", "with commit", "with put", "--", "force"] {
                assert!(!said.contains(verb), "{verb:?} in {said}");
            }
        }
    }
}
