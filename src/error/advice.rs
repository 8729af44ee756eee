//! The sentences that go with the facts: what a problem means for the data, and what to do next.

use std::io;

use super::repr::ErrorRepr;

impl ErrorRepr {
    /// What it means for the data, as one clause.
    pub(super) fn consequence(&self) -> &'static str {
        use ErrorRepr as P;
        match self {
            P::NoDirectory(_) | P::EmptyDirectory(_) | P::NotAStore(_) | P::UnfinishedInit(_) => {
                "nothing was read or changed"
            }
            P::NoSuchPath { .. }
            | P::IsDirectory { .. }
            | P::RemovedHere(_)
            | P::NoMatch { .. }
            | P::NoSuchRevision { .. } => "the store is as it was",
            P::BadPath(_)
            | P::BadRevision(_)
            | P::BadTime(_)
            | P::BadPattern { .. }
            | P::NotADirectory(_) => "nothing was read or changed",
            P::OtherJson { .. } => "its bytes are what was committed",
            P::DamagedFile { is_missing: true, .. } => {
                "every other file can still be read, and nothing was changed"
            }
            P::DamagedFile { .. } => {
                "every other file can still be read, and the damaged one was left as evidence"
            }
            P::DamagedMetadata { .. } | P::NothingIntact { .. } => {
                "nothing on disk was changed, and the damaged file is evidence"
            }
            P::Degraded { .. } => {
                "the newest intact generation can still be read, and nothing on disk was changed"
            }
            P::OtherStore { .. } | P::DirectoryReplaced(_) | P::HistoryReplaced { .. } => {
                "nothing was read from it or committed to it"
            }
            P::NewerFormat { .. } => "the store was left as it is",
            P::SnapshotExpired { .. } => "newer generations can still be read",
            P::OutcomeUnknown { .. } => {
                "the store is at that generation or at the one before it, whole, and nothing was deleted"
            }
            P::Poisoned(_) => "this call did nothing",
            P::Io { action, .. } if action.is_reading() => "the store is as it was",
            _ => "nothing was committed, and the store is as it was",
        }
    }

    /// What to do next, as one clause.
    pub(super) fn advice(&self) -> String {
        use ErrorRepr as P;
        match self {
            P::NoDirectory(_) | P::EmptyDirectory(_) => "check the name, or create a store there".into(),
            P::NotAStore(_) => {
                "check the name; if a store was here, bring its CURRENT and manifests back from a copy".into()
            }
            P::UnfinishedInit(_) => "create the store again, which completes it".into(),
            P::NotADirectory(_) => "name a directory".into(),
            P::WorkingDirectory(_) => "name a new directory".into(),
            P::AboveMissing(_) => "name the directory without `..`".into(),
            P::DirectoryNotEmpty(_) => "name a directory that is empty or does not exist".into(),
            P::InStore(_) => "name a directory outside the store".into(),
            P::AlreadyAStore(_) => "open it, or name another directory".into(),
            P::BadPath(_) => "correct the path".into(),
            P::PathsCollide { .. } => "rename one of them".into(),
            P::BadRevision(_) => "see the history for the generations there are".into(),
            P::BadTime(_) => "correct the time".into(),
            P::BadPattern { .. } => "correct the pattern".into(),
            P::Limit { .. } => "keep to that rule: docs/format.md lists the limits".into(),
            P::Refused { .. } | P::NotJson { .. } => "correct its content".into(),
            P::OtherJson { .. } => {
                "compare it with an earlier generation, and roll back if it is a bad edit".into()
            }
            P::BadSource { .. } => {
                "leave it out, or give a regular file or a directory that can be read".into()
            }
            P::SourceChanged(_) => "stop whatever is writing to it, then commit again".into(),
            P::IsDirectory { .. } => "list the files in it, and name one".into(),
            P::RemovedHere(_) => "put it again first, or leave it out".into(),
            P::NoSuchPath { .. } | P::NoMatch { .. } => {
                "list the paths of that generation, or look the path up in the history".into()
            }
            P::NoSuchRevision { .. } => "see the history for the generations there are".into(),
            P::Conflict { .. } => "read those paths again, decide, and commit again".into(),
            P::Busy { .. } => "try again, or wait longer".into(),
            P::DamagedFile { path, intact: Some(intact), .. } => {
                format!(
                    "{path} is intact in generation {intact}: look at it there, and roll that path back to it if it is good"
                )
            }
            P::DamagedFile { path, intact: None, .. } => {
                format!("no other version of {path} in this store is intact: bring it back from a copy")
            }
            P::DamagedMetadata { .. } => {
                "copy the store before anything else, and check the rest of it for damage".into()
            }
            P::NothingIntact { .. } => {
                "copy the directory before anything else, then bring a copy of the store back".into()
            }
            P::Degraded { serving, .. } => format!(
                "copy the store first; then export generation {serving} and make a new store of it, or bring the damaged \
                 file back from a copy that is as new, as an older CURRENT would discard every commit since"
            ),
            P::OtherStore { .. } | P::DirectoryReplaced(_) | P::HistoryReplaced { .. } => {
                "find out who replaced it, then open the store again to work with what is there now".into()
            }
            P::NewerFormat { .. } => "use a newer version of this program".into(),
            P::FilesystemRefused { .. } => {
                "put the store on a local disk, unless you accept what it cannot promise".into()
            }
            P::SnapshotExpired { .. } => "take a new snapshot".into(),
            P::OutcomeUnknown { .. } => {
                "find out why the disk failed, open the store again and see which generation it is at".into()
            }
            P::Poisoned(_) => "open the store again".into(),
            P::Cancelled => "run it again when you want it committed".into(),
            P::Io { source, .. } => io_advice(source),
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
        io::ErrorKind::PermissionDenied => "run as a user who may do that, or change the permissions",
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
    fn no_sentence_speaks_of_the_command() {
        let dir = || PathBuf::from("dir");
        let refused = || io::Error::from(io::ErrorKind::Other);
        let path = crate::StorePath::new("a").unwrap();
        let generation = crate::Generation::FIRST;
        let problems = [
            ErrorRepr::NoDirectory(dir()),
            ErrorRepr::EmptyDirectory(dir()),
            ErrorRepr::NotAStore(dir()),
            ErrorRepr::UnfinishedInit(dir()),
            ErrorRepr::AlreadyAStore(dir()),
            ErrorRepr::BadSource { file: dir(), rule: "it is a FIFO".into() },
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
            ErrorRepr::Io { action: Operation::Write, name: "a".into(), source: refused() },
        ];
        for problem in problems {
            let said = format!("{}; {}", problem.consequence(), problem.advice());
            for verb in ["genstore", "run ", "init", "verify", "with commit", "with put", "--", "force"] {
                assert!(!said.contains(verb), "{verb:?} in {said}");
            }
        }
    }
}
