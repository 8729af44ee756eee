//! What each process of the crowd does until all commits are made.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use genstore::{Blake3, HistoryEntry, Store};
use serde_json::json;

use crate::budget::seed;
use crate::state::{COUNTER, Own, Seen, count_up, own, retry, transfer};
use crate::{failed, finished, tell};

/// How many entries of the history are read each time.
const NEWEST: usize = 50;
/// How often an old snapshot is read again before it is replaced.
const LOOKS_AT_OLD: u32 = 30;
/// The longest pause of a reader, in microseconds. On few cores, readers without pauses would leave
/// no time to the writers.
const PAUSE_MAX: u64 = 200_000;

/// Commits `commits` times. Each commit writes its own file, and some also write what others write.
pub(crate) fn write(dir: &Path, writer: usize, commits: u64) {
    let store = Store::open(dir).unwrap();
    let mut random = fastrand::Rng::with_seed(seed() ^ ((writer as u64 + 1) << 32));
    let mut now = Own::default();
    let mut last = 0;
    let mut conflicts = 0;
    while now.commits < commits {
        let kind = random.u32(0..4);
        let amount = random.i64(1..10);
        now.commits += 1;
        now.counted += u64::from(kind == 0);
        let (generation, tries) = retry(&store, &format!("{writer}"), |tx| {
            tx.put_json(own(writer), &now).unwrap();
            match kind {
                0 => count_up(tx),
                1 => transfer(tx, amount),
                _ => {}
            }
        });
        assert!(generation > last, "{generation} after {last}");
        assert!(tries == 0 || kind < 2, "another writer wrote to this file");
        last = generation;
        conflicts += tries;
    }
    tell(&json!({ "own": now, "last": last, "conflicts": conflicts }));
}

/// Reads the newest generation, through an open handle and through a new one each time. Also reads
/// an old snapshot.
pub(crate) fn watch(dir: &Path, number: usize) {
    let store = Store::open(dir).unwrap();
    let mut random = reader_random(number);
    let mut old = store.snapshot().unwrap();
    let mut looks = 0;
    let mut then = Seen::of(&old);
    let mut newest = Seen::of(&old);
    let mut generations = BTreeSet::new();
    loop {
        let is_last = finished(dir).exists();
        for store in [&store, &Store::open(dir).unwrap()] {
            let seen = Seen::of(&store.snapshot().unwrap());
            assert_eq!(store.recovery(), None);
            seen.check_not_before(&newest);
            generations.insert(seen.generation);
            newest = seen;
        }
        assert_eq!(Seen::of(&old), then, "a snapshot does not change");
        looks += 1;
        if looks % LOOKS_AT_OLD == 0 {
            old = store.snapshot().unwrap();
            then = Seen::of(&old);
        }
        if is_last {
            return tell(&json!({ "last": newest.generation, "generations": generations.len() }));
        }
        assert!(!failed(dir).exists(), "another process failed");
        std::thread::sleep(Duration::from_micros(random.u64(0..PAUSE_MAX)));
    }
}

/// Reads the newest part of the history and one of its generations. Reads the whole history each
/// time it has grown by half.
pub(crate) fn read_history(dir: &Path, number: usize) {
    let store = Store::open(dir).unwrap();
    let mut random = reader_random(number);
    let mut known: Option<(u64, Blake3)> = None;
    let mut whole = 0;
    let mut generations = BTreeSet::new();
    loop {
        let is_last = finished(dir).exists();
        let entries: Vec<HistoryEntry> = store.history().unwrap().take(NEWEST).map(Result::unwrap).collect();
        check_run(&entries);
        let newest = entries[0].generation.get();
        if let Some((known, hash)) = known {
            assert!(newest >= known, "{newest} after {known}");
            let again = entries.iter().find(|entry| entry.generation.get() == known);
            assert!(again.is_none_or(|again| again.manifest == hash), "another history: {again:?}");
        }
        known = Some((newest, entries[0].manifest));
        generations.insert(newest);
        let any = random.choice(&entries).unwrap().generation;
        if any.get() > 1 {
            assert_eq!(Seen::of(&store.snapshot_at(any).unwrap()).generation, any.get());
        }
        let counted = store.history_of(COUNTER).unwrap().take(3).map(Result::unwrap);
        assert!(counted.map(|entry| entry.generation).is_sorted_by(|newer, older| newer > older));
        if is_last || newest > whole + whole / 2 {
            let all: Vec<HistoryEntry> = store.history().unwrap().map(Result::unwrap).collect();
            check_run(&all);
            assert_eq!(all.last().unwrap().generation.get(), 1);
            assert_eq!(all.len() as u64, all[0].generation.get(), "no number is skipped");
            whole = all[0].generation.get();
        }
        if is_last {
            return tell(&json!({ "last": newest, "generations": generations.len() }));
        }
        assert!(!failed(dir).exists(), "another process failed");
        std::thread::sleep(Duration::from_micros(random.u64(0..PAUSE_MAX)));
    }
}

fn reader_random(number: usize) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed() ^ ((number as u64 + 1) << 48))
}

/// Each entry follows the one below it.
fn check_run(entries: &[HistoryEntry]) {
    for pair in entries.windows(2) {
        let [newer, older] = pair else { unreachable!() };
        assert!(newer.generation > older.generation && newer.time >= older.time, "{newer:?} {older:?}");
        assert_eq!(newer.parent, Some(older.generation), "{newer:?}");
    }
}
