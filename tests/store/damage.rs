//! A store whose pointer, newest manifest or checkpoints are damaged: the generation served, the
//! report, and that reading changes nothing on disk.
//!
//! `crates/proof/tests/damage/` tries every damage. These tests check the reports of some, and
//! damage to several files.

use std::fs;
use std::path::Path;

use crate::support::{
    Place, assert_same, clear, contents, copy_dir, fifo, files, flip, g, has, link, manifest_name, overwrite,
    pointer, refused, save, seal, state, tree, truncate, unseal,
};
use genstore::{ErrorKind, FindingKind, Health, RecoveryReport, Severity, Store, VerifyOptions, VerifyScope};
use serde_json::Value;

/// Generation 2 is `a` = 1, 3 is `a` = 2, 4 is `b` = 1.
fn place() -> Place {
    Place::with_commits(&[&[("a", "1")], &[("a", "2")], &[("b", "1")]]).0
}

/// Opens the damaged store. Checks that reading changes no byte, name or time, and that nothing can
/// be committed.
fn look(place: &Place, serving: u64) -> RecoveryReport {
    let before = tree(&place.store());
    let store = place.open();
    assert_same(&tree(&place.store()), &before);
    let report = store.recovery().expect("there is something to report");
    assert_same(&tree(&place.store()), &before);
    assert_eq!((report.serving, report.degraded), (g(serving), true), "{report:?}");
    assert_eq!(report.findings[0].severity, Severity::Error);

    let before = contents(&place.store());
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.generation(), g(serving));
    let status = store.status().unwrap();
    assert_eq!((status.generation, status.health), (g(serving), Health::Degraded));
    assert_eq!(status.findings, report.findings);
    let verified = store.verify(&VerifyOptions::new().scope(VerifyScope::All)).unwrap();
    assert!(!verified.ok);
    assert!(report.findings.iter().all(|finding| verified.findings.contains(finding)), "{verified:?}");

    // A commit, a rollback and the creation of a store change nothing.
    let mut tx = store.begin().unwrap();
    tx.put("a", "lost").unwrap();
    tx.put_reader("c", crate::support::Noise::new(100_000)).unwrap();
    let error = refused(tx.commit("on a damaged store"), ErrorKind::Corrupt);
    assert!(error.to_string().contains("nothing can be committed"), "{error}");
    refused(store.rollback("1", "no"), ErrorKind::Corrupt);
    assert!(Store::create(place.store()).is_err());
    assert!(Store::open_or_create(place.store()).unwrap().recovery().is_some());
    assert_same(&contents(&place.store()), &before);
    report
}

fn expected(generation: u64) -> std::collections::BTreeMap<String, String> {
    match generation {
        1 => files(&[]),
        2 => files(&[("a", "1")]),
        3 => files(&[("a", "2")]),
        _ => files(&[("a", "2"), ("b", "1")]),
    }
}

#[test]
fn a_damaged_pointer_costs_nothing_that_was_committed() {
    let damages: [(&str, fn(&Path), FindingKind); 8] = [
        ("missing", |file| fs::remove_file(file).unwrap(), FindingKind::PointerMissing),
        ("empty", |file| overwrite(file, ""), FindingKind::PointerDamaged),
        (
            "CRLF",
            |file| overwrite(file, fs::read_to_string(file).unwrap().replace('\n', "\r\n")),
            FindingKind::PointerDamaged,
        ),
        (
            "no newline",
            |file| overwrite(file, fs::read_to_string(file).unwrap().trim_end()),
            FindingKind::PointerDamaged,
        ),
        ("not UTF-8", |file| overwrite(file, [0xff; 50]), FindingKind::PointerDamaged),
        ("too long", |file| overwrite(file, vec![b'x'; 1 << 20]), FindingKind::PointerDamaged),
        ("generation 0", |file| overwrite(file, pointer(0, b"")), FindingKind::PointerDamaged),
        ("FIFO", fifo, FindingKind::PointerDamaged),
    ];
    for (name, damage, kind) in damages {
        let place = place();
        damage(&place.inside("CURRENT"));
        let report = look(&place, 4);
        assert_eq!(report.findings.len(), 1, "{name}: {report:?}");
        assert!(has(&report.findings, Severity::Error, kind, Some("CURRENT")), "{name}: {report:?}");
        assert_eq!(state(&place.open()), expected(4), "{name}");
    }
}

#[test]
fn a_damaged_newest_manifest_costs_its_generation() {
    let damages: [(&str, fn(&Path), FindingKind); 3] = [
        ("missing", |file| fs::remove_file(file).unwrap(), FindingKind::ManifestMissing),
        ("flipped", |file| flip(file, 40), FindingKind::ManifestDamaged),
        (
            "a well-formed forgery",
            |file| {
                let mut manifest = unseal(&fs::read(file).unwrap());
                manifest["message"] = "forged".into();
                overwrite(file, seal(&format!("{manifest}\n")));
            },
            FindingKind::ManifestDamaged,
        ),
    ];
    for (name, damage, kind) in damages {
        let place = place();
        damage(&place.inside(&manifest_name(4)));
        // A forgery is well-formed, but the intact pointer has another hash, so it is not served.
        let report = look(&place, 3);
        assert!(has(&report.findings, Severity::Error, kind, Some(&manifest_name(4))), "{name}: {report:?}");
        assert_eq!(state(&place.open()), expected(3), "{name}");
    }
}

#[test]
fn pointer_and_newest_manifest_damaged_together() {
    let place = place();
    overwrite(&place.inside("CURRENT"), "");
    flip(&place.inside(&manifest_name(4)), 10);
    let report = look(&place, 3);
    assert_eq!(report.findings.len(), 2, "{report:?}");
    assert!(has(&report.findings, Severity::Error, FindingKind::PointerDamaged, Some("CURRENT")));
    assert!(has(&report.findings, Severity::Error, FindingKind::ManifestDamaged, Some(&manifest_name(4))));
    flip(&place.inside(&manifest_name(3)), 10);
    assert_eq!(look(&place, 2).findings.len(), 3);
    fs::remove_file(place.inside(&manifest_name(2))).unwrap();
    look(&place, 1);
    truncate(&place.inside(&manifest_name(1)));
    let before = tree(&place.store());
    let error = refused(Store::open(place.store()), ErrorKind::Corrupt);
    assert!(error.to_string().contains("no generation of the store"), "{error}");
    assert!(Store::create(place.store()).is_err() && Store::open_or_create(place.store()).is_err());
    assert_same(&tree(&place.store()), &before);
}

#[test]
fn something_else_in_place_of_the_manifests_is_damage() {
    let place = place();
    clear(&place.inside("manifests"));
    fs::write(place.inside("manifests"), "not a directory").unwrap();
    let before = tree(&place.store());
    let error = refused(Store::open(place.store()), ErrorKind::Corrupt);
    assert!(error.to_string().contains("manifests is not a directory"), "{error}");
    assert_same(&tree(&place.store()), &before);
}

#[test]
fn without_a_pointer_a_torn_commit_is_not_served() {
    // Generation 4 was being committed: its manifest is whole, and its file did not reach the disk.
    let torn: [fn(&Path); 3] = [|file| fs::remove_file(file).unwrap(), truncate, |file| flip(file, 0)];
    for damage in torn {
        let place = place();
        fs::remove_file(place.inside("CURRENT")).unwrap();
        damage(&place.inside("data/b.g4"));
        look(&place, 3);
        assert_eq!(state(&place.open()), expected(3));
    }
    // A later generation shows that generation 4 was committed. Its damaged file then costs only
    // that file.
    let place = place();
    save(&place.open(), &[("c", "1")]);
    fs::remove_file(place.inside("CURRENT")).unwrap();
    fs::remove_file(place.inside("data/b.g4")).unwrap();
    look(&place, 5);
}

#[test]
fn a_pointer_that_comes_back_ends_the_degradation_of_an_open_handle() {
    let place = place();
    let file = place.inside("CURRENT");
    let good = fs::read(&file).unwrap();
    let opened_before = place.open();
    overwrite(&file, "torn");
    let opened_damaged = place.open();
    assert_eq!(opened_before.recovery(), None, "it has not looked since");
    assert!(opened_damaged.recovery().unwrap().degraded);
    for store in [&opened_before, &opened_damaged] {
        assert_eq!(state(store), expected(4));
        assert!(store.recovery().unwrap().degraded);
        let mut tx = store.begin().unwrap();
        tx.put("x", "").unwrap();
        refused(tx.commit("refused"), ErrorKind::Corrupt);
    }
    overwrite(&file, good);
    for (store, path) in [(&opened_before, "x"), (&opened_damaged, "y")] {
        assert!(store.recovery().unwrap().degraded, "it has not looked since");
        assert!(save(store, &[(path, "1")]).changed);
        assert_eq!(store.recovery(), None);
    }
    assert_eq!(place.open().recovery(), None);
}

/// A store with checkpoints, their numbers, and the newest generation.
fn with_checkpoint() -> (Place, Vec<u64>, u64) {
    let (place, store) = Place::with_store();
    for number in 2..40 {
        save(&store, &[(&format!("f/{}", number % 6), &number.to_string())]);
    }
    drop(store);
    let names = crate::support::names(&place.inside("checkpoints"));
    let numbers: Vec<u64> =
        names.iter().map(|name| name.strip_suffix(".jsonl").unwrap().parse().unwrap()).collect();
    assert!(!numbers.is_empty());
    (place, numbers, 39)
}

#[test]
fn a_damaged_checkpoint_costs_nothing_but_a_warning() {
    let damages: [(&str, fn(&Path)); 2] = [
        ("flipped", |file| flip(file, 200)),
        ("a newer format", |file| {
            overwrite(file, fs::read_to_string(file).unwrap().replace("\"format\":1", "\"format\":2"));
        }),
    ];
    let (whole, checkpoints, newest) = with_checkpoint();
    let expected = state(&whole.open());
    for (name, damage) in damages {
        let place = Place::new();
        copy_dir(&whole.store(), &place.store());
        let checkpoint = format!("checkpoints/{:010}.jsonl", checkpoints.last().unwrap());
        damage(&place.inside(&checkpoint));
        let before = tree(&place.store());
        let store = place.open();
        let report = store.recovery().unwrap();
        assert_same(&tree(&place.store()), &before);
        assert_eq!((report.serving, report.degraded, report.findings.len()), (g(newest), false, 1), "{name}");
        assert!(
            has(&report.findings, Severity::Warning, FindingKind::CheckpointDamaged, Some(&checkpoint)),
            "{name}"
        );
        assert_eq!(state(&store), expected, "{name}");
        assert_eq!(store.status().unwrap().health, Health::Ok);
        for scope in [VerifyScope::Head, VerifyScope::All] {
            let verified = store.verify(&VerifyOptions::new().scope(scope)).unwrap();
            assert!(verified.ok, "{name}: {verified:?}");
            assert!(
                has(&verified.findings, Severity::Warning, FindingKind::CheckpointDamaged, Some(&checkpoint)),
                "{name}"
            );
        }
        assert!(save(&store, &[("new", "1")]).changed, "{name}: committing goes on");
        for number in 2..=newest {
            assert_eq!(store.snapshot_at(g(number)).unwrap().generation(), g(number), "{name}");
        }
    }
}

#[test]
fn a_copy_that_lost_its_empty_directories_gets_them_back() {
    // Many tools that copy or archive a directory leave out empty ones.
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    drop(store);
    for directory in ["checkpoints", "quarantine", "staging", "locks"] {
        clear(&place.inside(directory));
    }
    let store = place.open();
    assert_eq!((store.recovery(), state(&store)), (None, files(&[("a", "1")])));
    let mut tx = store.begin().unwrap();
    tx.put_reader("large", crate::support::Noise::new(100_000)).unwrap();
    tx.commit("staged").unwrap();
    for number in 0..40 {
        save(&store, &[("more", &number.to_string())]);
    }
    drop(store);
    let directory = place.inside("checkpoints");
    assert!(
        directory.is_dir() && !crate::support::names(&directory).is_empty(),
        "without checkpoints every opening reads all manifests"
    );
}

#[test]
fn a_well_formed_checkpoint_that_lies_is_found_by_a_check_of_everything() {
    let (place, checkpoints, _) = with_checkpoint();
    let file = place.inside(&format!("checkpoints/{:010}.jsonl", checkpoints[0]));
    let text = fs::read_to_string(&file).unwrap();
    let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
    // The totals stay the same, and two files swap their content.
    let mut lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let one = lines[1]["blake3"].clone();
    lines[1]["blake3"] = lines[2]["blake3"].clone();
    lines[2]["blake3"] = one;
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    overwrite(&file, seal(&lines));
    let verified = place.open().verify(&VerifyOptions::new().scope(VerifyScope::All)).unwrap();
    assert!(
        verified.findings.iter().any(|finding| finding.kind == FindingKind::CheckpointDamaged),
        "{verified:?}"
    );
}

#[test]
fn a_damaged_old_manifest_below_a_checkpoint_leaves_the_newest_state_readable() {
    let (place, checkpoints, newest) = with_checkpoint();
    let expected = state(&place.open());
    let below = checkpoints[0] - 3;
    flip(&place.inside(&manifest_name(below)), 30);
    let store = place.open();
    assert_eq!(store.recovery(), None, "the newest state does not need the damaged manifest");
    assert_eq!((state(&store), store.snapshot().unwrap().generation()), (expected, g(newest)));
    assert!(save(&store, &[("new", "1")]).changed);
    // The generations below the damage cannot be reached.
    for number in [below, below - 1, 2] {
        let error = refused(store.snapshot_at(g(number)), ErrorKind::Corrupt);
        assert_eq!(error.path(), Some(manifest_name(below).as_str()));
    }
    assert_eq!(store.snapshot_at(g(checkpoints[0])).unwrap().generation().get(), checkpoints[0]);
}

#[test]
fn a_newer_format_is_refused_with_its_number_and_left_alone() {
    let place = place();
    let newest = fs::read(place.inside(&manifest_name(4))).unwrap();
    let newer =
        String::from_utf8(pointer(4, &newest)).unwrap().replace("\"format\":1", "\"format\":7,\"other\":[]");
    let (body, _) = newer.trim_end().rsplit_once('\n').unwrap();
    overwrite(&place.inside("CURRENT"), seal(&format!("{body}\n")));
    let before = tree(&place.store());
    let calls: [fn(&Path) -> genstore::Result<Store>; 2] =
        [|dir| Store::open(dir), |dir| Store::open_or_create(dir)];
    for open in calls {
        let error = refused(open(&place.store()), ErrorKind::Unsupported);
        assert_eq!(error.path(), Some("CURRENT"));
        assert!(error.to_string().contains("format 7"), "{error}");
    }
    assert_same(&tree(&place.store()), &before);

    let mut manifest = unseal(&newest);
    manifest["format"] = 8.into();
    let bytes = seal(&format!("{manifest}\n"));
    overwrite(&place.inside(&manifest_name(4)), &bytes);
    overwrite(&place.inside("CURRENT"), pointer(4, &bytes));
    let error = refused(Store::open(place.store()), ErrorKind::Unsupported);
    assert_eq!(error.path(), Some(manifest_name(4).as_str()));
    assert!(error.to_string().contains("format 8"), "{error}");
}

#[test]
fn a_handle_that_is_open_refuses_a_newer_format_too() {
    let place = place();
    let store = place.open();
    save(&place.open(), &[("c", "1")]);
    crate::support::rewrite_newest(&place, |manifest| manifest["format"] = 2.into());
    refused(store.snapshot(), ErrorKind::Unsupported);
    refused(store.begin(), ErrorKind::Unsupported);
}

#[test]
fn a_restored_older_pointer_does_not_discard_later_commits() {
    let (place, store) = Place::with_store();
    save(&store, &[("a", "1")]);
    let old = fs::read(place.inside("CURRENT")).unwrap();
    // A failed commit leaves a gap in the numbers.
    fs::create_dir(place.inside("CURRENT.next")).unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("a", "fails").unwrap();
    refused(tx.commit("fails"), ErrorKind::Io);
    fs::remove_dir(place.inside("CURRENT.next")).unwrap();
    for content in ["2", "3", "4"] {
        save(&store, &[("a", content)]);
    }
    assert!(!place.inside(&manifest_name(3)).exists() && place.inside(&manifest_name(6)).exists());
    overwrite(&place.inside("CURRENT"), &old);
    assert_eq!(refused(store.snapshot(), ErrorKind::Corrupt).generation().unwrap().get(), 6);
    let before = contents(&place.store());
    let store = place.open();
    assert_eq!(store.snapshot().unwrap().generation().get(), 6);
    assert_eq!(state(&store), files(&[("a", "4")]));
    let report = store.recovery().unwrap();
    assert!(report.degraded && report.findings[0].detail.contains("older copy of itself"), "{report:?}");
    let mut tx = store.begin().unwrap();
    tx.put("a", "5").unwrap();
    let error = refused(tx.commit("no"), ErrorKind::Corrupt);
    assert!(error.advice().contains("older CURRENT"), "{}", error.advice());
    assert_eq!(contents(&place.store()), before);
    assert!(!store.verify(&VerifyOptions::new()).unwrap().ok);
}

#[test]
fn a_manifest_that_the_chain_refutes_is_not_served_when_the_pointer_is_gone() {
    let (place, store) = Place::with_commits(&[&[("a", "good")]]);
    copy_dir(&place.store(), &place.path("other"));
    for content in ["3", "4", "5"] {
        save(&store, &[("a", content)]);
    }
    let other = Store::open(place.path("other")).unwrap();
    save(&other, &[("a", "forged")]);
    drop((store, other));
    for name in [manifest_name(3), "data/a.g3".to_owned()] {
        overwrite(&place.inside(&name), fs::read(place.path("other").join(&name)).unwrap());
    }
    clear(&place.inside("CURRENT"));
    let store = place.open();
    assert_eq!(state(&store), files(&[("a", "good")]));
    assert_eq!(store.recovery().unwrap().serving, g(2));
}

#[test]
fn damaged_locks_do_not_stop_a_reader() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    drop(store);
    link(&place.inside("locks/pin-2"), &place.write("outside", "kept"));
    assert_eq!(state(&place.open()), files(&[("a", "1")]));
    fs::remove_dir_all(place.inside("locks")).unwrap();
    fs::write(place.inside("locks"), "not a directory").unwrap();
    let store = place.open();
    assert_eq!(state(&store), files(&[("a", "1")]));
    let mut tx = store.begin().unwrap();
    tx.put("a", "2").unwrap();
    refused(tx.commit("without a lock"), ErrorKind::Io);
    assert_eq!(state(&store), files(&[("a", "1")]));
    assert_eq!(fs::read(place.path("outside")).unwrap(), b"kept");
}
