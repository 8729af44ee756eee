//! Two writers at once: independent changes are both committed, others are a conflict.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::support::{Place, assert_same, contents, files, g, refused, remove, rename, save, state, text};
use genstore::{Commit, Error, ErrorKind, Generation, Store, Transaction};

/// The paths and generations of a conflict.
fn facts(error: &Error) -> Vec<(String, Generation)> {
    error.conflicts().iter().map(|conflict| (conflict.path.to_string(), conflict.generation)).collect()
}

#[test]
fn independent_changes_are_both_committed() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1"), ("read", "1")]]);
    let other = place.open();
    let mut tx = store.begin().unwrap();
    assert_eq!(tx.get("read").unwrap(), b"1");
    assert!(!tx.contains("nowhere").unwrap());
    tx.put("a", "2").unwrap();
    save(&other, &[("b", "2"), ("c", "2")]);
    save(&other, &[("b", "3")]);
    let commit = tx.commit("rebased").unwrap();
    assert_eq!((commit.generation, commit.put), (g(5), 1));
    assert_eq!(store.show("latest").unwrap().parent, Some(g(4)));
    let expected = files(&[("a", "2"), ("b", "3"), ("c", "2"), ("read", "1")]);
    assert_eq!(state(&store), expected);
    assert_eq!(state(&other), expected);
}

#[test]
fn a_path_that_both_wrote_is_a_conflict() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]]);
    let other = place.open();
    let mut tx = store.begin().unwrap();
    tx.put("a", "mine").unwrap();
    tx.remove("b").unwrap();
    tx.rename("c", "x").unwrap();
    tx.put("d", "mine").unwrap();
    tx.put("new", "mine").unwrap();
    save(&other, &[("a", "theirs"), ("b", "theirs")]);
    save(&other, &[("a", "theirs again"), ("new", "theirs")]);
    save(&other, &[("c", "theirs")]);
    let before = contents(&place.store());
    let error = refused(tx.commit("too late"), ErrorKind::Conflict);
    let expected =
        [("a", g(4)), ("b", g(3)), ("c", g(5)), ("new", g(4))].map(|(path, at)| (path.to_owned(), at));
    assert_eq!(facts(&error), expected, "each path with the newest generation that changed it");
    assert_eq!(error.generation(), Some(g(2)), "the base");
    assert_same(&contents(&place.store()), &before);
    // The handle and its new transactions stay usable.
    save(&store, &[("a", "mine, knowingly")]);
    assert_eq!(text(&other, "a"), "mine, knowingly");
}

#[test]
fn a_path_changed_and_changed_back_is_a_conflict() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    let other = place.open();
    let mut tx = store.begin().unwrap();
    tx.put("a", "2").unwrap();
    // The path was changed twice, although its content is the same again.
    save(&other, &[("a", "x")]);
    save(&other, &[("a", "1")]);
    assert_eq!(facts(&refused(tx.commit("late"), ErrorKind::Conflict)), [("a".to_owned(), g(4))]);
}

#[test]
fn writers_of_the_same_content_do_not_conflict() {
    let (place, store) =
        Place::with_commits(&[&[("a", "1"), ("b", "1"), ("gone", "1"), ("old", "bytes"), ("moved", "2")]]);
    let other = place.open();
    let change = |tx: &mut Transaction| {
        tx.put("a", "2").unwrap();
        tx.put("new", "2").unwrap();
        tx.remove("gone").unwrap();
    };
    let mut tx = store.begin().unwrap();
    change(&mut tx);
    tx.put("b", "mine").unwrap();
    let mut theirs = other.begin().unwrap();
    change(&mut theirs);
    theirs.commit("theirs").unwrap();
    let commit = tx.commit("mine").unwrap();
    assert_eq!((commit.generation, commit.put, commit.removed), (g(4), 1, 0), "only what differs is written");
    let expected = files(&[("a", "2"), ("b", "mine"), ("new", "2"), ("old", "bytes"), ("moved", "2")]);
    assert_eq!(state(&store), expected);

    // Without another change there is nothing left to commit.
    let mut tx = store.begin().unwrap();
    tx.put("a", "3").unwrap();
    save(&other, &[("a", "3")]);
    let commit = tx.commit("mine").unwrap();
    assert_eq!((commit.generation, commit.changed), (g(5), false));

    // A rename onto a path counts as a write of its content.
    let mut tx = store.begin().unwrap();
    tx.rename("old", "here").unwrap();
    save(&other, &[("here", "bytes")]);
    assert_eq!(tx.commit("mine").unwrap().removed, 1);

    // Only the paths that differ are a conflict.
    let mut tx = store.begin().unwrap();
    tx.put("a", "4").unwrap();
    tx.put("b", "4").unwrap();
    tx.remove("new").unwrap();
    save(&other, &[("a", "4"), ("b", "other"), ("new", "5")]);
    let at = other.snapshot().unwrap().generation();
    let expected = ["b", "new"].map(|path| (path.to_owned(), at));
    assert_eq!(facts(&refused(tx.commit("mine"), ErrorKind::Conflict)), expected);
}

#[test]
fn a_read_path_conflicts_although_both_wrote_the_same() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("old", "1")]]);
    let other = place.open();
    let reads: [fn(&mut Transaction); 2] =
        [|tx| drop(tx.get("a").unwrap()), |tx| assert!(tx.contains("a").unwrap())];
    for (number, read) in reads.into_iter().enumerate() {
        let content = format!("the same {number}");
        let mut tx = store.begin().unwrap();
        read(&mut tx);
        tx.put("a", content.as_str()).unwrap();
        save(&other, &[("a", &content)]);
        let at = other.snapshot().unwrap().generation();
        assert_eq!(facts(&refused(tx.commit("late"), ErrorKind::Conflict)), [("a".to_owned(), at)]);
    }
    // A rename reads its source. Without the conflict, a removed file would come back.
    let mut tx = store.begin().unwrap();
    tx.rename("old", "new").unwrap();
    remove(&other, "old");
    let at = other.snapshot().unwrap().generation();
    assert_eq!(facts(&refused(tx.commit("late"), ErrorKind::Conflict)), [("old".to_owned(), at)]);
    // A list that gained a path is a conflict, even if both writers put the same there.
    let mut tx = store.begin().unwrap();
    assert_eq!(tx.list("f/").count(), 0);
    tx.put("f/a", "1").unwrap();
    save(&other, &[("f/a", "1")]);
    refused(tx.commit("late"), ErrorKind::Conflict);
}

#[test]
fn a_transaction_on_an_earlier_generation_conflicts_with_later_changes() {
    let (_place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1")], &[("a", "2")], &[("c", "1")]]);
    let mut tx = store.begin_at("latest~2").unwrap();
    assert_eq!((tx.base(), tx.get("b").unwrap()), (g(2), b"1".to_vec()));
    assert!(!tx.contains("d").unwrap());
    tx.put("b", "3").unwrap();
    let commit = tx.commit("a path unchanged since").unwrap();
    assert_eq!((commit.generation, commit.put), (g(5), 1));
    assert_eq!(state(&store), files(&[("a", "2"), ("b", "3"), ("c", "1")]));

    let mut tx = store.begin_at(2).unwrap();
    assert_eq!(tx.get("a").unwrap(), b"1");
    tx.put("a", "mine").unwrap();
    tx.put("c", "mine").unwrap();
    let error = refused(tx.commit("late"), ErrorKind::Conflict);
    assert_eq!(facts(&error), [("a".to_owned(), g(3)), ("c".to_owned(), g(4))]);
    assert_eq!(error.generation(), Some(g(2)));

    // A put of the content that the newest generation has changes nothing.
    let mut tx = store.begin_at(2).unwrap();
    tx.put("a", "2").unwrap();
    assert!(!tx.commit("the same").map(|commit| commit.changed).unwrap());
    refused(store.begin_at("latest~9"), ErrorKind::NotFound);
    refused(store.begin_at("yesterday"), ErrorKind::Invalid);
}

#[test]
fn a_path_that_was_read_and_then_changed_is_a_conflict() {
    let (place, store) = Place::with_commits(&[&[("read", "1"), ("asked", "1"), ("seen", "1")]]);
    let other = place.open();
    let changes: [(&str, fn(&Store) -> Commit); 4] = [
        ("read", |store| save(store, &[("read", "2")])),
        ("asked", |store| remove(store, "asked")),
        ("absent", |store| save(store, &[("absent", "here now")])),
        ("seen", |store| rename(store, "seen", "elsewhere")),
    ];
    for (path, change) in changes {
        let mut tx = store.begin().unwrap();
        tx.get("read").unwrap();
        tx.contains("asked").unwrap();
        let _ = tx.get("absent");
        let _ = tx.get("seen");
        tx.put("result", path).unwrap();
        change(&other);
        let error = refused(tx.commit("from what was read"), ErrorKind::Conflict);
        let at = other.snapshot().unwrap().generation();
        assert_eq!(facts(&error), [(path.to_owned(), at)]);
    }
    assert!(!state(&store).contains_key("result"));
}

#[test]
fn a_path_that_was_read_after_it_was_written_is_no_read_of_the_base() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1")]]);
    let mut tx = store.begin().unwrap();
    tx.put("mine", "1").unwrap();
    assert_eq!(tx.get("mine").unwrap(), b"1");
    assert!(tx.contains("mine").unwrap());
    save(&place.open(), &[("a", "2")]);
    assert!(tx.commit("rebased").unwrap().changed);
}

#[test]
fn a_listed_directory_that_gained_or_lost_a_path_is_a_conflict() {
    let (place, store) = Place::with_commits(&[&[("f/a", "1"), ("f/b", "1"), ("g/a", "1")]]);
    let other = place.open();
    let listing = || {
        let mut tx = store.begin().unwrap();
        assert!(tx.list("f/").next().is_some());
        tx.put("index", store.snapshot().unwrap().generation().to_string()).unwrap();
        tx
    };
    let tx = listing();
    save(&other, &[("f/new", "1")]);
    assert_eq!(facts(&refused(tx.commit("index"), ErrorKind::Conflict)), [("f/new".to_owned(), g(3))]);
    let tx = listing();
    remove(&other, "f/a");
    assert_eq!(facts(&refused(tx.commit("index"), ErrorKind::Conflict)), [("f/a".to_owned(), g(4))]);
    // A change in another directory, or of content only, does not change the list.
    let tx = listing();
    save(&other, &[("g/new", "1"), ("f/b", "2"), ("fa", "1")]);
    assert!(tx.commit("index").unwrap().changed);
}

#[test]
fn overwrite_ignores_the_changes_of_others() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1"), ("c", "1")]]);
    let other = place.open();
    let mut tx = store.begin().unwrap();
    let _ = tx.list("");
    tx.get("b").unwrap();
    tx.put("a", "mine").unwrap();
    tx.remove("c").unwrap();
    tx.overwrite(true);
    save(&other, &[("a", "theirs"), ("b", "theirs"), ("d", "theirs")]);
    remove(&other, "c");
    let commit = tx.commit("mine").unwrap();
    assert_eq!((commit.put, commit.removed), (1, 0), "a removed path is not removed again");
    assert_eq!(state(&store), files(&[("a", "mine"), ("b", "theirs"), ("d", "theirs")]));
    assert_eq!(store.snapshot_at("3").unwrap().get("a").unwrap(), b"theirs", "and nothing is lost");

    let mut tx = store.begin().unwrap();
    tx.put("a", "x").unwrap();
    tx.overwrite(true).overwrite(false);
    save(&other, &[("a", "y")]);
    refused(tx.commit("not meant after all"), ErrorKind::Conflict);
}

#[test]
fn a_rebase_can_break_a_rule_that_held_on_the_base() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    let mut tx = store.begin().unwrap();
    tx.put("directory", "a file").unwrap();
    save(&place.open(), &[("directory/file", "1")]);
    let error = refused(tx.commit("collides"), ErrorKind::Invalid);
    assert!(error.to_string().contains("directory/file"), "{error}");
    assert_eq!(store.status().unwrap().interrupted, []);
}

#[test]
fn a_rebase_over_many_generations() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    let other = place.open();
    let mut tx = store.begin().unwrap();
    tx.put("mine", "1").unwrap();
    // These are enough commits for checkpoints above the base.
    for number in 0..70 {
        save(&other, &[("a", &format!("{number} times"))]);
    }
    drop(other);
    assert_eq!(tx.commit("late").unwrap().generation, g(73));
    assert_eq!(text(&store, "a"), "69 times");
    let mut tx = store.begin().unwrap();
    tx.put("a", "x").unwrap();
    let other = place.open();
    save(&other, &[("a", "theirs")]);
    for number in 0..70 {
        save(&other, &[("b", &format!("{number} times"))]);
    }
    assert_eq!(facts(&refused(tx.commit("late"), ErrorKind::Conflict)), [("a".to_owned(), g(74))]);
}

#[test]
fn threads_share_a_handle() {
    const THREADS: usize = 4;
    const COMMITS: usize = 10;
    let (place, store) = Place::with_commits(&[&[("counter", "0")]]);
    let start = Arc::new(Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, start) = (store.clone(), Arc::clone(&start));
            scope.spawn(move || {
                start.wait();
                for number in 0..COMMITS {
                    save(&store, &[(&format!("own/{thread}"), &number.to_string())]);
                    loop {
                        let mut tx = store.begin().unwrap();
                        let count: usize =
                            String::from_utf8(tx.get("counter").unwrap()).unwrap().parse().unwrap();
                        tx.put("counter", (count + 1).to_string()).unwrap();
                        match tx.commit("count") {
                            Ok(_) => break,
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(text(&store, "counter"), (THREADS * COMMITS).to_string());
    let history: Vec<Generation> =
        place.open().history().unwrap().map(|entry| entry.unwrap().generation).collect();
    assert_eq!(history.len(), 2 + 2 * THREADS * COMMITS, "one generation for every commit");
    assert!(history.is_sorted_by(|newer, older| newer > older));
    assert_eq!(store.snapshot().unwrap().len(), 1 + THREADS as u64);
}

#[test]
fn a_lock_wait_of_zero_is_busy_at_once() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    let lock = std::fs::File::options().read(true).write(true).open(place.inside("locks/writer")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let hasty = Store::options().lock_wait(Duration::ZERO).open(place.store()).unwrap();
    let before = contents(&place.store());
    let mut tx = hasty.begin().unwrap();
    tx.put("a", "2").unwrap();
    let error = refused(tx.commit("now or never"), ErrorKind::Busy);
    assert_eq!(
        error.holder().map(|holder| holder.pid),
        Some(std::process::id()),
        "the process that left the note"
    );
    assert_same(&contents(&place.store()), &before);
    assert_eq!(text(&store, "a"), "1", "a reader never waits for the lock");
    drop(lock);
    assert!(save(&hasty, &[("a", "2")]).changed);
}
