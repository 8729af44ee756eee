//! The order of the operations of a commit.

use std::collections::BTreeSet;

use super::Bed;
use crate::fs::op::Op;
use crate::store::Store;

/// How the content of a file gets into a commit.
#[derive(Clone, Copy, Debug)]
enum Input {
    Put,
    /// Through a staging file.
    Reader,
    /// These two in turn.
    Both,
}

impl Input {
    const fn is_staged(self, number: usize) -> bool {
        match self {
            Self::Put => false,
            Self::Reader => true,
            Self::Both => number % 2 == 1,
        }
    }
}

/// The operations of one commit of these paths, from its beginning on.
fn trace_on(bed: &Bed, store: &Store, paths: &[String], input: Input) -> Vec<Op> {
    let mut tx = store.begin().unwrap();
    bed.fs.take_trace();
    for (number, path) in paths.iter().enumerate() {
        if input.is_staged(number) {
            tx.put_reader(path, format!("content of {path}").as_bytes()).unwrap();
        } else {
            tx.put(path, format!("content of {path}")).unwrap();
        }
    }
    tx.commit("trace").unwrap();
    bed.fs.take_trace()
}

fn trace_of(paths: &[String], syncfs: bool) -> Vec<Op> {
    let (bed, store) = Bed::store();
    bed.fs.offer_syncfs(syncfs);
    trace_on(&bed, &store, paths, Input::Both)
}

fn position(trace: &[Op], wanted: &Op) -> usize {
    trace.iter().position(|op| op == wanted).unwrap_or_else(|| panic!("{wanted:?} is not in {trace:#?}"))
}

fn swap() -> Op {
    Op::Rename("CURRENT.next".into(), "CURRENT".into())
}

fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// What is not fsynced yet.
#[derive(Default, Debug)]
struct Waiting {
    files: BTreeSet<String>,
    dirs: BTreeSet<String>,
    /// Whether the last syncfs was opened before everything in `files` was written.
    reports_all: bool,
}

impl Waiting {
    fn after(trace: &[Op]) -> Self {
        let mut waiting = Self::default();
        trace.iter().for_each(|op| waiting.sees(op));
        waiting
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.dirs.is_empty()
    }

    fn sees(&mut self, op: &Op) {
        match op {
            Op::Create(path) => {
                self.files.insert(path.clone());
                self.dirs.insert(above(path).into());
            }
            Op::Write(path) => drop(self.files.insert(path.clone())),
            Op::CreateDir(path) => drop(self.dirs.insert(above(path).into())),
            Op::RenameNew(from, to) | Op::Rename(from, to) => {
                if self.files.remove(from) {
                    self.files.insert(to.clone());
                }
                self.dirs.extend([above(from).to_owned(), above(to).to_owned()]);
            }
            Op::Sync(path) => drop(self.files.remove(path)),
            Op::SyncDir(path) => drop(self.dirs.remove(path)),
            Op::OpenSyncFs => self.reports_all = self.files.is_empty(),
            Op::SyncFs => {
                assert!(
                    self.reports_all,
                    "a syncfs does not report errors of what was written before it was opened"
                );
                *self = Self::default();
            }
            _ => {}
        }
    }
}

/// Everything that gained a name or bytes is fsynced before the pointer is swapped. The root is
/// fsynced after it.
fn assert_order(paths: &[String], input: Input, trace: &[Op]) {
    let swap = position(trace, &swap());
    assert_eq!(trace[swap + 1], Op::SyncDir(String::new()), "the fsync of the root follows the swap at once");
    assert_eq!(trace.iter().filter(|op| **op == self::swap()).count(), 1);
    let (before, after) = trace.split_at(swap);
    let is_harmless = |op: &Op| match op {
        Op::Lock(path) | Op::Note(path) => path.starts_with("locks/"),
        // A staged file has another name by then.
        Op::Remove(path) => {
            let has_moved = |op: &Op| matches!(op, Op::RenameNew(from, _) if from == path);
            path.starts_with("locks/") || before.iter().any(has_moved)
        }
        op => !op.changes(),
    };
    assert!(after[2..].iter().all(is_harmless), "{after:?}");
    let waiting = Waiting::after(before);
    assert!(waiting.is_empty(), "not fsynced before the swap: {waiting:?}");
    let lock = position(before, &Op::Lock("locks/writer".into()));
    assert!(
        Waiting::after(&before[..lock]).files.is_empty(),
        "what is staged is fsynced before the lock is taken"
    );
    assert_eq!(
        before[lock..].iter().find(|op| matches!(op, Op::Create(_) | Op::RenameNew(..))),
        Some(&Op::Create("manifests/0000000002.json".into())),
        "the manifest takes the number"
    );
    // The right order does not show that every fsync was asked for.
    let is_whole = before[lock..].contains(&Op::SyncFs);
    let synced = |sync: Op| assert!(is_whole || before[lock..].contains(&sync), "{sync:?} is missing");
    for (number, path) in paths.iter().enumerate() {
        let name = format!("data/{path}.g2");
        if input.is_staged(number) {
            let from = before.iter().find_map(|op| match op {
                Op::RenameNew(from, to) if *to == name => Some(from),
                _ => None,
            });
            let from = from.unwrap_or_else(|| panic!("{name} has no bytes"));
            assert!(
                before[..lock].contains(&Op::Write(from.clone())),
                "{name} is written before the lock is taken"
            );
            synced(Op::SyncDir("staging".into()));
        } else {
            position(before, &Op::Write(name.clone()));
            synced(Op::Sync(name.clone()));
        }
        // This includes directories that were there. The process that created one may have died
        // before it fsynced the name.
        crate::path::directories(&name).for_each(|directory| synced(Op::SyncDir(directory.to_owned())));
    }
    synced(Op::Sync("manifests/0000000002.json".into()));
    synced(Op::SyncDir("manifests".into()));
    synced(Op::Sync("CURRENT.next".into()));
    synced(Op::SyncDir(String::new()));
}

fn paths(count: usize, directory: &str) -> Vec<String> {
    (0..count).map(|number| format!("{directory}f{number}.json")).collect()
}

/// The fsyncs are real here.
#[test]
fn one_three_and_a_hundred_files_and_new_directories() {
    for paths in [paths(1, "stores/"), paths(3, "stores/"), paths(100, "stores/"), paths(3, "a/b/c/")] {
        for (input, syncfs) in
            [(Input::Put, false), (Input::Put, true), (Input::Reader, false), (Input::Reader, true)]
        {
            println!("{} files, the first {}, {input:?}, syncfs: {syncfs}", paths.len(), paths[0]);
            let (bed, store) = Bed::store();
            bed.fs.offer_syncfs(syncfs);
            bed.fs.wait_for_the_disk();
            assert_order(&paths, input, &trace_on(&bed, &store, &paths, input));
        }
    }
}

/// A killed commit or another program has created the directories, so their names may not be
/// durable.
#[test]
fn directories_that_are_there_are_fsynced_too() {
    let (bed, store) = Bed::store();
    std::fs::create_dir_all(bed.path().join("data/left/deep")).unwrap();
    let paths = paths(2, "left/deep/");
    let trace = trace_on(&bed, &store, &paths, Input::Both);
    assert!(!trace.iter().any(|op| matches!(op, Op::Rename(from, _) if from.starts_with("data"))));
    assert_order(&paths, Input::Both, &trace);
}

#[test]
fn files_that_come_in_both_ways() {
    for paths in [paths(1, ""), paths(2, "stores/"), paths(3, "a/b/c/"), paths(100, "stores/")] {
        for syncfs in [false, true] {
            assert_order(&paths, Input::Both, &trace_of(&paths, syncfs));
        }
    }
}

#[test]
fn one_syncfs_replaces_many_fsyncs_and_only_in_barrier_1() {
    let syncfs = |trace: &[Op]| trace.iter().filter(|op| **op == Op::SyncFs).count();
    let many = paths(100, "");
    let trace = trace_of(&many, true);
    assert_eq!(syncfs(&trace), 2, "one for what was staged, one for barrier 1");
    let opened = trace.iter().rposition(|op| *op == Op::OpenSyncFs).unwrap();
    assert!(opened < position(&trace, &Op::Create("manifests/0000000002.json".into())));
    assert!(opened > position(&trace, &Op::SyncFs), "each needs its own");
    assert!(!trace.iter().any(|op| matches!(op, Op::Sync(_))));
    assert_eq!(syncfs(&trace_of(&paths(2, ""), true)), 0, "few files are fsynced one by one");
    assert_eq!(syncfs(&trace_of(&many, false)), 0);
}

#[test]
fn the_first_generation_is_a_commit_like_any_other() {
    let bed = Bed::empty();
    bed.create().unwrap();
    let trace = bed.fs.take_trace();
    let swap = position(&trace, &swap());
    assert_eq!(trace[swap + 1], Op::SyncDir(String::new()));
    let root = trace[..swap].iter().rposition(|op| *op == Op::SyncDir(String::new())).unwrap();
    for directory in crate::format::names::DIRECTORIES {
        assert!(
            root > position(&trace, &Op::CreateDir(directory.to_owned())),
            "the name of {directory} is fsynced"
        );
    }
    assert!(root > position(&trace, &Op::Create("CURRENT.next".into())));
    assert!(position(&trace, &Op::Sync("manifests/0000000001.json".into())) < swap);
}

#[test]
fn an_open_changes_nothing() {
    let (bed, store) = Bed::store();
    let mut tx = store.begin().unwrap();
    tx.put("a", "1").unwrap();
    tx.commit("one").unwrap();
    let before = bed.tree();
    bed.fs.take_trace();
    bed.open().unwrap();
    assert!(!bed.fs.take_trace().iter().any(Op::changes));
    assert_eq!(bed.tree(), before);
}
