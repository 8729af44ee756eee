//! Threads that commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use shuttle::rand::{Rng as _, thread_rng};

use super::reads::verify;
use super::{
    Acknowledged, acknowledge, check_acknowledged, check_quiet, commit, committed, explore, explore_all,
    names, open, open_with, options, text,
};
use crate::cancel::CancelFlag;
use crate::engine::Engine;
use crate::engine::create::create_on;
use crate::engine::open::open_on;
use crate::error::{ErrorKind, Result};
use crate::format::names::{CHECKPOINTS, MANIFESTS};
use crate::fs::Fs;
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::Disk;
use crate::proof::injector::{Action, FaultInjector, Plan};
use crate::storage::directory::Directory;
use crate::store::Store;
use crate::sync::Mutex;
use crate::sync::thread::scope;
use crate::transaction::Commit;

/// Two threads commit different files, through one handle or one each. A third thread checks that
/// the known head never goes back.
fn different_files(disk: &Disk, is_shared: bool) {
    let fs = SimFs::start(disk.clone(), 2);
    let one = open(&fs);
    let other = if is_shared { one.clone() } else { open(&fs) };
    let before = one.engine.known().link.generation;
    let all = Acknowledged::default();
    scope(|scope| {
        for (store, path) in [(&one, "a"), (&other, "b")] {
            let all = &all;
            let fs = &fs;
            scope.spawn(move || {
                for content in ["1", "2"] {
                    let commit = commit(store, &[path], content).unwrap();
                    assert!(commit.changed);
                    acknowledge(all, fs, &commit, path, content);
                }
            });
        }
        let one = &one;
        scope.spawn(move || {
            let mut known = before;
            for _ in 0..4 {
                let now = one.engine.known().link.generation;
                assert!(now >= known, "{now} is known after {known}");
                known = now;
            }
        });
    });
    let newest = before.get() + 4;
    let is_newest = |store: &Store| store.engine.known().link.generation.get() == newest;
    let is_known = if is_shared { is_newest(&one) } else { is_newest(&one) || is_newest(&other) };
    assert!(is_known, "{} is known", one.engine.known().link.generation);
    drop((one, other));
    check_acknowledged(&all);
    let state = check_quiet(&fs);
    assert_eq!((text(&state, "a"), text(&state, "b")), ("2", "2"));
}

#[test]
fn commits_of_different_files_through_one_handle_all_succeed() {
    let disk = committed(&[(&["a", "b"], "0")]);
    explore("different files, one handle", move || different_files(&disk, true));
}

#[test]
fn commits_of_different_files_through_two_handles_all_succeed() {
    let disk = committed(&[(&["a", "b"], "0")]);
    explore("different files, two handles", move || different_files(&disk, false));
}

#[test]
fn a_thread_that_is_late_does_not_bring_an_older_state_back_in_any_order() {
    let disk = committed(&[(&["a"], "0"), (&["a"], "1")]);
    explore_all("a late thread", 10, move || {
        let fs = SimFs::start(disk.clone(), 2);
        let store = open(&fs);
        let [first, second, third] =
            [1_u64, 2, 3].map(|number| store.engine.state_at(store.find(number).unwrap()).unwrap());
        let storage = Arc::new(Directory::new(Arc::new(fs)));
        let dir = store.engine.dir().clone();
        let engine = Arc::new(Engine::new(storage, dir, store.id(), options().into(), first));
        let late = [second, third].map(|head| {
            let engine = Arc::clone(&engine);
            shuttle::thread::spawn(move || drop(engine.remember(head)))
        });
        let [(), ()] = late.map(|thread| thread.join().unwrap());
        assert_eq!(engine.known().link.generation.get(), 3, "an older state is known again");
    });
}

#[test]
fn commits_of_the_same_file_conflict_or_follow_each_other() {
    let disk = committed(&[(&["a"], "0")]);
    explore("the same file", move || {
        let fs = SimFs::start(disk.clone(), 2);
        let store = open(&fs);
        let all = Acknowledged::default();
        let conflicts = Mutex::new(0);
        scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    // Each thread adds one twice. After a conflict it begins again.
                    let mut left = 2;
                    while left > 0 {
                        let mut tx = store.begin().unwrap();
                        let content = String::from_utf8(tx.get("a").unwrap()).unwrap();
                        let content = (content.parse::<u32>().unwrap() + 1).to_string();
                        tx.put("a", content.as_str()).unwrap();
                        let base = tx.base();
                        match tx.commit("add one") {
                            Ok(commit) => {
                                acknowledge(&all, &fs, &commit, "a", &content);
                                left -= 1;
                            }
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                                let [conflict] = error.conflicts() else { panic!("{error}") };
                                assert_eq!(conflict.path.as_str(), "a");
                                assert!(conflict.generation > base);
                                *conflicts.lock().unwrap() += 1;
                            }
                        }
                    }
                });
            }
        });
        drop(store);
        assert!(*conflicts.lock().unwrap() <= 4, "a conflict without another commit");
        check_acknowledged(&all);
        assert_eq!(text(&check_quiet(&fs), "a"), "4", "an addition was lost");
    });
}

/// Two threads commit through one handle, and the last step of the first commit fails. If the head
/// is not known to be durable, the first commit settles it, and that fails instead.
fn unknown_outcome(disk: &Disk, plan: Plan, is_head_synced: bool) {
    let fs = SimFs::start(disk.clone(), 2);
    let faulty = FaultInjector::skipping_syncs(Arc::new(fs.clone()));
    let engine = open_on(faulty.way(), std::path::Path::new("simulated"), options().into());
    let store = Store::from(engine.unwrap());
    if is_head_synced {
        commit(&store, &["c"], "0").unwrap();
    }
    let before = store.engine.known().link.generation;
    faulty.take_trace();
    faulty.plan(Some(plan));
    let outcomes = Mutex::new(Vec::new());
    scope(|scope| {
        for path in ["a", "b"] {
            let store = &store;
            let outcomes = &outcomes;
            scope.spawn(move || {
                let outcome = commit(store, &[path], "1").map_err(|error| error.kind());
                outcomes.lock().unwrap().push((path, outcome));
            });
        }
    });
    faulty.plan(None);
    let outcomes = outcomes.into_inner().unwrap();
    let with =
        |kind| outcomes.iter().filter(move |(_, outcome)| *outcome == Err(kind)).map(|(path, _)| *path);
    let unknown: Vec<&str> = with(ErrorKind::CommitOutcomeUnknown).collect();
    assert!(unknown.len() == 1 && with(ErrorKind::Poisoned).count() == 1, "{outcomes:?}");
    assert_eq!(faulty.take_trace().iter().filter(|op| op.swaps()).count(), 1, "a poisoned handle committed");
    assert_eq!(store.begin().unwrap_err().kind(), ErrorKind::Poisoned);
    drop(store);
    // The step of unknown outcome has taken effect here. A handle that opens the store again can go
    // on.
    let store = open(&fs);
    assert_eq!(store.engine.known().link.generation.get(), before.get() + u64::from(is_head_synced));
    commit(&store, &["c"], "1").unwrap();
    drop(store);
    let state = check_quiet(&fs);
    for path in ["a", "b"] {
        assert_eq!(text(&state, path), if is_head_synced && unknown == [path] { "1" } else { "0" });
    }
}

#[test]
fn an_unknown_outcome_of_one_thread_stops_commits_of_the_others() {
    let disk = committed(&[(&["a", "b"], "0")]);
    const EIO: i32 = 5;
    explore("an unknown outcome", move || {
        let plan = Plan { after: 0, becomes: Action::FailAfter(EIO), for_ever: false, matches: Op::swaps };
        // The first fsync of the root is part of barrier 1. The second is the one after the swap.
        let is_sync: fn(&Op) -> bool = |op| matches!(op, Op::SyncDir(dir) if dir.is_empty());
        let sync = Plan { after: 1, becomes: Action::Fail(EIO), matches: is_sync, ..plan };
        for (plan, is_head_synced) in [(plan, true), (sync, true), (plan, false), (sync, false)] {
            unknown_outcome(&disk, plan, is_head_synced);
        }
    });
}

#[test]
fn a_checkpoint_is_whole_when_the_last_handle_has_gone() {
    // The next commit makes a checkpoint due.
    let disk = committed(&[
        (&["a"], "1"),
        (&["a"], "2"),
        (&["a"], "3"),
        (&["a"], "4"),
        (&["a"], "5"),
        (&["b"], "6"),
    ]);
    explore("checkpoints", move || {
        let fs = SimFs::start(disk.clone(), 2);
        assert_eq!(names(&fs, CHECKPOINTS), [""; 0]);
        let one = open(&fs);
        let two = one.clone();
        scope(|scope| {
            for (store, path) in [(one, "a"), (two, "b")] {
                let fs = &fs;
                scope.spawn(move || {
                    commit(&store, &[path], "7").unwrap();
                    // A handle that opens the store meanwhile finds it undamaged.
                    assert_eq!(open(fs).recovery(), None);
                    drop(store);
                });
            }
        });
        assert!(!names(&fs, CHECKPOINTS).is_empty(), "no checkpoint was written");
        let state = check_quiet(&fs);
        assert_eq!((text(&state, "a"), text(&state, "b")), ("7", "7"));
    });
}

#[test]
fn a_flag_that_is_set_meanwhile_leaves_all_or_nothing() {
    let disk = committed(&[(&["a", "b", "c"], "0")]);
    explore("the flag", move || {
        let fs = SimFs::start(disk.clone(), 2);
        let flag = CancelFlag::new();
        let store = open_with(&fs, options().cancel(flag.clone()));
        let before = store.engine.known().link.generation;
        let mut committed = None;
        let mut checked = None;
        scope(|scope| {
            scope.spawn(|| committed = Some(stream(&store)));
            scope.spawn(|| checked = Some(verify(&store)));
            scope.spawn(|| {
                // Each look at the flag is a moment for other threads, so the flag is set late as
                // often as early.
                for _ in 0..thread_rng().gen_range(0..150) {
                    assert!(!flag.is_cancelled());
                }
                flag.cancel();
            });
        });
        drop(store);
        let state = check_quiet(&fs);
        let now = open(&fs).engine.known().link.generation;
        match committed.unwrap() {
            Ok(commit) => {
                assert!(now == commit.generation && now > before);
                assert_eq!((text(&state, "a"), text(&state, "b")), ("1", "1"));
            }
            Err(error) => {
                assert!(error.is_interrupted(), "{error}");
                assert_eq!((now, text(&state, "a"), text(&state, "b")), (before, "0", "0"));
                assert_eq!(names(&fs, MANIFESTS).len(), 2, "something of the commit is left");
            }
        }
        match checked.unwrap() {
            Ok(report) => assert!(report.ok, "{report:?}"),
            Err(error) => assert!(error.is_interrupted(), "{error}"),
        }
    });
}

/// Commits one file through a staging file, and one without.
fn stream(store: &Store) -> Result<Commit> {
    let mut tx = store.begin()?;
    tx.put_reader("a", &b"1"[..])?;
    tx.put("b", "1")?;
    tx.commit("commit")
}

/// As `Store::open_or_create`, on a simulated disk.
fn open_or_create(fs: &SimFs) -> Store {
    let way = || -> Arc<dyn Fs> { Arc::new(fs.clone()) };
    let dir = std::path::Path::new("simulated");
    match open_on(way(), dir, options().into()) {
        Err(error) if error.is_missing_store() => {}
        other => return other.unwrap().into(),
    }
    match create_on(way(), dir, options().into()) {
        Err(error) if error.already_exists() => open_on(way(), dir, options().into()).unwrap().into(),
        other => other.unwrap().0.into(),
    }
}

#[test]
fn of_threads_that_open_or_create_a_store_one_creates_it_and_all_use_it() {
    explore("creating a store", || {
        let fs = SimFs::start(Disk::default(), 1);
        let all = Acknowledged::default();
        let ids = Mutex::new(BTreeSet::new());
        scope(|scope| {
            for path in ["a", "b"] {
                let fs = &fs;
                let all = &all;
                let ids = &ids;
                scope.spawn(move || {
                    let store = open_or_create(fs);
                    assert_eq!(store.recovery(), None);
                    ids.lock().unwrap().insert(store.id().to_string());
                    let commit = commit(&store, &[path], "1").unwrap();
                    acknowledge(all, fs, &commit, path, "1");
                });
            }
        });
        assert_eq!(ids.into_inner().unwrap().len(), 1, "two stores were created");
        check_acknowledged(&all);
        let state = check_quiet(&fs);
        assert_eq!((text(&state, "a"), text(&state, "b")), ("1", "1"));
    });
}
