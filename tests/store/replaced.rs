//! Directories that are no store, an unfinished store, or another store than the one that was
//! opened.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Barrier;

use crate::support::{
    Place, assert_same, clear, contents, copy_dir, files, g, manifest_name, overwrite, refused, save, state,
    tree,
};
use genstore::{ErrorKind, Store};

fn is_refused(place: &Place, dir: &Path, text: &str) {
    let before = place.store().exists().then(|| tree(&place.store()));
    let error = refused(Store::open(dir), ErrorKind::NotFound);
    assert!(error.to_string().contains(text), "{error}");
    assert!(error.to_string().contains(&dir.display().to_string()), "{error}");
    assert_eq!(place.store().exists().then(|| tree(&place.store())), before);
}

#[test]
fn directories_that_are_no_store_are_told_apart() {
    let place = Place::new();
    is_refused(&place, &place.store(), "does not exist");
    is_refused(&place, &place.path("a/b/c"), "does not exist");
    fs::create_dir(place.store()).unwrap();
    is_refused(&place, &place.store(), "is empty");
    place.write("store/notes.txt", "mine");
    is_refused(&place, &place.store(), "holds other things");
    refused(Store::create(place.store()), ErrorKind::Invalid);
    assert!(Store::open_or_create(place.store()).is_err());
    // Directories with the names of a store's directories do not make a store.
    for directory in ["data", "manifests", "locks"] {
        place.write(&format!("store/{directory}/x"), "mine");
    }
    let before = tree(&place.store());
    for call in [Store::create, Store::open, Store::open_or_create] {
        assert!(call(place.store()).is_err());
    }
    assert_same(&tree(&place.store()), &before);
    let file = place.write("file", "");
    refused(Store::open(&file), ErrorKind::Invalid);
    refused(Store::create(&file), ErrorKind::Invalid);
    refused(Store::create(file.join("below")), ErrorKind::Invalid);
}

#[test]
fn a_store_is_created_once() {
    let place = Place::new();
    let store = Store::open_or_create(place.path("new/dirs/store")).unwrap();
    assert_eq!(store.snapshot().unwrap().generation(), g(1));
    assert!(store.probe_report().is_some());
    let again = Store::open_or_create(place.path("new/dirs/store")).unwrap();
    assert_eq!((again.id(), again.probe_report().is_none()), (store.id(), true));
    let before = contents(&place.path("new"));
    let error = refused(Store::create(place.path("new/dirs/store")), ErrorKind::Invalid);
    assert!(error.to_string().contains("a store already"), "{error}");
    assert_same(&contents(&place.path("new")), &before);
    assert_ne!(Place::with_store().1.id(), store.id());
    // The path that the caller gives may be a link.
    crate::support::link(&place.path("link"), &place.path("new/dirs/store"));
    assert_eq!(Store::open(place.path("link")).unwrap().id(), store.id());
}

#[test]
fn an_interrupted_creation_is_completed_by_creating_again() {
    let (whole, store) = Place::with_store();
    drop(store);
    let manifest = fs::read(whole.inside(&manifest_name(1))).unwrap();
    let half = &manifest[..manifest.len() / 2];
    let pointer = fs::read(whole.inside("CURRENT")).unwrap();
    let note = fs::read(whole.inside("locks/writer")).unwrap();
    let first = manifest_name(1);
    // Everything that the creation of a store writes, in this order, with torn files too.
    let steps: Vec<(&str, Option<&[u8]>)> = vec![
        ("checkpoints", None),
        ("data", None),
        ("locks", None),
        ("manifests", None),
        ("quarantine", None),
        ("staging", None),
        ("locks/writer", Some(b"")),
        ("staging/probe", Some(b"old")),
        ("staging/probe.next", Some(b"ne")),
        ("locks/probe", Some(b"")),
        ("locks/writer", Some(&note)),
        (&first, Some(b"")),
        (&first, Some(half)),
        (&first, Some(&manifest)),
        ("CURRENT.next", Some(b"")),
        ("CURRENT.next", Some(&pointer[..20])),
        ("CURRENT.next", Some(&pointer)),
    ];
    for end in 0..=steps.len() {
        let calls: [fn(&Path) -> genstore::Result<Store>; 2] =
            [|dir| Store::create(dir), |dir| Store::open_or_create(dir)];
        for call in calls {
            let place = Place::new();
            fs::create_dir(place.store()).unwrap();
            for (name, bytes) in &steps[..end] {
                match bytes {
                    None => fs::create_dir(place.inside(name)).unwrap(),
                    Some(bytes) => overwrite(&place.inside(name), bytes),
                }
            }
            is_refused(&place, &place.store(), if end == 0 { "is empty" } else { "interrupted" });
            let store = call(&place.store()).unwrap_or_else(|error| panic!("after {end} steps: {error:?}"));
            assert!(save(&store, &[("a", "1")]).changed, "after {end} steps");
            drop(store);
            assert_eq!(state(&place.open()), files(&[("a", "1")]), "after {end} steps");
            assert_eq!(place.open().recovery(), None, "after {end} steps");
            assert!(!place.inside("staging/probe").exists() && !place.inside("CURRENT.next").exists());
        }
    }
}

/// Fails unless every call through the handle is refused with this text and changes nothing.
fn says(store: &Store, dir: &Path, text: &str) {
    let before = contents(dir);
    let mut errors = vec![
        refused(store.snapshot(), ErrorKind::Corrupt),
        refused(store.begin(), ErrorKind::Corrupt),
        refused(store.history(), ErrorKind::Corrupt),
        refused(store.status(), ErrorKind::Corrupt),
        refused(store.rollback("1", ""), ErrorKind::Corrupt),
    ];
    errors.push(refused(store.snapshot_at("latest"), ErrorKind::Corrupt));
    for error in errors {
        assert!(error.to_string().contains(text), "{error} lacks {text:?}");
        assert!(error.consequence().contains("nothing was read from it or committed to it"));
    }
    assert_same(&contents(dir), &before);
}

#[test]
fn a_directory_that_was_moved_away_is_noticed() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    let snapshot = store.snapshot().unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("a", "2").unwrap();
    fs::rename(place.store(), place.path("moved")).unwrap();
    let before = contents(&place.path("moved"));
    assert!(refused(store.snapshot(), ErrorKind::Corrupt).to_string().contains("moved or replaced"));
    refused(tx.commit("to where it was"), ErrorKind::Corrupt);
    // Another store in its place is refused, even a copy.
    copy_dir(&place.path("moved"), &place.store());
    says(&store, &place.store(), "moved or replaced");
    clear(&place.store());
    Store::create(place.store()).unwrap();
    says(&store, &place.store(), "moved or replaced");
    assert_eq!(snapshot.get("a").unwrap(), b"1", "an open snapshot stays readable");
    drop(snapshot);
    assert_same(&contents(&place.path("moved")), &before);
    // Moved back, it is the same store.
    clear(&place.store());
    fs::rename(place.path("moved"), place.store()).unwrap();
    assert!(save(&store, &[("a", "2")]).changed);
}

/// Replaces the content of a store's directory. The directory itself stays.
fn replace_content(place: &Place, with: &Path) {
    for name in fs::read_dir(place.store()).unwrap() {
        clear(&name.unwrap().path());
    }
    copy_dir(with, &place.store());
}

#[test]
fn an_older_copy_put_under_an_open_handle_is_noticed() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    copy_dir(&place.store(), &place.path("backup"));
    save(&store, &[("a", "2")]);
    save(&store, &[("a", "3")]);
    let mut tx = store.begin().unwrap();
    tx.put("a", "4").unwrap();
    replace_content(&place, &place.path("backup"));
    refused(tx.commit("on top of what is gone"), ErrorKind::Corrupt);
    says(&store, &place.store(), "history of the store was replaced");
    // It stays so when the copy has been committed to until it has the same number, and more.
    let reopened = place.open();
    assert_eq!(state(&reopened), files(&[("a", "1")]));
    save(&reopened, &[("a", "another 2")]);
    save(&reopened, &[("a", "another 3")]);
    says(&store, &place.store(), "history of the store was replaced");
    // Also with a checkpoint in between, at which the way back could end.
    for number in 4..=40 {
        save(&reopened, &[("a", &format!("another {number}"))]);
        let error = refused(store.snapshot(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("history of the store was replaced"), "{number}: {error}");
    }
    assert_eq!(state(&reopened), files(&[("a", "another 40")]));
    // A dropped handle has written its checkpoints.
    drop(reopened);
    assert!(place.inside("checkpoints").read_dir().unwrap().next().is_some());
    says(&store, &place.store(), "history of the store was replaced");
}

#[test]
fn another_store_under_the_same_name_is_noticed_and_named() {
    for (ours, theirs) in [(2, 5), (3, 3), (5, 2)] {
        let (place, store) = Place::with_store();
        (1..ours).for_each(|number| assert!(save(&store, &[("a", &number.to_string())]).changed));
        let (other, their_store) = Place::with_store();
        (1..theirs).for_each(|number| assert!(save(&their_store, &[("b", &number.to_string())]).changed));
        replace_content(&place, &other.store());
        says(&store, &place.store(), &format!("its id is {}", their_store.id()));
        assert_eq!(place.open().id(), their_store.id());
    }
}

#[test]
fn a_store_finished_while_it_is_opened_is_never_misread() {
    const ROUNDS: u32 = 5000;
    let (place, store) = Place::with_store();
    drop(store);
    let pointer = place.inside("CURRENT");
    let next = place.inside("CURRENT.next");
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        // The last step of the creation, at a moment that differs in each round.
        scope.spawn(|| {
            for round in 0..ROUNDS {
                start.wait();
                (0..round % 500 * 20).for_each(|_| std::hint::spin_loop());
                fs::rename(&next, &pointer).unwrap();
                start.wait();
            }
        });
        let mut wrong = BTreeSet::new();
        for _ in 0..ROUNDS {
            fs::rename(&pointer, &next).unwrap();
            start.wait();
            let refused = Store::open(place.store()).err().map(|error| error.to_string());
            wrong.extend(refused.filter(|said| !said.contains("interrupted")));
            start.wait();
        }
        assert!(wrong.is_empty(), "it is a store, or an unfinished one: {wrong:?}");
    });
}
