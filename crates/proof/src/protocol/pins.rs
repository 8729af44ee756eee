//! The pins that snapshots hold.

use std::io::Read as _;
use std::sync::Barrier;

use super::Bed;
use crate::format::names::Name;
use crate::fs::Fs as _;
use crate::fs::LockMode;
use crate::fs::op::Op;
use crate::revision::Generation;
use crate::store::Store;

/// A store whose newest generation is 2, and another handle on it.
fn two_handles() -> (Bed, Store, Store) {
    let (bed, store) = Bed::store();
    let mut tx = store.begin().unwrap();
    tx.put("a", "content").unwrap();
    tx.commit("first").unwrap();
    let other = bed.open().unwrap();
    (bed, store, other)
}

fn pin(generation: u64) -> String {
    Name::Pin(Generation::new(generation).unwrap()).to_string()
}

/// How often the file of a pin was opened since the last call.
fn opened(bed: &Bed, generation: u64) -> usize {
    let path = pin(generation);
    bed.fs.take_trace().iter().filter(|op| matches!(op, Op::Lock(locked) if *locked == path)).count()
}

fn is_there(bed: &Bed, generation: u64) -> bool {
    bed.path().join(pin(generation)).exists()
}

/// Whether an independent handle finds the generation held.
fn is_held(bed: &Bed, generation: u64) -> bool {
    let fs = crate::fs::real::RealFs::open(bed.path()).unwrap();
    is_there(bed, generation) && fs.try_lock(&pin(generation), LockMode::Exclusive).unwrap().is_none()
}

#[test]
fn snapshots_of_a_generation_through_one_handle_share_one_pin() {
    let (bed, store, _) = two_handles();
    opened(&bed, 2);
    let first = store.snapshot().unwrap();
    let second = store.clone().snapshot().unwrap();
    let third = store.snapshot_at("2").unwrap();
    assert_eq!(opened(&bed, 2), 1);
    drop(first);
    assert!(is_held(&bed, 2));
    let mut reader = second.reader("a").unwrap();
    drop((second, third));
    assert!(is_held(&bed, 2), "the reader holds it");
    let mut content = String::new();
    reader.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    drop(reader);
    assert!(!is_there(&bed, 2));
    // A pin that was dropped is opened again.
    opened(&bed, 2);
    let again = store.snapshot().unwrap();
    assert_eq!(opened(&bed, 2), 1);
    drop(store);
    assert!(is_held(&bed, 2), "the snapshot outlives the handle");
    drop(again);
    assert!(!is_there(&bed, 2));
}

#[test]
fn each_generation_has_a_pin_of_its_own() {
    let (bed, store, _) = two_handles();
    let old = store.snapshot_at("1").unwrap();
    let new = store.snapshot().unwrap();
    assert!(is_held(&bed, 1) && is_held(&bed, 2));
    drop(old);
    assert!(!is_there(&bed, 1) && is_held(&bed, 2));
    drop(new);
    assert!(!is_there(&bed, 2));
}

#[test]
fn each_handle_has_a_pin_of_its_own() {
    let (bed, store, other) = two_handles();
    opened(&bed, 2);
    let first = store.snapshot().unwrap();
    let second = other.snapshot().unwrap();
    assert_eq!(opened(&bed, 2), 2);
    drop((first, store));
    assert!(is_held(&bed, 2));
    drop(second);
    assert!(!is_there(&bed, 2));
}

#[test]
fn threads_that_take_and_drop_snapshots_hold_the_generation_throughout() {
    const THREADS: usize = 4;
    let (bed, store, other) = two_handles();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let bed = &bed;
            let start = &start;
            let store = if number == 0 { &other } else { &store };
            scope.spawn(move || {
                start.wait();
                for _ in 0..200 {
                    let snapshot = store.snapshot().unwrap();
                    assert!(is_held(bed, 2));
                    drop(snapshot);
                }
            });
        }
    });
    assert!(!is_there(&bed, 2), "the last one removes it");
}
