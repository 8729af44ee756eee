//! An export gives back a generation as a plain directory, whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::{Noise, Place, assert_same, flip, g, refused, rename, save};
use genstore::{CancelFlag, ErrorKind, ExportOptions, Progress, PutDirOptions, Snapshot, Store};

/// Path and content of the files below a directory.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = crate::support::tree(dir).into_iter().filter(|(_, item)| item.kind == "file");
    files.map(|(name, item)| (name, item.bytes.0)).collect()
}

fn all(snapshot: &Snapshot) -> BTreeMap<String, Vec<u8>> {
    snapshot.list("").map(|file| (file.path.to_string(), snapshot.get(&file.path).unwrap())).collect()
}

/// The names in the test's directory. A failed export must not add one.
fn beside(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.path(".")).unwrap();
    let mut names: Vec<String> = names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn filled() -> (Place, Store) {
    let (place, store) = Place::with_store();
    for number in 0..30 {
        place.write(&format!("source/dir {}/deep/{number}.bin", number % 3), Noise::bytes(number * 701));
    }
    place.write("source/empty", "");
    place.write("source/ünï/🦀", "name");
    let mut tx = store.begin().unwrap();
    tx.put_dir(place.path("source"), &PutDirOptions::new()).unwrap();
    tx.commit("source").unwrap();
    (place, store)
}

#[test]
fn a_directory_comes_back_byte_for_byte() {
    let (place, store) = filled();
    let snapshot = store.snapshot().unwrap();
    let report = snapshot.export(place.path("out"), &ExportOptions::new()).unwrap();
    assert_same(&contents(&place.path("out")), &contents(&place.path("source")));
    assert_eq!((report.files, report.bytes), (snapshot.len(), snapshot.total_bytes()));
    assert!(report.damaged.is_empty());
    assert_eq!(beside(&place), ["out", "source", "store"]);
    // The exported files belong to the caller and are writable.
    fs::write(place.path("out/empty"), "changed").unwrap();
    assert!(!fs::metadata(place.path("out/empty")).unwrap().permissions().readonly());
    assert_eq!(snapshot.get("empty").unwrap(), b"");
}

#[test]
fn each_generation_is_exported_as_it_was() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1")], &[("a", "2")]]);
    rename(&store, "b", "directory/b");
    store.rollback("2", "back").unwrap();
    for number in 1..=5 {
        let snapshot = store.snapshot_at(g(number)).unwrap();
        let out = place.path(&format!("out/{number}"));
        snapshot.export(&out, &ExportOptions::new()).unwrap();
        assert_eq!(contents(&out), all(&snapshot), "generation {number}");
    }
}

#[test]
fn a_part_is_exported_under_its_full_paths() {
    let (place, store) =
        Place::with_commits(&[&[("in/a", "1"), ("in/b/c", "1"), ("index", "1"), ("out", "1")]]);
    let export = |prefix: &str, name: &str| {
        let options = ExportOptions::new().prefix(prefix);
        let report = store.snapshot().unwrap().export(place.path(name), &options).unwrap();
        let names: Vec<String> = contents(&place.path(name)).into_keys().collect();
        assert_eq!(report.files, names.len() as u64);
        names
    };
    assert_eq!(export("in/", "one"), ["in/a", "in/b/c"]);
    assert_eq!(export("in", "two"), ["in/a", "in/b/c", "index"]);
    assert_eq!(export("nothing", "three"), Vec::<String>::new());
    assert!(place.path("three").is_dir());
}

#[test]
fn only_an_empty_or_a_missing_directory_is_filled() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    let snapshot = store.snapshot().unwrap();
    fs::create_dir(place.path("empty")).unwrap();
    snapshot.export(place.path("empty"), &ExportOptions::new()).unwrap();
    snapshot.export(place.path("made/on/the/way"), &ExportOptions::new()).unwrap();
    assert_eq!(contents(&place.path("made/on/the/way")), all(&snapshot));
    place.write("full/mine", "mine");
    place.write("file", "mine");
    let before = crate::support::tree(&place.path("full"));
    refused(snapshot.export(place.path("full"), &ExportOptions::new()), ErrorKind::Invalid);
    refused(snapshot.export(place.path("empty"), &ExportOptions::new()), ErrorKind::Invalid);
    refused(snapshot.export(place.path("file"), &ExportOptions::new()), ErrorKind::Invalid);
    assert_same(&crate::support::tree(&place.path("full")), &before);
    assert_eq!(beside(&place), ["empty", "file", "full", "made", "store"]);
    // An export into a store is refused.
    refused(snapshot.export(place.inside("staging"), &ExportOptions::new()), ErrorKind::Invalid);
    refused(snapshot.export(place.inside("new"), &ExportOptions::new()), ErrorKind::Invalid);
    assert!(!place.inside("new").exists());
    let error = refused(snapshot.export(".", &ExportOptions::new()), ErrorKind::Invalid);
    assert_eq!(error.advice(), "name a new directory", "{error}");
}

#[test]
fn an_empty_directory_keeps_its_mode() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    for mode in [0o700, 0o750, 0o2770] {
        let out = place.path(&format!("out-{mode:o}"));
        fs::create_dir(&out).unwrap();
        fs::set_permissions(&out, fs::Permissions::from_mode(mode)).unwrap();
        let owner = fs::metadata(&out).unwrap().uid();
        store.snapshot().unwrap().export(&out, &ExportOptions::new()).unwrap();
        let now = fs::metadata(&out).unwrap();
        assert_eq!((now.mode() & 0o7777, now.uid()), (mode, owner), "{mode:o}");
        assert_eq!(fs::read(out.join("a")).unwrap(), b"1");
    }
}

#[test]
fn a_path_through_a_missing_directory_and_back_is_refused() {
    let (place, store) = filled();
    let snapshot = store.snapshot().unwrap();
    let before = crate::support::tree(&place.path(""));
    // Each would lead into the store, or to a directory that was not checked, once `new` exists.
    for path in
        ["new/../store/data/out", "new/../store/manifests/out", "new/a/../../made", "source/../new/../out"]
    {
        let error = refused(snapshot.export(place.path(path), &ExportOptions::new()), ErrorKind::Invalid);
        assert!(error.to_string().contains("names the directory above one that does not exist"), "{error}");
        let error = refused(Store::create(place.path(path)), ErrorKind::Invalid);
        assert_eq!(error.advice(), "name the directory without `..`");
    }
    assert_same(&crate::support::tree(&place.path("")), &before);
    // After a directory that exists, `..` is as good as any other name.
    snapshot.export(place.path("store/../out"), &ExportOptions::new()).unwrap();
    assert_eq!(beside(&place), ["out", "source", "store"]);
}

#[test]
fn a_damaged_file_ends_an_export_and_nothing_is_left() {
    let (place, store) = filled();
    flip(&place.inside("data/dir 1/deep/28.bin.g2"), 5000);
    let snapshot = store.snapshot().unwrap();
    fs::create_dir(place.path("empty")).unwrap();
    let before = beside(&place);
    for name in ["out", "empty"] {
        let error = refused(snapshot.export(place.path(name), &ExportOptions::new()), ErrorKind::Corrupt);
        assert_eq!((error.path(), error.generation()), (Some("dir 1/deep/28.bin"), Some(g(2))));
        assert_eq!(beside(&place), before);
    }
    assert_eq!(crate::support::names(&place.path("empty")), Vec::<String>::new());
    refused(snapshot.export(place.path("a/b/c"), &ExportOptions::new()), ErrorKind::Corrupt);
    assert_eq!(beside(&place), before, "the directories above it are removed too");
}

#[test]
fn damaged_files_are_left_out_on_request_and_named() {
    let (place, store) = filled();
    flip(&place.inside("data/dir 1/deep/28.bin.g2"), 5000);
    fs::remove_file(place.inside("data/empty.g2")).unwrap();
    fs::remove_dir_all(place.inside("data/ünï")).unwrap();
    let snapshot = store.snapshot().unwrap();
    let options = ExportOptions::new().skip_damaged(true);
    let report = snapshot.export(place.path("out"), &options).unwrap();
    let damaged: Vec<&str> = report.damaged.iter().map(|error| error.path().unwrap()).collect();
    assert_eq!(damaged, ["dir 1/deep/28.bin", "empty", "ünï/🦀"]);
    assert!(report.damaged.iter().all(|error| error.kind() == ErrorKind::Corrupt));
    let mut expected = contents(&place.path("source"));
    expected.retain(|path, _| !damaged.contains(&path.as_str()));
    assert_same(&contents(&place.path("out")), &expected);
    assert_eq!(report.files, expected.len() as u64);
    assert_eq!(report.bytes, expected.values().map(|bytes| bytes.len() as u64).sum::<u64>());
}

#[test]
fn progress_is_reported_and_a_cancelled_export_leaves_nothing() {
    let (place, store) = filled();
    let before = beside(&place);
    let cancel = CancelFlag::new();
    let seen = Arc::new(Mutex::new(Vec::<Progress>::new()));
    let (listener, flag) = (Arc::clone(&seen), cancel.clone());
    let options = ExportOptions::new().cancel(cancel.clone()).progress(move |progress| {
        listener.lock().unwrap().push(*progress);
        if progress.files_done == 7 {
            flag.cancel();
        }
    });
    let snapshot = store.snapshot().unwrap();
    let error = snapshot.export(place.path("out"), &options).unwrap_err();
    assert!(error.is_interrupted(), "{error:?}");
    assert_eq!(beside(&place), before);
    assert_eq!(seen.lock().unwrap().len(), 7);
    seen.lock().unwrap().clear();
    snapshot.export(place.path("out"), &options.cancel(CancelFlag::new())).unwrap();
    let seen = seen.lock().unwrap();
    assert!(
        seen.is_sorted_by(|one, two| one.files_done < two.files_done && one.bytes_done <= two.bytes_done)
    );
    let last = seen.last().unwrap();
    assert_eq!((last.files_done, last.bytes_done), (snapshot.len(), snapshot.total_bytes()));
    assert_eq!((last.files_total, last.bytes_total), (snapshot.len(), snapshot.total_bytes()));
}

#[test]
fn an_export_is_of_its_snapshot_despite_later_commits() {
    let (place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1")]]);
    let snapshot = store.snapshot().unwrap();
    let expected = all(&snapshot);
    let options = ExportOptions::new()
        .progress(move |_| assert!(save(&store, &[("a", "2"), ("b", "2"), ("c", "2")]).generation > g(2)));
    snapshot.export(place.path("out"), &options).unwrap();
    assert_eq!(contents(&place.path("out")), expected);
}

#[test]
fn the_flag_of_the_store_ends_an_export_too() {
    let (place, _) = Place::with_commits(&[&[("a", "1"), ("b", "1")]]);
    let flag = CancelFlag::new();
    let store = Store::options().cancel(flag.clone()).open(place.store()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let before = beside(&place);
    let stop = flag.clone();
    let options = ExportOptions::new().progress(move |_| stop.cancel());
    assert!(snapshot.export(place.path("out"), &options).unwrap_err().is_interrupted());
    assert_eq!(beside(&place), before);
    flag.reset();
    assert_eq!(snapshot.export(place.path("out"), &ExportOptions::new()).unwrap().files, 2);
}
