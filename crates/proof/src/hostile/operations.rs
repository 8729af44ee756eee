//! Sequences of operations on a store through two handles. Each result is compared with the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::disk::{Disk, Tree};
use super::model::{ChangeSet, Committed, Generation, Model, Refusal};
use crate::engine::finding::FindingKind;
use crate::error::{Error, ErrorKind};
use crate::format::manifest::GenerationKind;
use crate::snapshot::Snapshot;
use crate::status::Health;
use crate::store::Store;
use crate::transaction::{Commit, Transaction};
use crate::verify::{VerifyOptions, VerifyScope};

/// A store path, as plain text.
pub(super) type Path = String;

/// The most operations of one sequence.
pub(super) const OPERATIONS_MAX: usize = 96;
/// The bytes of one operation.
pub(super) const WIDTH: usize = 4;

/// Paths that a store accepts, each with its fold. Some are twins, some are directories of others.
const PATHS: [(&str, &str); 14] = [
    ("a", "a"),
    ("b", "b"),
    ("c", "c"),
    ("d/x", "d/x"),
    ("d/y", "d/y"),
    ("d/e/z", "d/e/z"),
    ("A", "a"),
    ("D/x", "d/x"),
    ("d", "d"),
    ("a/b", "a/b"),
    ("Σ", "σ"),
    ("ς", "σ"),
    ("a b", "a b"),
    ("a!", "a!"),
];
/// Paths that a store refuses.
const REFUSED: [&str; 4] = ["", "../a", "a.g1", "nul"];
/// The prefixes to list.
const PREFIXES: [&str; 4] = ["", "d/", "a", "D"];

/// The fold of one of these paths.
pub(super) fn fold_of(path: &str) -> String {
    PATHS.iter().find(|(known, _)| *known == path).map(|(_, fold)| (*fold).to_owned()).unwrap()
}

/// How an operation names a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rev {
    Number(u64),
    Back(u64),
}

/// One operation. `tx` is the number of a transaction and of its handle. The transaction is begun
/// if needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Op {
    Begin { tx: usize },
    Put { tx: usize, path: &'static str, fill: u8, is_streamed: bool },
    Rename { tx: usize, from: &'static str, to: &'static str },
    Remove { tx: usize, path: &'static str },
    Get { tx: usize, path: &'static str },
    Contains { tx: usize, path: &'static str },
    List { tx: usize, prefix: &'static str },
    Overwrite { tx: usize, yes: bool },
    Restore { tx: usize, rev: Rev, part: Option<&'static str> },
    Commit { tx: usize },
    Discard { tx: usize },
    Rollback { handle: usize, rev: Rev },
    Reopen { handle: usize },
    Hold { handle: usize, rev: Rev },
    ReadHeld,
    Check { handle: usize },
}

/// The operations that the bytes describe, [`WIDTH`] bytes for each. Any bytes describe some.
pub(super) fn read(bytes: &[u8]) -> Vec<Op> {
    bytes.as_chunks::<WIDTH>().0.iter().take(OPERATIONS_MAX).map(|four| Op::of(*four)).collect()
}

/// Chooses plain paths more often than those that conflict with each other or are refused.
fn path(choice: u8) -> &'static str {
    let choice = usize::from(choice % 32);
    let choice = if choice < 20 { choice % 6 } else { choice - 14 };
    PATHS.get(choice).map_or_else(|| REFUSED[choice - PATHS.len()], |(path, _)| path)
}

impl Op {
    pub(super) fn of([kind, who, one, two]: [u8; WIDTH]) -> Self {
        let tx = usize::from(who % 2);
        let handle = usize::from(who % 2);
        let number = u64::from(one / 2 % 24);
        let rev = if one % 2 == 0 { Rev::Number(number) } else { Rev::Back(number) };
        match kind % 32 {
            0..=9 => Self::Put { tx, path: path(one), fill: two, is_streamed: who & 2 != 0 },
            10..=13 => Self::Commit { tx },
            14..=16 => Self::Rename { tx, from: path(one), to: path(two) },
            17 | 18 => Self::Remove { tx, path: path(one) },
            19 | 20 => Self::Get { tx, path: path(one) },
            21 => Self::Contains { tx, path: path(one) },
            22 => Self::List { tx, prefix: PREFIXES[usize::from(one) % PREFIXES.len()] },
            23 => Self::Begin { tx },
            24 => Self::Overwrite { tx, yes: one % 2 == 0 },
            25 => {
                let part = if two % 2 == 0 { Some(path(two / 2)) } else { None };
                Self::Restore { tx, rev, part: part.map(|part| if part.is_empty() { "d" } else { part }) }
            }
            26 => Self::Discard { tx },
            27 => Self::Rollback { handle, rev },
            28 => Self::Reopen { handle },
            29 => Self::Hold { handle, rev },
            30 => Self::ReadHeld,
            _ => Self::Check { handle },
        }
    }
}

/// How often each outcome of a commit occurred.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Outcomes {
    pub(super) committed: u64,
    pub(super) unchanged: u64,
    pub(super) conflicts: u64,
    pub(super) invalid: u64,
    pub(super) not_found: u64,
}

/// A store with two handles on it and the model beside it.
pub(super) struct Run {
    pub(super) disk: Disk,
    pub(super) handles: [Store; 2],
    pub(super) transactions: [Option<(Transaction, ChangeSet)>; 2],
    pub(super) held: Vec<(Snapshot, Generation)>,
    pub(super) model: Model,
    /// Names without a number that the last power cut left of transactions and of a commit.
    pub(super) left: BTreeSet<String>,
    pub(super) outcomes: Outcomes,
}

/// Does the operations on a new store. Panics at the first answer that differs from the model.
pub(super) fn run(ops: &[Op]) -> Outcomes {
    let mut run = Run::on(Disk::empty());
    for (at, op) in ops.iter().enumerate() {
        run.step(op, &format!("{at}"));
    }
    run.finish()
}

/// The content that one byte stands for. From 250 on it is too long to be kept in memory.
fn content(fill: u8) -> Vec<u8> {
    let length = if fill >= 250 { (64 << 10) + usize::from(fill) } else { usize::from(fill) % 7 };
    vec![fill % 5; length]
}

/// Panics unless the store accepts or refuses a call as the model does.
fn agree<T, U>(found: Result<T, Error>, expected: Result<U, Refusal>, what: &str) -> Option<(T, U)> {
    match (found, expected) {
        (Ok(found), Ok(expected)) => Some((found, expected)),
        (Err(error), Err(refusal)) => {
            let kind = match &refusal {
                Refusal::NotFound => ErrorKind::NotFound,
                Refusal::Invalid => ErrorKind::Invalid,
                Refusal::Conflict(_) => ErrorKind::Conflict,
            };
            assert_eq!(error.kind(), kind, "{what}: {error:?}");
            if let Refusal::Conflict(paths) = refusal {
                let found =
                    error.conflicts().iter().map(|found| (found.path.to_string(), found.generation.get()));
                assert_eq!(found.collect::<Vec<_>>(), paths, "{what}");
            }
            None
        }
        (Ok(_), Err(refusal)) => panic!("{what} was accepted, and the model says {refusal:?}"),
        (Err(error), Ok(_)) => panic!("{what} was refused, and the model accepts it: {error:?}"),
    }
}

fn checked(path: &str) -> Result<(), Refusal> {
    if REFUSED.contains(&path) { Err(Refusal::Invalid) } else { Ok(()) }
}

/// The names of staged content, and of a pointer that is not swapped in yet.
pub(super) fn unnumbered(tree: &Tree) -> BTreeSet<String> {
    let names = tree.keys().filter(|name| name.starts_with("staging/") || *name == "CURRENT.next");
    names.cloned().collect()
}

impl Run {
    /// A new store on an empty disk.
    pub(super) fn on(disk: Disk) -> Self {
        Self {
            handles: [disk.create().unwrap(), disk.open().unwrap()],
            disk,
            transactions: [None, None],
            held: Vec::new(),
            model: Model::new(),
            left: BTreeSet::new(),
            outcomes: Outcomes::default(),
        }
    }

    fn transaction(&mut self, tx: usize) -> &mut (Transaction, ChangeSet) {
        let begin = || (self.handles[tx].begin().unwrap(), self.model.begin());
        self.transactions[tx].get_or_insert_with(begin)
    }

    /// The generation of the model that a revision names.
    fn named(&self, rev: Rev) -> Result<Generation, Refusal> {
        match rev {
            Rev::Number(0) => Err(Refusal::Invalid),
            Rev::Number(number) => self.model.at(number).cloned().ok_or(Refusal::NotFound),
            Rev::Back(steps) => self.model.back(steps).cloned().ok_or(Refusal::NotFound),
        }
    }

    fn snapshot(&self, handle: usize, rev: Rev) -> Result<Snapshot, Error> {
        match rev {
            Rev::Number(number) => self.handles[handle].snapshot_at(number),
            Rev::Back(steps) => self.handles[handle].snapshot_at(format!("latest~{steps}")),
        }
    }

    pub(super) fn step(&mut self, op: &Op, at: &str) {
        let what = &format!("operation {at}, {op:?}");
        match *op {
            Op::Begin { tx } => {
                self.transactions[tx] = None;
                let base = self.transaction(tx).0.base().get();
                assert_eq!(base, self.model.head().number, "{what}");
            }
            Op::Put { tx, path, fill, is_streamed } => {
                let (transaction, draft) = self.transaction(tx);
                let bytes = content(fill);
                let put = if is_streamed {
                    transaction.put_reader(path, bytes.as_slice())
                } else {
                    transaction.put(path, bytes.clone())
                };
                agree(put, checked(path).map(|()| draft.put(&path.into(), &bytes)), what);
            }
            Op::Rename { tx, from, to } => {
                let (transaction, draft) = self.transaction(tx);
                let model = checked(from).and(checked(to));
                let model = model.and_then(|()| draft.rename(&from.into(), &to.into()));
                agree(transaction.rename(from, to), model, what);
            }
            Op::Remove { tx, path } => {
                let (transaction, draft) = self.transaction(tx);
                agree(
                    transaction.remove(path),
                    checked(path).and_then(|()| draft.remove(&path.into())),
                    what,
                );
            }
            Op::Get { tx, path } => {
                let (transaction, draft) = self.transaction(tx);
                let model = checked(path).and_then(|()| draft.get(&path.into()));
                if let Some((found, expected)) = agree(transaction.get(path), model, what) {
                    assert!(found == *expected, "{what}: other bytes");
                }
            }
            Op::Contains { tx, path } => {
                let (transaction, draft) = self.transaction(tx);
                let model = checked(path).map(|()| draft.contains(&path.into()));
                if let Some((found, expected)) = agree(transaction.contains(path), model, what) {
                    assert_eq!(found, expected, "{what}");
                }
            }
            Op::List { tx, prefix } => {
                let (transaction, draft) = self.transaction(tx);
                let found = transaction.list(prefix);
                let found: Vec<String> = found.map(|path| path.to_string()).collect();
                assert_eq!(found, draft.list(prefix), "{what}");
            }
            Op::Overwrite { tx, yes } => {
                let (transaction, draft) = self.transaction(tx);
                transaction.overwrite(yes);
                draft.overwrite = yes;
            }
            Op::Restore { tx, rev, part } => self.restore(tx, rev, part, what),
            Op::Commit { tx } => {
                self.transaction(tx);
                let (transaction, draft) = self.transactions[tx].take().unwrap();
                assert_eq!(transaction.base().get(), draft.base(), "{what}");
                let committed = transaction.commit(what);
                self.committed(committed, &draft, what, what);
            }
            Op::Discard { tx } => self.transactions[tx] = None,
            Op::Rollback { handle, rev } => {
                let committed = match rev {
                    Rev::Number(number) => self.handles[handle].rollback(number, what),
                    Rev::Back(steps) => self.handles[handle].rollback(format!("latest~{steps}"), what),
                };
                let mut draft = self.model.begin();
                match self.named(rev).and_then(|then| draft.restore(&then, None)) {
                    Ok(()) => self.committed(committed, &draft, what, what),
                    Err(refusal) => {
                        agree(committed, Err::<(), _>(refusal), what);
                        self.outcomes.not_found += 1;
                    }
                }
            }
            Op::Reopen { handle } => self.handles[handle] = self.disk.open().unwrap(),
            Op::Hold { handle, rev } => {
                if let Some(held) = agree(self.snapshot(handle, rev), self.named(rev), what) {
                    self.held.push(held);
                    // Each one holds an open file.
                    self.held.drain(..self.held.len().saturating_sub(8));
                }
            }
            Op::ReadHeld => {
                self.held.iter().for_each(|(snapshot, expected)| assert_is(snapshot, expected, what));
                for ((one, before), (two, after)) in self.held.iter().zip(self.held.iter().skip(1)) {
                    assert_differs(one, before, two, after, what);
                }
            }
            Op::Check { handle } => self.check(handle, what),
        }
    }

    fn restore(&mut self, tx: usize, rev: Rev, part: Option<&'static str>, what: &str) {
        let named = agree(self.snapshot(tx, rev), self.named(rev), what);
        let Some((snapshot, then)) = named else { return };
        let (transaction, draft) = self.transaction(tx);
        let patterns: Vec<&str> = part.into_iter().collect();
        agree(transaction.restore(&snapshot, &patterns), draft.restore(&then, part), what);
    }

    fn committed(&mut self, committed: Result<Commit, Error>, draft: &ChangeSet, message: &str, what: &str) {
        let expected = self.model.commit(draft, message);
        *match &expected {
            Ok(Committed { changed: true, .. }) => &mut self.outcomes.committed,
            Ok(_) => &mut self.outcomes.unchanged,
            Err(Refusal::Conflict(_)) => &mut self.outcomes.conflicts,
            Err(Refusal::Invalid) => &mut self.outcomes.invalid,
            Err(Refusal::NotFound) => &mut self.outcomes.not_found,
        } += 1;
        if let Some((Commit { generation, changed, put, removed, bytes }, expected)) =
            agree(committed, expected, what)
        {
            assert_eq!(
                Committed { generation: generation.get(), changed, put, removed, bytes },
                expected,
                "{what}"
            );
        }
    }

    /// Compares everything that a handle says about the newest generation and the history.
    pub(super) fn check(&self, handle: usize, what: &str) {
        let store = &self.handles[handle];
        let head = self.model.head();
        assert_is(&store.snapshot().unwrap(), head, what);
        let status = store.status().unwrap();
        assert_eq!((status.generation.get(), status.files), (head.number, head.files.len() as u64), "{what}");
        assert_eq!((status.health, status.findings), (Health::Ok, vec![]), "{what}");
        let interrupted: Vec<u64> = status.interrupted.iter().map(|generation| generation.get()).collect();
        let above = self.model.interrupted.range(head.number..);
        assert_eq!(interrupted, above.copied().collect::<Vec<u64>>(), "{what}");
        assert_eq!(status.message, head.message, "{what}");
        let mut parents = self.model.generations.iter().rev().skip(1);
        let mut history = store.history().unwrap();
        for expected in self.model.generations.iter().rev() {
            let found = history.next().expect("the history is long enough").unwrap();
            let texts = |paths: &[crate::path::StorePath]| paths.iter().map(ToString::to_string).collect();
            let is_rollback = found.kind == GenerationKind::Rollback;
            assert_eq!(is_rollback, expected.restores.is_some(), "{what}");
            let found = Generation {
                number: found.generation.get(),
                message: found.message,
                put: texts(&found.put),
                removed: texts(&found.removed),
                restores: found.restores.map(crate::revision::Generation::get),
                files: expected.files.clone(),
            };
            assert_eq!(&found, expected, "{what}");
            let entry = store.show(expected.number).unwrap();
            assert_eq!(
                entry.parent.map(crate::revision::Generation::get),
                parents.next().map(|made| made.number)
            );
        }
        assert!(history.next().is_none(), "{what}");
    }

    /// Compares every file of every generation.
    pub(super) fn check_files(&self, handle: usize, what: &str) {
        for expected in &self.model.generations {
            assert_is(&self.handles[handle].snapshot_at(expected.number).unwrap(), expected, what);
        }
    }

    /// Checks everything once more, through the open handles and through a new one.
    pub(super) fn finish(mut self) -> Outcomes {
        self.step(&Op::ReadHeld, "at the end");
        self.transactions = [None, None];
        self.check(0, "at the end");
        self.check(1, "at the end");
        self.handles[0] = self.disk.open().unwrap();
        self.check(0, "after another open");
        self.check_files(0, "after another open");
        let options = VerifyOptions::new().scope(VerifyScope::All).threads(1);
        let report = self.handles[0].verify(&options).unwrap();
        assert!(report.ok, "{:?}", report.findings);
        let orphans = unnumbered(&self.disk.tree());
        assert!(orphans.is_subset(&self.left), "only a power cut leaves orphans: {orphans:?}");
        let interrupted = self.model.interrupted.iter();
        let expected: BTreeSet<(FindingKind, String)> = orphans
            .into_iter()
            .map(|name| (FindingKind::Orphan, name))
            .chain(interrupted.map(|number| (FindingKind::InterruptedCommit, number.to_string())))
            .collect();
        assert_eq!(report.findings.len(), expected.len(), "{:?}", report.findings);
        let told = report.findings.into_iter().map(|found| {
            let number = found.generation.map(|generation| generation.to_string());
            (found.kind, found.path.or(number).unwrap_or_default())
        });
        assert_eq!(told.collect::<BTreeSet<_>>(), expected);
        assert_eq!(report.generations, self.model.generations.len() as u64);
        self.outcomes
    }
}

/// Panics unless a snapshot equals a generation of the model: its paths, their bytes, and who wrote
/// them.
fn assert_is(snapshot: &Snapshot, expected: &Generation, what: &str) {
    assert_eq!(snapshot.generation().get(), expected.number, "{what}");
    let found: BTreeMap<Path, (Vec<u8>, u64)> = snapshot
        .list("")
        .map(|entry| {
            let bytes = snapshot.get(entry.path.as_str()).unwrap();
            (entry.path.to_string(), (bytes, entry.generation.get()))
        })
        .collect();
    let expected: BTreeMap<Path, (Vec<u8>, u64)> = expected
        .files
        .iter()
        .map(|(path, file)| (path.clone(), (file.bytes.to_vec(), file.written.0)))
        .collect();
    assert!(found == expected, "{what}: other files than the model has");
}

fn assert_differs(one: &Snapshot, before: &Generation, two: &Snapshot, after: &Generation, what: &str) {
    let paths = before.files.keys().chain(after.files.keys());
    let bytes =
        |generation: &Generation, path: &Path| generation.files.get(path).map(|file| Arc::clone(&file.bytes));
    let mut expected: Vec<Path> =
        paths.filter(|path| bytes(before, path) != bytes(after, path)).cloned().collect();
    expected.sort_unstable();
    expected.dedup();
    let found: Vec<Path> = one.diff(two).iter().map(|difference| difference.path.to_string()).collect();
    assert_eq!(found, expected, "{what}");
}
