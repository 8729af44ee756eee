//! Threads that read while others commit.

use std::sync::Arc;

use super::{check_quiet, commit, committed, explore, explore_all, names, open, text};
use crate::engine::finding::FindingKind;
use crate::engine::pins::Pins;
use crate::error::Result;
use crate::format::names::{DATA, LOCKS};
use crate::fs::Fs;
use crate::fs::LockMode;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::Disk;
use crate::revision::Generation;
use crate::status::Health;
use crate::storage::Storage as _;
use crate::storage::directory::Directory;
use crate::store::Store;
use crate::sync::Mutex;
use crate::sync::thread::scope;
use crate::verify::{VerifyOptions, VerifyReport, VerifyScope};

/// Takes snapshots while others commit, and checks each.
fn look(store: &Store) {
    let mut last = Generation::FIRST;
    let mut least = 0;
    for _ in 0..3 {
        let snapshot = store.snapshot().unwrap();
        assert!(snapshot.generation() >= last, "{} after {last}", snapshot.generation());
        last = snapshot.generation();
        let x = snapshot.get("x").unwrap();
        let y = snapshot.get("y").unwrap();
        assert_eq!(x, y, "a mixture in generation {last}");
        let content = String::from_utf8(x).unwrap().parse::<u32>().unwrap();
        assert!(content >= least, "{content} after {least}");
        least = content;
    }
    assert_eq!(store.recovery(), None);
    let status = store.status().unwrap();
    assert!(status.health == Health::Ok && status.generation >= last, "{status:?}");
}

#[test]
fn a_reader_never_sees_a_mixture_or_an_older_state() {
    let disk = committed(&[(&["x", "y"], "0"), (&["z"], "0")]);
    explore("readers and writers", move || {
        let fs = SimFs::start(disk.clone(), 2);
        let store = open(&fs);
        scope(|scope| {
            scope.spawn(|| {
                for content in ["1", "2"] {
                    commit(&store, &["x", "y"], content).unwrap();
                }
            });
            scope.spawn(|| commit(&store, &["z"], "1").unwrap());
            scope.spawn(|| look(&store));
            scope.spawn(|| look(&open(&fs)));
        });
        drop(store);
        let state = check_quiet(&fs);
        assert_eq!([text(&state, "x"), text(&state, "y"), text(&state, "z")], ["2", "2", "1"]);
    });
}

/// The generation is held: its pin has a name, and it cannot be locked exclusively.
fn check_held(fs: &SimFs, generation: Generation) {
    let path = format!("{LOCKS}/pin-{generation}");
    assert!(fs.stat(&path).unwrap().is_some(), "the pin has lost its name");
    assert!(fs.try_lock(&path, LockMode::Exclusive).unwrap().is_none(), "the pin is not held");
}

#[test]
fn a_pin_holds_until_the_last_of_its_threads_releases_it() {
    let disk = committed(&[(&["a"], "0")]);
    explore("pins", move || {
        let fs = SimFs::start(disk.clone(), 2);
        let one = open(&fs);
        let other = open(&fs);
        let held = one.snapshot().unwrap();
        let copy = held.clone();
        scope(|scope| {
            for store in [&one, &other] {
                let fs = &fs;
                scope.spawn(move || {
                    for _ in 0..2 {
                        let snapshot = store.snapshot().unwrap();
                        check_held(fs, snapshot.generation());
                    }
                });
            }
            for snapshot in [held, copy] {
                let fs = &fs;
                scope.spawn(move || {
                    check_held(fs, snapshot.generation());
                    drop(snapshot);
                });
            }
        });
        drop((one, other));
        assert_eq!(names(&fs, LOCKS), ["writer"], "pins are left");
    });
}

#[test]
fn of_two_pins_that_are_dropped_at_once_one_removes_the_name_in_every_order() {
    explore_all("two dropped pins", 70, || {
        let fs = SimFs::start(Disk::default(), 1);
        fs.create_dir(LOCKS).unwrap();
        let storage = Directory::new(Arc::new(fs.clone()));
        let pin = || storage.pin(Generation::FIRST).unwrap().unwrap();
        let dropping = [pin(), pin()].map(|pin| shuttle::thread::spawn(move || drop(pin)));
        let [(), ()] = dropping.map(|thread| thread.join().unwrap());
        assert_eq!(names(&fs, LOCKS), [""; 0], "the pin is left");
    });
}

#[test]
fn a_generation_that_one_thread_releases_and_another_takes_is_held() {
    explore("a shared pin", || {
        let fs = SimFs::start(Disk::default(), 1);
        fs.create_dir(LOCKS).unwrap();
        let storage = Arc::new(Directory::new(Arc::new(fs.clone())));
        let pins = Arc::new(Pins::default());
        let held = pins.pin(&*storage, Generation::FIRST).unwrap().unwrap();
        let dropping = shuttle::thread::spawn(move || drop(held));
        let again = pins.pin(&*storage, Generation::FIRST).unwrap().unwrap();
        check_held(&fs, Generation::FIRST);
        dropping.join().unwrap();
        check_held(&fs, Generation::FIRST);
        assert_eq!(pins.len(), 1, "the pin is not remembered");
        drop(again);
        assert_eq!(pins.len(), 0, "the pin is remembered");
        assert_eq!(names(&fs, LOCKS), [""; 0], "the pin is left");
    });
}

/// The disk with one byte of a file changed.
fn damaged(disk: &Disk, path: &str) -> Disk {
    let mut disk = disk.clone();
    let mut at = crate::fs::sim::disk::ROOT;
    for part in path.split('/') {
        at = disk.dirs[&at][part];
    }
    let data = disk.files.get_mut(&at).unwrap();
    Arc::make_mut(&mut data.now)[0] ^= 1;
    disk
}

#[test]
fn threads_that_verify_check_every_file_once_and_find_the_damaged_one() {
    let disk = committed(&[(&["a", "b", "c", "d", "e"], "content")]);
    let disk = damaged(&disk, &format!("{DATA}/c.g2"));
    explore("verify", move || {
        let fs = SimFs::start(disk.clone(), 2);
        let store = open(&fs);
        let report = scope(|scope| {
            scope.spawn(|| commit(&store, &["c"], "repaired").unwrap());
            verify(&store).unwrap()
        });
        assert!(!report.ok || report.generations == 3, "{report:?}");
        assert_eq!(report.findings.iter().filter(|found| found.kind == FindingKind::FileDamaged).count(), 1);
        let found = &report.findings[0];
        assert_eq!((found.path.as_deref(), found.generation.map(Generation::get)), (Some("c"), Some(2)));
        assert!(report.files == if report.generations == 3 { 6 } else { 5 });
    });
}

/// Verifies on three threads. Checks that progress names each file once.
pub(super) fn verify(store: &Store) -> Result<VerifyReport> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let options = VerifyOptions::new().scope(VerifyScope::All).threads(3).progress(
        move |progress: &crate::Progress| {
            tell.lock().unwrap().push(progress.files_done);
        },
    );
    let report = store.verify(&options)?;
    let told = told.lock().unwrap();
    assert_eq!(*told, (1..=report.files).collect::<Vec<_>>(), "a file was checked twice or not at all");
    Ok(report)
}
