//! The same random operations on both file systems: every result and the final tree are the same.

use std::io::{self, Read as _, Write as _};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::{Tree, tree};
use crate::fs::LockMode;
use crate::fs::real::RealFs;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::Disk;
use crate::fs::{Access, FileKind, Fs, FsFile, FsLock};
use crate::proof::budget;

/// How many sequences are tried by default.
const RUNS: u64 = 1000;
const OPERATIONS: usize = 60;
/// How many files, and how many locks, are held at once.
const HANDS: usize = 3;

type Path = &'static str;

/// One operation. The numbers choose among the files and locks that are held.
#[derive(Clone, Debug)]
enum Action {
    Create(usize, Path),
    Open(usize, Path),
    Write(usize, usize),
    Read(usize, usize),
    Length(usize),
    Sync(usize),
    Close(usize),
    Stat(Path),
    CreateDir(Path),
    Remove(Path),
    RemoveDir(Path),
    Rename(Path, Path),
    RenameNew(Path, Path),
    List(Path),
    SyncDir(Path),
    Lock(usize, Path, bool),
    Unlock(usize),
    Same(usize, usize),
    IsLast(usize),
    Note(usize),
    SetNote(usize, usize),
    RemoveLocked(Path, usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    use Action as A;
    let long: Path = "n".repeat(256).leak();
    let path = || {
        prop_oneof![
            20 => select(vec!["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/f"]),
            1 => select(vec!["", "missing/a", "a/b/c", long]),
        ]
    };
    let hand = || 0..HANDS;
    let action = prop_oneof![
        6 => (hand(), path()).prop_map(|(hand, path)| A::Create(hand, path)),
        3 => (hand(), path()).prop_map(|(hand, path)| A::Open(hand, path)),
        4 => (hand(), 0..40_usize).prop_map(|(hand, length)| A::Write(hand, length)),
        3 => (hand(), 0..60_usize).prop_map(|(hand, length)| A::Read(hand, length)),
        1 => hand().prop_map(A::Length),
        1 => hand().prop_map(A::Close),
        3 => path().prop_map(A::Stat),
        5 => path().prop_map(A::CreateDir),
        3 => path().prop_map(A::Remove),
        2 => path().prop_map(A::RemoveDir),
        5 => (path(), path()).prop_map(|(from, to)| A::Rename(from, to)),
        4 => (path(), path()).prop_map(|(from, to)| A::RenameNew(from, to)),
        2 => path().prop_map(A::List),
        5 => (hand(), path(), any::<bool>()).prop_map(|(hand, path, alone)| A::Lock(hand, path, alone)),
        1 => hand().prop_map(A::Unlock),
        1 => (hand(), hand()).prop_map(|(one, other)| A::Same(one, other)),
        2 => hand().prop_map(A::IsLast),
        2 => hand().prop_map(A::Note),
        2 => (hand(), 0..30_usize).prop_map(|(hand, length)| A::SetNote(hand, length)),
        2 => (path(), hand()).prop_map(|(path, hand)| A::RemoveLocked(path, hand)),
    ];
    // These wait for the disk, so they are rare.
    let sync = prop_oneof![hand().prop_map(A::Sync), path().prop_map(A::SyncDir)];
    proptest::collection::vec(prop_oneof![60 => action, 1 => sync], 1..OPERATIONS)
}

/// A process with what it has open.
struct Process<'a> {
    fs: &'a dyn Fs,
    files: [Option<Box<dyn FsFile>>; HANDS],
    locks: [Option<Box<dyn FsLock>>; HANDS],
}

impl Process<'_> {
    /// The result of an operation, in words. Equal words mean equal results.
    fn act(&mut self, number: usize, action: &Action) -> String {
        let result = self.result(number, action);
        format!("{:?}", result.map_err(|error| error.kind()))
    }

    fn result(&mut self, number: usize, action: &Action) -> io::Result<String> {
        let fs = self.fs;
        // No two operations write the same bytes.
        let bytes = |length: usize| format!("<{number}>").into_bytes().repeat(length);
        Ok(match action {
            Action::Create(hand, path) => {
                self.files[*hand] = Some(fs.create(path, Access::Writable)?);
                "created".into()
            }
            Action::Open(hand, path) => {
                self.files[*hand] = Some(fs.open(path)?);
                "opened".into()
            }
            Action::Close(hand) => format!("closed {}", self.files[*hand].take().is_some()),
            Action::Write(hand, length) => {
                let Some(file) = &mut self.files[*hand] else { return Ok("no file".into()) };
                format!("wrote {}", file.write(&bytes(*length))?)
            }
            Action::Read(hand, length) => {
                let Some(file) = &mut self.files[*hand] else { return Ok("no file".into()) };
                let mut buffer = vec![0; *length];
                let read = file.read(&mut buffer)?;
                format!("read {}", String::from_utf8_lossy(&buffer[..read]))
            }
            Action::Length(hand) => {
                let Some(file) = &self.files[*hand] else { return Ok("no file".into()) };
                format!("length {}", file.length()?)
            }
            Action::Sync(hand) => {
                let Some(file) = &self.files[*hand] else { return Ok("no file".into()) };
                format!("fsynced {:?}", file.sync()?)
            }
            Action::Stat(path) => match fs.stat(path)? {
                // Each file system has its own length of a directory.
                Some(stat) if stat.kind == FileKind::Directory => "a directory".into(),
                other => format!("{other:?}"),
            },
            Action::CreateDir(path) => format!("created {}", fs.create_dir(path)?),
            Action::Remove(path) => format!("removed {:?}", fs.remove(path)?),
            Action::RemoveDir(path) => format!("removed {:?}", fs.remove_dir(path)?),
            Action::RenameNew(from, _) if self.is_dir(from) => "no commit renames a directory".into(),
            Action::Rename(from, to) => format!("renamed {:?}", fs.rename(from, to)?),
            Action::RenameNew(from, to) => format!("renamed {:?}", fs.rename_new(from, to)?),
            Action::List(path) => format!("{:?}", fs.list(path)?),
            Action::SyncDir(path) => format!("fsynced {:?}", fs.sync_dir(path)?),
            Action::Lock(hand, path, alone) => {
                let mode = if *alone { LockMode::Exclusive } else { LockMode::Shared };
                let lock = fs.try_lock(path, mode)?;
                let got = lock.is_some();
                // A refused lock leaves what was held before.
                self.locks[*hand] = lock.or_else(|| self.locks[*hand].take());
                format!("locked {got}")
            }
            Action::Unlock(hand) => format!("unlocked {}", self.locks[*hand].take().is_some()),
            Action::Same(one, other) => {
                let (Some(one), Some(other)) = (&self.locks[*one], &self.locks[*other]) else {
                    return Ok("no lock".into());
                };
                format!("the same {}", one.identity()? == other.identity()?)
            }
            Action::IsLast(hand) => {
                let Some(lock) = &self.locks[*hand] else { return Ok("no lock".into()) };
                format!("last holder {}", lock.is_last_holder())
            }
            Action::Note(hand) => {
                let Some(lock) = &self.locks[*hand] else { return Ok("no lock".into()) };
                format!("note {}", String::from_utf8_lossy(&lock.note()?))
            }
            Action::SetNote(hand, length) => {
                let Some(lock) = &self.locks[*hand] else { return Ok("no lock".into()) };
                format!("noted {:?}", lock.set_note(&bytes(*length))?)
            }
            Action::RemoveLocked(path, hand) => {
                let Some(lock) = &self.locks[*hand] else { return Ok("no lock".into()) };
                format!("removed {:?}", fs.remove_locked(path, &**lock)?)
            }
        })
    }

    fn is_dir(&self, path: &str) -> bool {
        matches!(self.fs.stat(path), Ok(Some(stat)) if stat.kind == FileKind::Directory)
    }
}

/// The result of each operation, and the final tree.
fn run(fs: &dyn Fs, actions: &[Action]) -> (Vec<String>, Tree) {
    let mut process = Process { fs, files: Default::default(), locks: Default::default() };
    let results = actions.iter().enumerate().map(|(number, action)| process.act(number, action)).collect();
    (results, tree(fs))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the elapsed time is printed")]
fn random_operations_give_the_same_on_both() {
    let runs = budget::runs(RUNS);
    let seed = budget::seed();
    let start = std::time::Instant::now();
    let config = Config {
        cases: u32::try_from(runs).unwrap_or(u32::MAX),
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let mut operations = 0;
    let mut failures = 0;
    let counts = std::cell::RefCell::new((&mut operations, &mut failures));
    let result = runner.run(&actions(), |actions| {
        let dir = tempfile::tempdir().unwrap();
        let (real, real_tree) = run(&RealFs::open(dir.path()).unwrap(), &actions);
        let (simulated, simulated_tree) = run(&SimFs::start(Disk::default(), 1), &actions);
        for (number, (real, simulated)) in real.iter().zip(&simulated).enumerate() {
            prop_assert_eq!(real, simulated, "operation {}: {:?}", number, actions[number]);
        }
        prop_assert_eq!(real_tree, simulated_tree);
        let mut counts = counts.borrow_mut();
        *counts.0 += real.len();
        *counts.1 += real.iter().filter(|result| result.starts_with("Err")).count();
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, actions)) => panic!("seed {seed}: {reason}\nafter {actions:#?}"),
        Err(TestError::Abort(reason)) => panic!("seed {seed}: {reason}"),
    }
    assert!(failures * 10 > operations, "some operations are refused: {failures} of {operations}");
    println!(
        "contract: {runs} sequences, {operations} operations on both file systems, {failures} of them refused, {} s, \
         0 differences, seed {seed}",
        start.elapsed().as_secs()
    );
}
