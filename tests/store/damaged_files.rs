//! A damaged file costs that file and no other, and no link planted in a store leads out of it.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::support::{
    Place, assert_same, clear, contents, fifo, files, flip, g, has, link, names, overwrite, refused, remove,
    rename, save, state, text, tree,
};
use genstore::{Error, ErrorKind, FindingKind, Provenance, Severity, VerifyOptions};

/// Generation 2 is `a` = first, 3 is `a` = second, 4 is `a` = third; `other` stays.
fn place() -> Place {
    let first: &[(&str, &str)] = &[("directory/a", "first"), ("other", "kept")];
    Place::with_commits(&[first, &[("directory/a", "second")], &[("directory/a", "third")]]).0
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

#[test]
fn every_kind_of_damage_is_named_and_nothing_else_is_lost() {
    type Expected = (FindingKind, fn() -> (String, String));
    let lengths = || ("5 bytes".to_owned(), "2 bytes".to_owned());
    let nothing = || (hash(b"third"), "nothing".to_owned());
    let damages: [(&str, fn(&Path), Expected); 9] = [
        (
            "flipped",
            |file| overwrite(file, "thirD"),
            (FindingKind::FileDamaged, || (hash(b"third"), hash(b"thirD"))),
        ),
        ("cut", truncate_to_two, (FindingKind::FileDamaged, lengths)),
        (
            "empty",
            |file| overwrite(file, ""),
            (FindingKind::FileDamaged, || ("5 bytes".into(), "0 bytes".into())),
        ),
        (
            "longer",
            |file| overwrite(file, "third!"),
            (FindingKind::FileDamaged, || ("5 bytes".into(), "6 bytes".into())),
        ),
        ("missing", clear, (FindingKind::FileMissing, nothing)),
        (
            "directory",
            |file| {
                clear(file);
                fs::create_dir(file).unwrap()
            },
            (FindingKind::FileDamaged, nothing),
        ),
        ("FIFO", fifo, (FindingKind::FileDamaged, nothing)),
        (
            "link to the same bytes",
            |file| {
                let outside = file.ancestors().nth(4).unwrap().join("outside");
                fs::write(&outside, "third").unwrap();
                link(file, &outside);
            },
            (FindingKind::FileDamaged, nothing),
        ),
        (
            "link in place of the directory",
            |file| {
                let directory = file.parent().unwrap();
                let outside = file.ancestors().nth(4).unwrap().join("moved out");
                fs::rename(directory, &outside).unwrap();
                link(directory, &outside);
            },
            (FindingKind::FileDamaged, nothing),
        ),
    ];
    for (name, damage, (kind, facts)) in damages {
        let place = place();
        damage(&place.inside("data/directory/a.g4"));
        let before = contents(&place.store());
        let store = place.open();
        assert_eq!(store.recovery(), None, "{name}: a file costs the file, not the store");
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.generation(), g(4));
        assert_eq!(snapshot.get("other").unwrap(), b"kept", "{name}");
        let is_directory = name == "link in place of the directory";
        let check = |error: Error| {
            assert_eq!((error.path(), error.generation()), (Some("directory/a"), Some(g(4))), "{name}");
            let (expected, found) = facts();
            assert_eq!(
                (error.expected(), error.found()),
                (Some(expected.as_str()), Some(found.as_str())),
                "{name}"
            );
            assert_eq!(error.intact(), if is_directory { None } else { Some(g(3)) }, "{name}");
            assert!(error.consequence().contains("every other file can still be read"));
        };
        check(refused(snapshot.get("directory/a"), ErrorKind::Corrupt));
        check(refused(snapshot.reader("directory/a"), ErrorKind::Corrupt));
        check(refused(snapshot.get_json::<String>("directory/a"), ErrorKind::Corrupt));
        check(refused(store.begin().unwrap().get("directory/a"), ErrorKind::Corrupt));

        let recovered = snapshot.get_or_recover("directory/a", b"default").unwrap();
        if is_directory {
            assert_eq!(recovered, (b"default".to_vec(), Provenance::Default), "{name}");
        } else {
            assert_eq!(recovered, (b"second".to_vec(), Provenance::Recovered { generation: g(3) }), "{name}");
            assert_eq!(store.snapshot_at("3").unwrap().get("directory/a").unwrap(), b"second", "{name}");
        }
        assert_eq!(snapshot.get_or_recover("other", b"").unwrap(), (b"kept".to_vec(), Provenance::Current));
        assert_eq!(
            snapshot.get_or_recover("no such path", b"d").unwrap(),
            (b"d".to_vec(), Provenance::Default)
        );
        refused(snapshot.get_or_recover("../x", b""), ErrorKind::Invalid);

        let report = store.verify(&VerifyOptions::new()).unwrap();
        assert!(
            !report.ok && has(&report.findings, Severity::Error, kind, Some("directory/a")),
            "{name}: {report:?}"
        );
        drop(snapshot);
        assert_same(&contents(&place.store()), &before);
        // Other files can be committed, and the evidence stays.
        assert!(save(&store, &[("other", "new")]).changed, "{name}");
        let after = contents(&place.store());
        assert_eq!(after.get("data/directory/a.g4"), before.get("data/directory/a.g4"), "{name}");
    }
}

fn truncate_to_two(file: &Path) {
    overwrite(file, "th");
}

#[test]
fn the_newest_intact_version_is_offered_and_the_default_is_the_last_resort() {
    let place = place();
    let store = place.open();
    let recover = || store.snapshot().unwrap().get_or_recover("directory/a", b"default").unwrap();
    flip(&place.inside("data/directory/a.g4"), 0);
    flip(&place.inside("data/directory/a.g3"), 0);
    assert_eq!(
        refused(store.snapshot().unwrap().get("directory/a"), ErrorKind::Corrupt).intact(),
        Some(g(2))
    );
    assert_eq!(recover(), (b"first".to_vec(), Provenance::Recovered { generation: g(2) }));
    clear(&place.inside("data/directory/a.g2"));
    let error = refused(store.snapshot().unwrap().get("directory/a"), ErrorKind::Corrupt);
    assert_eq!(error.intact(), None);
    assert!(error.advice().contains("no other version"), "{}", error.advice());
    assert_eq!(recover(), (b"default".to_vec(), Provenance::Default));
    // A snapshot recovers earlier versions only. The error also names a later one.
    save(&store, &[("directory/a", "fourth")]);
    let error = refused(store.snapshot_at("4").unwrap().get("directory/a"), ErrorKind::Corrupt);
    assert_eq!(error.intact(), Some(g(5)));
    let old = store.snapshot_at("4").unwrap();
    assert_eq!(old.get_or_recover("directory/a", b"default").unwrap().1, Provenance::Default);
    assert_eq!(store.snapshot().unwrap().get_or_recover("directory/a", b"").unwrap().1, Provenance::Current);
}

#[test]
fn a_version_that_was_removed_and_put_again_in_between_is_still_a_version() {
    let (place, store) = Place::with_commits(&[&[("a", "\"first\"")]]);
    remove(&store, "a");
    save(&store, &[("a", "\"second\"")]);
    rename(&store, "a", "b");
    rename(&store, "b", "a");
    flip(&place.inside("data/a.g4"), 0);
    let (value, provenance) = store.snapshot().unwrap().get_json_or_recover("a", String::new).unwrap();
    assert_eq!((value.as_str(), provenance), ("first", Provenance::Recovered { generation: g(2) }));
    let (value, provenance) = store.snapshot().unwrap().get_json_or_recover("a", || vec![7]).unwrap();
    assert_eq!(
        (value, provenance),
        (vec![7], Provenance::Default),
        "a version that is not the JSON asked for is none"
    );
}

#[test]
fn a_renamed_file_is_damaged_under_its_new_name() {
    let (place, store) = Place::with_commits(&[&[("old", "bytes")]]);
    rename(&store, "old", "new");
    flip(&place.inside("data/old.g2"), 2);
    let error = refused(store.snapshot().unwrap().get("new"), ErrorKind::Corrupt);
    assert_eq!((error.path(), error.generation()), (Some("new"), Some(g(2))));
}

#[test]
fn a_lost_file_can_be_put_again_from_a_copy() {
    // The error advises this. The same content must not count as unchanged.
    let (place, store) = Place::with_commits(&[&[("a", "bytes"), ("b", "bytes of b"), ("c", "C")]]);
    let copy = place.write("copy/b", "bytes of b");
    flip(&place.inside("data/a.g2"), 0);
    flip(&place.inside("data/b.g2"), 0);
    clear(&place.inside("data/c.g2"));
    let error = refused(store.snapshot().unwrap().get("a"), ErrorKind::Corrupt);
    assert!(error.advice().contains("restore the file from a copy"), "{}", error.advice());
    save(&store, &[("a", "bytes")]);
    assert_eq!(text(&store, "a"), "bytes");
    let mut tx = store.begin().unwrap();
    tx.put_file("b", &copy).unwrap();
    tx.put_reader("c", "C".as_bytes()).unwrap();
    tx.commit("from a copy").unwrap();
    assert_eq!(state(&place.open()), files(&[("a", "bytes"), ("b", "bytes of b"), ("c", "C")]));
    assert!(store.verify(&VerifyOptions::new()).unwrap().ok);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let (place, store) = Place::with_store();
    let bytes = crate::support::Noise::bytes(300_000);
    let mut tx = store.begin().unwrap();
    tx.put("large", bytes.clone()).unwrap();
    tx.commit("large").unwrap();
    let mut reader = store.snapshot().unwrap().reader("large").unwrap();
    let mut start = vec![0; 1000];
    reader.read_exact(&mut start).unwrap();
    assert_eq!(start, bytes[..1000]);
    // The open file changes in place, as on a failing disk.
    let file = place.inside("data/large.g2");
    let mut permissions = fs::metadata(&file).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    fs::set_permissions(&file, permissions).unwrap();
    let writer = fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&writer, b"changed", 250_000).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_link_planted_in_the_store_leads_nowhere() {
    let (place, store) = Place::with_commits(&[&[("kept", "1")]]);
    let outside = place.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x.g3"), "not ours").unwrap();
    link(&place.inside("data/directory"), &outside);
    let before = (tree(&outside), contents(&place.store()));
    for content in [vec![b'y'; 10], vec![b'y'; 100_000]] {
        for path in ["directory/y", "directory/x", "directory/deeper/y"] {
            let mut tx = store.begin().unwrap();
            tx.put(path, content.clone()).unwrap();
            let error = refused(tx.commit("through the link"), ErrorKind::Io);
            assert!(error.to_string().contains("not a directory"), "{error}");
        }
    }
    assert_same(&tree(&outside), &before.0);
    assert_same(&contents(&place.store()), &before.1);
    assert_eq!(names(&place.inside("manifests")).len(), 2, "the failed commits left no manifest");
    assert!(save(&store, &[("kept", "2")]).changed, "the handle stays usable");
    assert!(has(
        &store.verify(&VerifyOptions::new().scope(genstore::VerifyScope::All)).unwrap().findings,
        Severity::Note,
        FindingKind::Orphan,
        Some("data/directory"),
    ));
}

#[test]
fn directories_of_the_store_that_are_links_lead_nowhere() {
    for directory in ["data", "manifests", "staging", "locks", "checkpoints"] {
        let (place, store) = Place::with_commits(&[&[("kept", "1")]]);
        let outside = place.path("outside");
        fs::rename(place.inside(directory), &outside).unwrap();
        link(&place.inside(directory), &outside);
        let before = tree(&outside);
        if let Ok(mut tx) = store.begin() {
            let staged = tx.put_reader("large", crate::support::Noise::new(100_000));
            let committed = tx.put("small", "1").and_then(|()| tx.commit("through the link"));
            assert_eq!(staged.is_ok() && committed.is_ok(), directory == "checkpoints", "{directory}");
        }
        assert_same(&tree(&outside), &before);
    }
}

#[test]
fn names_that_a_commit_needs_are_not_followed_when_they_are_links() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    let victim = place.write("victim", "precious");
    link(&place.inside("CURRENT.next"), &victim);
    link(&place.inside("data/a.g3"), &victim);
    link(&place.inside("manifests/0000000004.json"), &victim);
    let commit = save(&store, &[("a", "2")]);
    assert_eq!(commit.generation, g(5), "both names were taken");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(text(&place.open(), "a"), "2");
    assert!(place.inside("CURRENT").symlink_metadata().unwrap().is_file());
    clear(&place.inside("locks/writer"));
    link(&place.inside("locks/writer"), &victim);
    let mut tx = store.begin().unwrap();
    tx.put("a", "3").unwrap();
    refused(tx.commit("a lock elsewhere"), ErrorKind::Io);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}
