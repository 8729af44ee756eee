//! `verify` finds every damage, and reports none in a sound store.

use std::fs;
use std::sync::{Arc, Mutex};

use crate::support::{
    Place, assert_same, clear, contents, files, flip, g, has, manifest_name, overwrite, pointer, refused,
    remove, rename, save, seal, state_of, tree, unseal,
};
use genstore::{
    CancelFlag, Error, ErrorKind, Finding, FindingKind, Progress, Severity, Store, VerifyOptions,
    VerifyReport, VerifyScope,
};

const SCOPES: [VerifyScope; 2] = [VerifyScope::Head, VerifyScope::All];

fn check(store: &Store, scope: VerifyScope, quick: bool) -> VerifyReport {
    store.verify(&VerifyOptions::new().scope(scope).quick(quick)).unwrap()
}

/// Generation 2 puts a and b, 3 changes a, 4 renames b to c, and 5 removes a.
fn place() -> (Place, Store) {
    let (place, store) = Place::with_commits(&[&[("a", "first"), ("b", "bb")], &[("a", "second!")]]);
    rename(&store, "b", "c");
    remove(&store, "a");
    (place, store)
}

#[test]
fn a_sound_store_has_no_findings_and_every_file_is_counted_once() {
    let (place, store) = place();
    let before = contents(&place.store());
    for quick in [false, true] {
        let counts = |scope| {
            let report = check(&store, scope, quick);
            assert_eq!((report.ok, report.findings), (true, vec![]));
            (report.generations, report.files, report.bytes)
        };
        assert_eq!(counts(VerifyScope::Head), (1, 1, 2), "c, which is stored as b");
        assert_eq!(counts(VerifyScope::Generation(g(2))), (1, 2, 7));
        assert_eq!(counts(VerifyScope::Generation(g(3))), (1, 2, 9));
        assert_eq!(counts(VerifyScope::Generation(g(1))), (1, 0, 0));
        assert_eq!(counts(VerifyScope::All), (5, 3, 14), "the renamed path has no file of its own");
    }
    for threads in [1, 2, 64, 1000] {
        let options = VerifyOptions::new().scope(VerifyScope::All).threads(threads);
        assert_eq!(store.verify(&options).unwrap().files, 3);
    }
    assert_same(&contents(&place.store()), &before);
    refused(store.verify(&VerifyOptions::new().scope(VerifyScope::Generation(g(9)))), ErrorKind::NotFound);
}

#[test]
fn quick_sees_lengths_and_full_sees_bytes() {
    let (place, store) = place();
    flip(&place.inside("data/b.g2"), 0);
    for scope in [VerifyScope::Head, VerifyScope::All, VerifyScope::Generation(g(4))] {
        assert!(check(&store, scope, true).ok);
        let report = check(&store, scope, false);
        let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
        assert_eq!((finding.severity, finding.kind), (Severity::Error, FindingKind::FileDamaged));
        assert_eq!((finding.path.as_deref(), finding.generation), (Some("b"), Some(g(2))));
        let expected = blake3::hash(b"bb").to_hex();
        let found = blake3::hash(b"rb").to_hex();
        assert!(
            finding.detail.contains(expected.as_str()) && finding.detail.contains(found.as_str()),
            "{finding}"
        );
        assert!(!report.ok);
    }
    overwrite(&place.inside("data/b.g2"), "bbb");
    for quick in [true, false] {
        let report = check(&store, VerifyScope::Head, quick);
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.findings[0].detail, "it has 3 bytes, and 2 bytes were committed");
    }
    clear(&place.inside("data/b.g2"));
    for quick in [true, false] {
        let report = check(&store, VerifyScope::Head, quick);
        assert!(has(&report.findings, Severity::Error, FindingKind::FileMissing, Some("b")), "{report:?}");
    }
}

#[test]
fn damage_in_earlier_generations_is_found_when_they_are_checked() {
    let (place, store) = place();
    flip(&place.inside("data/a.g2"), 0);
    clear(&place.inside("data/a.g3"));
    assert!(check(&store, VerifyScope::Head, false).ok);
    let report = check(&store, VerifyScope::All, false);
    assert_eq!(report.findings.len(), 2, "{report:?}");
    assert!(has(&report.findings, Severity::Error, FindingKind::FileDamaged, Some("a")));
    assert!(has(&report.findings, Severity::Error, FindingKind::FileMissing, Some("a")));
    assert_eq!(
        check(&store, VerifyScope::Generation(g(2)), false).findings[0].kind,
        FindingKind::FileDamaged
    );
    assert_eq!(check(&store, VerifyScope::Generation(g(3)), true).findings[0].kind, FindingKind::FileMissing);
    assert!(
        check(&store, VerifyScope::Generation(g(4)), false)
            .findings
            .iter()
            .all(|found| found.generation == Some(g(3)))
    );
}

#[test]
fn orphans_are_noted_and_left_alone() {
    let (place, store) = place();
    let orphans = [
        "notes.txt",
        "CURRENT.next",
        "data/readme",
        "data/a.g2.bak",
        "data/never.g3",
        "data/deep/a.g99",
        "manifests/old.json",
        "manifests/0000000099.json",
        "checkpoints/0000000098.jsonl",
        "checkpoints/x",
        "staging/00000000000000ab",
        "staging/x",
        "locks/x",
    ];
    for name in orphans {
        place.write(&format!("store/{name}"), "orphan");
    }
    fs::create_dir(place.inside("directory")).unwrap();
    let before = tree(&place.store());
    let report = check(&store, VerifyScope::All, false);
    assert!(report.ok && report.findings.iter().all(|found| found.severity == Severity::Note), "{report:?}");
    for name in orphans
        .into_iter()
        .filter(|name| !name.ends_with("a.g99") && !name.ends_with("99.json"))
        .chain(["directory"])
    {
        assert!(has(&report.findings, Severity::Note, FindingKind::Orphan, Some(name)), "{name}: {report:?}");
    }
    let interrupted =
        |found: &&Finding| found.kind == FindingKind::InterruptedCommit && found.generation == Some(g(99));
    assert_eq!(report.findings.iter().filter(interrupted).count(), 1, "{report:?}");
    assert_eq!(check(&store, VerifyScope::Head, true).findings.iter().filter(interrupted).count(), 1);
    // The check touched only the directory of pins.
    let mut after = tree(&place.store());
    after.insert("locks".into(), before["locks"].clone());
    assert_same(&after, &before);
    assert!(save(&store, &[("a", "and on")]).generation > g(5));
}

#[test]
fn a_check_that_is_cancelled_stops() {
    let (place, _) = Place::with_commits(&[&[("a", "1"), ("b", "1"), ("c", "1")]]);
    let own = CancelFlag::new();
    let of_the_store = CancelFlag::new();
    let store = Store::options().cancel(of_the_store.clone()).open(place.store()).unwrap();
    for flag in [&own, &of_the_store] {
        let (seen, stop) = (Arc::new(Mutex::new(0)), flag.clone());
        let count = Arc::clone(&seen);
        let options = VerifyOptions::new().threads(1).cancel(own.clone()).progress(move |progress| {
            *count.lock().unwrap() = progress.files_done;
            stop.cancel();
        });
        assert!(store.verify(&options).unwrap_err().is_interrupted());
        assert_eq!(*seen.lock().unwrap(), 2, "the second file is not read any more");
        flag.reset();
    }
    assert!(store.verify(&VerifyOptions::new().cancel(own)).unwrap().ok);
}

#[test]
fn progress_only_grows_and_ends_complete() {
    let (_place, store) = Place::with_store();
    let mut tx = store.begin().unwrap();
    for number in 0..50_usize {
        tx.put(format!("f/{number}"), vec![b'x'; number]).unwrap();
    }
    tx.commit("fifty").unwrap();
    for quick in [false, true] {
        let seen = Arc::new(Mutex::new(Vec::<Progress>::new()));
        let listener = Arc::clone(&seen);
        let options = VerifyOptions::new()
            .quick(quick)
            .threads(4)
            .progress(move |progress| listener.lock().unwrap().push(*progress));
        let report = store.verify(&options).unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 50);
        assert!(
            seen.iter()
                .enumerate()
                .all(|(at, progress)| progress.files_done == at as u64 + 1 && progress.files_total == 50)
        );
        assert!(
            seen.is_sorted_by(
                |one, two| one.bytes_done <= two.bytes_done && one.bytes_total == two.bytes_total
            )
        );
        let last = seen.last().unwrap();
        assert_eq!((last.bytes_done, last.bytes_total, report.bytes), (1225, 1225, 1225));
    }
}

#[test]
fn the_worst_finding_comes_first() {
    let (place, store) = place();
    place.write("store/orphan", "");
    flip(&place.inside("data/a.g2"), 0);
    overwrite(&place.inside("checkpoints/0000000003.jsonl"), "no checkpoint");
    let report = check(&store, VerifyScope::All, false);
    let severities: Vec<Severity> = report.findings.iter().map(|found| found.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Warning, Severity::Note], "{report:?}");
    assert_eq!(
        report.findings[0].to_string(),
        format!("error: file_damaged: a (generation 2): {}", report.findings[0].detail)
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"][1]["severity"], "warning");
    assert_eq!(json["findings"][1]["kind"], "checkpoint_damaged");
}

#[test]
fn a_damaged_pointer_is_an_error_of_every_check() {
    let (place, store) = place();
    overwrite(&place.inside("CURRENT"), "");
    for scope in SCOPES {
        for store in [&store, &place.open()] {
            let report = check(store, scope, false);
            assert!(
                !report.ok
                    && has(&report.findings, Severity::Error, FindingKind::PointerDamaged, Some("CURRENT")),
                "{report:?}"
            );
            assert_eq!(report.findings.len(), 1, "{report:?}");
        }
    }
}

#[test]
fn the_files_of_a_damaged_newest_manifest_are_no_orphans() {
    let (place, store) = Place::with_commits(&[&[("a", "1")], &[("b", "1")]]);
    drop(store);
    flip(&place.inside(&manifest_name(3)), 20);
    let report = check(&place.open(), VerifyScope::All, false);
    assert!(has(&report.findings, Severity::Error, FindingKind::ManifestDamaged, Some(&manifest_name(3))));
    assert_eq!((report.findings.len(), report.generations, report.files), (1, 2, 1), "{report:?}");
}

/// A store with one checkpoint, its number, and its newest generation.
fn with_checkpoint() -> (Place, u64, u64) {
    let (place, store) = Place::with_store();
    let mut tx = store.begin().unwrap();
    // With so many files, a few commits of one file each need no other checkpoint.
    for number in 0..1100 {
        tx.put(format!("many/{number}"), "").unwrap();
    }
    tx.commit("many").unwrap();
    // A dropped handle has written its checkpoint.
    drop(store);
    let store = place.open();
    for number in 3..13 {
        save(&store, &[(&format!("f/{}", number % 6), &number.to_string())]);
    }
    drop(store);
    assert_eq!(crate::support::names(&place.inside("checkpoints")), ["0000000002.jsonl"]);
    (place, 2, 12)
}

#[test]
fn files_that_only_a_hidden_checkpoint_names_are_checked() {
    let (place, checkpoint, _) = with_checkpoint();
    let store = place.open();
    remove(&store, "many/7");
    drop(store);
    // The manifest at the checkpoint is missing, and so is a file that the newest generation does
    // not have.
    clear(&place.inside(&manifest_name(checkpoint)));
    clear(&place.inside("data/many/7.g2"));
    let report = check(&place.open(), VerifyScope::All, false);
    let missing: Vec<_> =
        report.findings.iter().filter(|finding| finding.kind == FindingKind::FileMissing).collect();
    assert_eq!(missing.len(), 1, "{:?}", report.findings);
    assert_eq!((missing[0].path.as_deref(), missing[0].generation), (Some("many/7"), Some(g(2))));
    assert!(
        !report.findings.iter().any(|finding| finding.kind == FindingKind::Orphan),
        "{:?}",
        report.findings
    );
}

/// The history: generations, and between them the names of damaged manifests.
fn history(store: &Store) -> Vec<Result<u64, String>> {
    let name = |error: Error| error.path().unwrap().to_owned();
    store.history().unwrap().map(|entry| entry.map(|entry| entry.generation.get()).map_err(name)).collect()
}

#[test]
fn the_history_goes_on_below_a_damaged_manifest_at_the_next_checkpoint() {
    let (place, checkpoint, newest) = with_checkpoint();
    let damaged = checkpoint + 4;
    flip(&place.inside(&manifest_name(damaged)), 30);
    let expected: Vec<Result<u64, String>> = (damaged + 1..=newest)
        .rev()
        .map(Ok)
        .chain([Err(manifest_name(damaged))])
        .chain((1..=checkpoint).rev().map(Ok))
        .collect();
    // The newest state needs that manifest, so no generation above it is served.
    let store = place.open();
    let report = store.recovery().unwrap();
    assert_eq!((report.serving, report.degraded), (g(damaged - 1), true));
    assert_eq!(history(&store), (1..damaged).rev().map(Ok).collect::<Vec<_>>());

    // A handle that has read the manifest before the damage goes on.
    let (place, checkpoint_again, _) = with_checkpoint();
    assert_eq!(checkpoint_again, checkpoint);
    let store = place.open();
    flip(&place.inside(&manifest_name(damaged)), 30);
    assert_eq!(history(&store), expected);
    let all = check(&store, VerifyScope::All, false);
    assert!(!all.ok);
    assert!(
        has(&all.findings, Severity::Error, FindingKind::ManifestDamaged, Some(&manifest_name(damaged))),
        "{all:?}"
    );
    let broken: Vec<&Finding> =
        all.findings.iter().filter(|found| found.kind == FindingKind::ChainBroken).collect();
    let [broken] = broken.as_slice() else { panic!("{all:?}") };
    assert!(broken.detail.contains(&format!("above {checkpoint} and below {}", damaged + 1)), "{broken}");
    assert_eq!(all.findings.len(), 2, "a file that the gap hides is no orphan: {all:?}");
    assert_eq!(all.generations, newest - (damaged - checkpoint));
    // The generations outside the gap can be read, and none in the gap.
    for number in (1..=checkpoint).chain([newest]) {
        assert_eq!(store.snapshot_at(g(number)).unwrap().generation(), g(number));
    }
    for number in checkpoint + 1..=damaged {
        assert_eq!(
            refused(store.snapshot_at(g(number)), ErrorKind::Corrupt).path(),
            Some(manifest_name(damaged).as_str())
        );
    }
    refused(store.resolve(format!("latest~{}", newest - damaged)), ErrorKind::Corrupt);
    assert_eq!(store.resolve(format!("latest~{}", newest - damaged - 1)).unwrap(), g(damaged + 1));
}

#[test]
fn without_a_checkpoint_below_the_chain_ends_at_the_damage() {
    let (place, store) = place();
    flip(&place.inside(&manifest_name(3)), 20);
    assert_eq!(history(&store), [Ok(5), Ok(4), Err(manifest_name(3))]);
    let report = check(&store, VerifyScope::All, false);
    let kinds: Vec<FindingKind> = report.findings.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [FindingKind::ManifestDamaged, FindingKind::ChainBroken], "{report:?}");
    assert!(report.findings[1].detail.contains("above 0 and below 4"), "{report:?}");
    fs::remove_file(place.inside(&manifest_name(3))).unwrap();
    let report = check(&store, VerifyScope::All, true);
    assert!(
        has(&report.findings, Severity::Error, FindingKind::ManifestMissing, Some(&manifest_name(3))),
        "{report:?}"
    );
    assert!(check(&store, VerifyScope::Head, false).ok, "the latest generation is intact");
    assert_eq!(state_of(&store.snapshot().unwrap()), files(&[("c", "bb")]));
}

#[test]
fn two_generations_that_contradict_each_other_are_found() {
    // Each manifest is well-formed and the chain holds. A faulty program could write them.
    let (place, store) = Place::with_commits(&[&[("a", "11")], &[("b", "1")]]);
    drop(store);
    let newest = place.inside(&manifest_name(3));
    let mut manifest = unseal(&fs::read(&newest).unwrap());
    let hash = blake3::hash(b"22").to_hex().to_string();
    manifest["changes"] =
        serde_json::json!([{"put": "b", "bytes": 2, "blake3": hash, "from": 2, "stored_as": "a"}]);
    manifest["bytes"] = 4.into();
    let bytes = seal(&format!("{manifest}\n"));
    overwrite(&newest, &bytes);
    overwrite(&place.inside("CURRENT"), pointer(3, &bytes));
    let report = check(&place.open(), VerifyScope::All, false);
    assert!(!report.ok, "{report:?}");
    assert!(
        report.findings.iter().any(|found| found.detail.contains("different content for the same file")),
        "{report:?}"
    );
}

#[test]
fn a_store_can_be_checked_while_others_commit() {
    let (place, store) = Place::with_commits(&[&[("a", "0")]]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (1..=60).for_each(|number| assert!(save(&store, &[("a", &number.to_string())]).changed))
        });
        let reader = place.open();
        while !writer.is_finished() {
            let report = check(&reader, VerifyScope::All, false);
            assert!(report.ok, "{report:?}");
        }
    });
    drop(store);
    assert_eq!(check(&place.open(), VerifyScope::All, false).findings, []);
}
