//! Does everything with a store that a store can do, and checks each answer against the bytes on
//! the disk.

use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;

use super::disk::{Disk, Tree};
use super::reader::{self, Row};
use crate::error::{Error, ErrorKind, Operation};
use crate::format::names::Name;
use crate::hash::Blake3;
use crate::history::HistoryEntry;
use crate::snapshot::{Provenance, Snapshot};
use crate::status::Health;
use crate::store::Store;
use crate::verify::{VerifyOptions, VerifyScope};

/// More generations than any input makes.
const HISTORY_MAX: usize = 1000;

/// Panics if this disk gives no reason for the kind of error. There is no other process, and no
/// operation fails.
fn assert_explained(error: &Error, kinds: &[ErrorKind]) {
    assert!(kinds.contains(&error.kind()), "{:?}: {error:?}", error.kind());
    let _ = (error.consequence(), error.advice());
}

fn assert_read(error: &Error) {
    use ErrorKind::{Corrupt, Io, NotFound, Unsupported};
    assert_explained(error, &[NotFound, Corrupt, Unsupported, Io]);
}

/// Everything except the pointer, which a commit may change.
fn without_pointer(mut tree: Tree) -> Tree {
    tree.retain(|name, _| !name.starts_with("CURRENT"));
    tree
}

pub(super) fn examine(disk: &Disk) {
    let before = disk.tree();
    match disk.open() {
        Ok(store) => {
            read_everything(&store, &before);
            assert!(disk.tree() == before, "reading changed something");
            commit_and_roll_back(disk, &store, &before);
        }
        Err(error) => assert_read(&error),
    }
    let after = without_pointer(disk.tree());
    for (name, bytes) in without_pointer(before) {
        assert!(after.get(&name) == Some(&bytes), "{name} was changed or removed");
    }
}

fn read_everything(store: &Store, tree: &Tree) {
    let _ = store.recovery();
    let status = match store.status() {
        Ok(status) => status,
        Err(error) => return assert_read(&error),
    };
    let head = store.snapshot().expect("a store with a status can be read");
    assert_eq!(head.generation(), status.generation);
    match status.health {
        Health::Ok => assert_pointed_at(&head, tree),
        Health::Degraded => assert!(!status.findings.is_empty(), "a degraded store has findings"),
    }
    let mut is_damaged = !read_snapshot(store, &head, tree);
    let history: Vec<_> =
        store.history().expect("a store with a status has a history").take(HISTORY_MAX).collect();
    assert!(history.len() < HISTORY_MAX, "the history ends");
    for found in history {
        match found.and_then(|entry| Ok((store.snapshot_at(entry.generation)?, entry))) {
            Ok((snapshot, entry)) => {
                assert_eq!(snapshot.generation(), entry.generation);
                is_damaged |= !read_snapshot(store, &snapshot, tree);
                let _ = (head.diff(&snapshot), snapshot.diff(&head));
                assert_replayed(&snapshot, &entry, tree);
            }
            Err(error) => assert_read(&error),
        }
    }
    for quick in [true, false] {
        let options = VerifyOptions::new().scope(VerifyScope::All).quick(quick).threads(1);
        match store.verify(&options) {
            Ok(report) if quick || has_checkpoints(tree) => drop(report),
            Ok(report) => assert!(!(report.ok && is_damaged), "verify does not find damage that was read"),
            Err(error) => assert_read(&error),
        }
    }
}

fn has_checkpoints(tree: &Tree) -> bool {
    tree.keys().any(|name| name.starts_with("checkpoints/"))
}

/// A healthy store serves what an intact `CURRENT` names, by number and hash.
fn assert_pointed_at(head: &Snapshot, tree: &Tree) {
    let bytes = &tree["CURRENT"];
    let (body, line) = bytes.split_at(bytes.len() - 25);
    assert_eq!(
        String::from_utf8_lossy(line),
        format!("{{\"sum\":\"crc32:{:08x}\"}}\n", super::documents::crc32(body))
    );
    let pointer: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert_eq!(pointer["generation"], head.generation().get());
    let manifest = &tree[&Name::Manifest(head.generation()).to_string()];
    assert_eq!(pointer["manifest"], Blake3::of(manifest).to_string());
}

/// Without checkpoints, which the store believes, the table equals what the second reader reads
/// from the manifests.
fn assert_replayed(snapshot: &Snapshot, entry: &HistoryEntry, tree: &Tree) {
    if has_checkpoints(tree) {
        return;
    }
    let row = |entry: &crate::format::entry::Entry| Row {
        generation: entry.generation.get(),
        bytes: entry.bytes,
        blake3: entry.blake3.to_string(),
        stored: entry.stored_path().to_string(),
    };
    let found: BTreeMap<String, Row> =
        snapshot.head.table.iter().map(|entry| (entry.path.to_string(), row(entry))).collect();
    assert_eq!(Ok(found), reader::table(tree, entry.generation.get(), &entry.manifest.to_string()));
}

/// Reads every file in every way. A file is delivered if and only if its bytes are there. Gives
/// whether all are.
fn read_snapshot(store: &Store, snapshot: &Snapshot, tree: &Tree) -> bool {
    let mut is_whole = true;
    let listed: Vec<_> = snapshot.list("").collect();
    assert_eq!(listed.len() as u64, snapshot.len());
    assert_eq!(listed.iter().map(|entry| entry.bytes).sum::<u64>(), snapshot.total_bytes());
    let folds: HashSet<String> = listed.iter().map(|entry| reader::fold(entry.path.as_str())).collect();
    assert_eq!(folds.len(), listed.len(), "no two paths have the same fold");
    for listed in listed {
        let path = listed.path.as_str();
        let entry = snapshot.head.table.get(&listed.path).expect("a listed path is in the table");
        let name = Name::Data(entry.stored_path().clone(), entry.generation).to_string();
        let intact = tree
            .get(&name)
            .filter(|bytes| bytes.len() as u64 == listed.bytes && Blake3::of(bytes) == listed.blake3);
        is_whole &= intact.is_some();
        match (snapshot.get(path), intact) {
            (Ok(bytes), Some(intact)) => assert_eq!(&bytes, intact),
            (Err(error), None) => assert_explained(&error, &[ErrorKind::Corrupt]),
            (got, _) => panic!("{path}: {got:?}"),
        }
        let mut bytes = Vec::new();
        match (
            snapshot.reader(path).and_then(|mut file| {
                file.read_to_end(&mut bytes).map_err(|error| Error::io(Operation::Read, path, error))
            }),
            intact,
        ) {
            (Ok(_), Some(intact)) => assert_eq!(&bytes, intact),
            (Err(error), None) => assert_explained(&error, &[ErrorKind::Corrupt]),
            (got, _) => panic!("{path}: {got:?}"),
        }
        match (snapshot.get_or_recover(path, b"the default").unwrap(), intact) {
            ((bytes, Provenance::Current), Some(intact)) => assert_eq!(&bytes, intact),
            // A lying checkpoint hides what the manifests say.
            ((_, Provenance::Recovered { generation }), None) if has_checkpoints(tree) => {
                assert!(generation <= snapshot.generation());
            }
            ((bytes, Provenance::Recovered { generation }), None) => {
                assert!(generation < snapshot.generation());
                if let Ok(older) = store.snapshot_at(generation) {
                    assert_eq!(older.metadata(path).map(|entry| entry.blake3), Some(Blake3::of(&bytes)));
                }
            }
            ((bytes, Provenance::Default), None) => assert_eq!(bytes, b"the default"),
            (got, _) => panic!("{path}: {got:?}"),
        }
    }
    is_whole
}

/// Commits a file and rolls back to an old generation, if the store allows it. Checks that
/// everything is there.
fn commit_and_roll_back(disk: &Disk, store: &Store, before: &Tree) {
    use ErrorKind::{Corrupt, Invalid, Io, NotFound, Unsupported};
    let Ok(head) = store.snapshot() else { return };
    let is_degraded = head.head.is_degraded();
    let mut tx = store.begin().expect("a store that can be read takes transactions");
    tx.put("zz/new", "the new bytes").unwrap();
    let committed = match tx.commit("by the fuzzer") {
        Ok(committed) => committed,
        Err(error) => {
            assert_explained(&error, &[Corrupt, Invalid, Io, Unsupported]);
            assert!(
                without_pointer(disk.tree()) == without_pointer(before.clone()),
                "a failed commit left something"
            );
            return;
        }
    };
    assert!(!is_degraded, "nothing is committed on top of a damaged store");
    if committed.changed {
        assert!(committed.generation > head.generation());
    }
    // Through the handle that committed, and through a new one.
    for store in [store, &disk.open().expect("what was committed can be opened")] {
        let now = store.snapshot().unwrap();
        assert_eq!(now.generation(), committed.generation);
        assert_eq!(now.get("zz/new").unwrap(), b"the new bytes");
        for entry in head.list("").filter(|entry| entry.path.as_str() != "zz/new") {
            assert_eq!(now.metadata(entry.path.as_str()), Some(entry));
        }
        assert_eq!(now.get("zz/new").unwrap(), b"the new bytes");
    }
    match store.rollback(head.generation(), "back") {
        Ok(back) => {
            assert_eq!(back.changed, committed.changed);
            let content = |snapshot: &Snapshot| -> Vec<_> {
                snapshot.list("").map(|entry| (entry.path, entry.blake3)).collect()
            };
            assert_eq!(content(&store.snapshot().unwrap()), content(&head));
        }
        Err(error) => assert_explained(&error, &[Corrupt, Invalid, Io, NotFound, Unsupported]),
    }
}
