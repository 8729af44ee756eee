//! A rollback makes an earlier state, or a part of it, a new generation.

use std::fs;

use crate::support::{
    Place, assert_same, contents, files, flip, g, refused, remove, rename, save, state, state_of, text, tree,
};
use genstore::{Commit, ErrorKind, Generation, GenerationKind, Result, Store, VerifyOptions, VerifyScope};

/// Rolls paths back to a revision.
fn restore(store: &Store, revision: &str, patterns: &[&str]) -> Result<Commit> {
    let mut tx = store.begin()?;
    tx.restore(&store.snapshot_at(revision)?, patterns)?;
    tx.commit("restore")
}

fn is_sound(store: &Store) -> bool {
    store.verify(&VerifyOptions::new().scope(VerifyScope::All)).unwrap().ok
}

#[test]
fn a_whole_state_is_restored_without_a_copy_of_its_bytes() {
    let (place, store) =
        Place::with_commits(&[&[("kept", "1"), ("changed", "1"), ("removed", "1"), ("from", "1")]]);
    save(&store, &[("changed", "2"), ("added", "2")]);
    remove(&store, "removed");
    rename(&store, "from", "to");
    save(&store, &[("changed", "3")]);
    let before = tree(&place.inside("data"));
    let commit = store.rollback("2", "that was a mistake").unwrap();
    assert_eq!((commit.generation, commit.changed), (g(7), true));
    assert_eq!((commit.put, commit.removed, commit.bytes), (3, 2, 0));
    assert_same(&tree(&place.inside("data")), &before);
    let expected = files(&[("kept", "1"), ("changed", "1"), ("removed", "1"), ("from", "1")]);
    assert_eq!(state(&store), expected);
    assert_eq!(state(&place.open()), expected);
    let entry = place.open().show("latest").unwrap();
    assert_eq!(
        (entry.kind, entry.restores, entry.message.as_str()),
        (GenerationKind::Rollback, Some(g(2)), "that was a mistake")
    );
    assert_eq!(entry.put.iter().map(ToString::to_string).collect::<Vec<_>>(), ["changed", "from", "removed"]);
    assert_eq!(entry.removed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["added", "to"]);
    assert_eq!(store.snapshot().unwrap().metadata("changed").unwrap().generation, g(2));
    assert!(is_sound(&store));

    // A rollback is an ordinary generation: it can be rolled back, and it loses nothing.
    assert_eq!(store.rollback("latest~1", "no, it was right").unwrap().bytes, 0);
    assert_eq!(state(&store), files(&[("kept", "1"), ("changed", "3"), ("added", "2"), ("to", "1")]));
    assert_same(&tree(&place.inside("data")), &before);
    assert!(is_sound(&place.open()));
}

#[test]
fn a_rollback_to_the_present_state_creates_no_generation() {
    let (place, store) = Place::with_commits(&[&[("a", "1")], &[("a", "2")]]);
    let before = contents(&place.store());
    for revision in ["latest", "3", "latest~0"] {
        let commit = store.rollback(revision, "nothing to do").unwrap();
        assert_eq!((commit.generation, commit.changed), (g(3), false));
    }
    assert!(!restore(&store, "3", &["a"]).unwrap().changed);
    assert_same(&contents(&place.store()), &before);
    // The state may also have come back by an ordinary commit.
    save(&store, &[("a", "1")]);
    assert!(!store.rollback("2", "the same again").unwrap().changed);
    assert_eq!(store.rollback("1", "empty").unwrap().removed, 1);
    assert_eq!(state(&store), files(&[]));
}

#[test]
fn paths_directories_and_globs_restore_a_part() {
    let (_place, store) = Place::with_commits(&[&[
        ("stores/a.json", "1"),
        ("stores/b.json", "1"),
        ("stores/b.txt", "1"),
        ("stores/sub/c.json", "1"),
        ("stores.json", "1"),
        ("other/a.json", "1"),
    ]]);
    let spoil = || {
        let mut tx = store.begin().unwrap();
        for file in store.snapshot_at("2").unwrap().list("") {
            tx.put(file.path.as_str(), format!("spoilt {}", store.snapshot().unwrap().generation())).unwrap();
        }
        tx.put("stores/new.json", "new").unwrap();
        tx.commit("spoil").unwrap();
    };
    for (patterns, expected) in [
        (&["stores/a.json"][..], &["stores/a.json"][..]),
        (
            &["stores"],
            &["stores/a.json", "stores/b.json", "stores/b.txt", "stores/sub/c.json", "-stores/new.json"],
        ),
        (
            &["stores/"],
            &["stores/a.json", "stores/b.json", "stores/b.txt", "stores/sub/c.json", "-stores/new.json"],
        ),
        (&["stores/*.json"], &["stores/a.json", "stores/b.json", "-stores/new.json"]),
        (&["**/a.json"], &["other/a.json", "stores/a.json"]),
        (&["stores/?.json"], &["stores/a.json", "stores/b.json"]),
        (&["stores/{a,b}.json", "other"], &["other/a.json", "stores/a.json", "stores/b.json"]),
        (&["*"], &["stores.json"]),
        (
            &["**"],
            &[
                "other/a.json",
                "stores.json",
                "stores/a.json",
                "stores/b.json",
                "stores/b.txt",
                "stores/sub/c.json",
                "-stores/new.json",
            ],
        ),
    ] {
        spoil();
        restore(&store, "2", patterns).unwrap();
        let entry = store.show("latest").unwrap();
        let put = entry.put.iter().map(ToString::to_string);
        let changed: Vec<String> = put.chain(entry.removed.iter().map(|path| format!("-{path}"))).collect();
        assert_eq!(changed, expected, "{patterns:?}");
        assert_eq!((entry.kind, entry.restores), (GenerationKind::Rollback, Some(g(2))));
        let now = state(&store);
        let restored = expected.iter().filter(|path| !path.starts_with('-'));
        assert!(restored.into_iter().all(|path| now[*path] == "1"), "{patterns:?}");
    }
}

#[test]
fn a_pattern_that_means_nothing_is_refused() {
    let (place, store) = Place::with_commits(&[&[("a", "1")], &[("a", "2")]]);
    let before = contents(&place.store());
    for pattern in ["missing", "b*", "a/x", "", "/"] {
        refused(restore(&store, "2", &[pattern]), ErrorKind::NotFound);
    }
    refused(restore(&store, "2", &["a", "missing"]), ErrorKind::NotFound);
    refused(restore(&store, "2", &["{a"]), ErrorKind::Invalid);
    refused(store.rollback("9", "no such generation"), ErrorKind::NotFound);
    assert_same(&contents(&place.store()), &before);
}

#[test]
fn a_path_that_looks_like_a_pattern_means_itself() {
    let (_place, store) = Place::with_commits(&[&[("a[1].json", "1"), ("a1.json", "1"), ("{x", "1")]]);
    save(&store, &[("a[1].json", "2"), ("a1.json", "2"), ("{x", "2")]);
    restore(&store, "2", &["a[1].json"]).unwrap();
    assert_eq!(state(&store), files(&[("a[1].json", "1"), ("a1.json", "2"), ("{x", "2")]));
    restore(&store, "2", &["{x"]).unwrap();
    assert_eq!(text(&store, "{x"), "1");
}

#[test]
fn a_damaged_file_is_not_restored() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1")], &[("a", "2"), ("b", "2")]]);
    flip(&place.inside("data/a.g2"), 0);
    let before = contents(&place.store());
    let error = refused(store.rollback("2", "to the damaged one"), ErrorKind::Corrupt);
    assert_eq!((error.path(), error.generation()), (Some("a"), Some(g(2))));
    refused(restore(&store, "2", &["a"]), ErrorKind::Corrupt);
    fs::remove_file(place.inside("data/b.g2")).unwrap();
    refused(restore(&store, "2", &["b"]), ErrorKind::Corrupt);
    assert_eq!(state(&store), files(&[("a", "2"), ("b", "2")]));
    let mut after = contents(&place.store());
    after.insert("data/b.g2".into(), before["data/b.g2"].clone());
    assert_same(&after, &before);
}

#[test]
fn a_damaged_file_is_restored_from_an_intact_version_of_the_same_content() {
    let (place, store) = Place::with_commits(&[&[("a", "good")], &[("a", "bad edit")], &[("a", "good")]]);
    flip(&place.inside("data/a.g4"), 0);
    let error = refused(store.snapshot().unwrap().get("a"), ErrorKind::Corrupt);
    // Generation 2 has the lost bytes, and the advice is to roll back to it.
    assert_eq!(store.snapshot_at("2").unwrap().get("a").unwrap(), b"good");
    let intact = error.intact().unwrap();
    assert!(error.advice().contains(&format!("generation {intact}")), "{}", error.advice());
    restore(&store, "2", &["a"]).unwrap();
    assert_eq!(text(&store, "a"), "good");
}

#[test]
fn a_damaged_file_that_would_not_change_is_an_error_where_it_is_named() {
    for is_lost in [false, true] {
        let (place, store) = Place::with_commits(&[&[("d/a", "1"), ("b", "1")], &[("b", "2")]]);
        let file = place.inside("data/d/a.g2");
        if is_lost {
            fs::remove_file(&file).unwrap();
        } else {
            flip(&file, 0);
        }
        let before = contents(&place.store());
        for pattern in ["d/a", "d", "*/a", "**"] {
            let error = refused(restore(&store, "2", &[pattern]), ErrorKind::Corrupt);
            assert_eq!((error.path(), error.generation()), (Some("d/a"), Some(g(2))), "{pattern}");
        }
        assert_same(&contents(&place.store()), &before);
        // A rollback of the whole store reads what it changes.
        assert_eq!(store.rollback("2", "all of it").unwrap().put, 1);
        assert_eq!(text(&store, "b"), "1");
        refused(store.snapshot().unwrap().get("d/a"), ErrorKind::Corrupt);
    }
}

#[test]
fn a_change_by_others_is_a_conflict_with_the_restored_state() {
    let (place, store) =
        Place::with_commits(&[&[("f/a", "1"), ("f/b", "1"), ("g", "1")], &[("f/a", "2"), ("g", "2")]]);
    let other = place.open();
    let changes: [(&[&str], fn(&Store)); 5] = [
        // A change of a restored path, of a path that is the same in both, and of a new path.
        (&[], |store| assert!(save(store, &[("f/a", "3")]).changed)),
        (&[], |store| assert!(save(store, &[("f/b", "3")]).changed)),
        (&["f"], |store| assert!(save(store, &[("f/c", "3")]).changed)),
        (&["f/*"], |store| assert!(save(store, &[("f/d", "3")]).changed)),
        (&["f/b"], |store| assert!(save(store, &[("f/b", "4")]).changed)),
    ];
    for (at, (patterns, change)) in changes.into_iter().enumerate() {
        let now = store.snapshot().unwrap();
        let mut tx = store.begin().unwrap();
        tx.restore(&store.snapshot_at("2").unwrap(), patterns).unwrap();
        change(&other);
        match tx.commit("too late") {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "case {at}"),
            Ok(commit) => panic!(
                "case {at}: {commit:?}, and the state is not that of generation 2: {:?}",
                state(&store)
            ),
        }
        // The next case begins with the same state.
        let mut tx = store.begin().unwrap();
        tx.restore(&now, &[]).unwrap();
        tx.commit("next case").unwrap();
    }
    // Others may change paths that are not restored.
    let mut tx = store.begin().unwrap();
    tx.restore(&store.snapshot_at("2").unwrap(), &["f"]).unwrap();
    save(&other, &[("g", "5")]);
    tx.commit("rebased").unwrap();
    assert_eq!(state(&store), files(&[("f/a", "1"), ("f/b", "1"), ("g", "5")]));
}

#[test]
fn a_snapshot_of_another_store_is_refused() {
    let (_one, store) = Place::with_commits(&[&[("a", "1")]]);
    let (_two, other) = Place::with_commits(&[&[("a", "1")]]);
    let mut tx = store.begin().unwrap();
    refused(tx.restore(&other.snapshot().unwrap(), &[]), ErrorKind::Invalid);
}

#[test]
fn a_rollback_and_an_edit_are_one_generation() {
    let (_place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1")], &[("a", "2"), ("b", "2")]]);
    let mut tx = store.begin().unwrap();
    tx.restore(&store.snapshot_at("2").unwrap(), &["a"]).unwrap();
    tx.put("c", "3").unwrap();
    assert_eq!(tx.get("a").unwrap(), b"1");
    let commit = tx.commit("both").unwrap();
    assert_eq!((commit.put, commit.bytes), (2, 1));
    assert_eq!(state(&store), files(&[("a", "1"), ("b", "2"), ("c", "3")]));
    assert_eq!(store.show("latest").unwrap().kind, GenerationKind::Rollback);
}

#[test]
fn the_history_of_a_path_has_every_generation_that_touched_it() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1")], &[("b", "2")], &[("a", "2")]]);
    rename(&store, "a", "c");
    remove(&store, "b");
    store.rollback("2", "all back").unwrap();
    drop(store);
    let store = place.open();
    let history = |path: &str| {
        store.history_of(path).unwrap().map(|entry| entry.unwrap().generation).collect::<Vec<Generation>>()
    };
    assert_eq!(history("a"), [g(7), g(5), g(4), g(2)]);
    assert_eq!(history("b"), [g(7), g(6), g(3), g(2)]);
    assert_eq!(history("c"), [g(7), g(5)]);
    assert_eq!(history("never"), []);
    refused(store.history_of("../x"), ErrorKind::Invalid);
}

#[test]
fn rolled_back_files_are_read_after_their_checkpoint_too() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("from", "1")]]);
    rename(&store, "from", "to");
    save(&store, &[("a", "2")]);
    store.rollback("2", "back").unwrap();
    rename(&store, "a", "moved");
    for number in 0..40 {
        save(&store, &[("counter", &number.to_string())]);
    }
    drop(store);
    assert!(!crate::support::names(&place.inside("checkpoints")).is_empty());
    let store = place.open();
    assert_eq!(state(&store), files(&[("moved", "1"), ("from", "1"), ("counter", "39")]));
    assert_eq!(state_of(&store.snapshot_at("3").unwrap()), files(&[("a", "1"), ("to", "1")]));
    assert!(is_sound(&store));
}
