//! Every way to name a generation, and numbers that name none.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{
    Place, assert_same, copy_dir, files, g, has, manifest_name, overwrite, pointer, refused, restart_machine,
    save, seal, state_of, tree, unseal,
};
use genstore::{ErrorKind, FindingKind, Revision, Severity, VerifyOptions, VerifyReport, VerifyScope};

fn verify_all(store: &genstore::Store) -> VerifyReport {
    store.verify(&VerifyOptions::new().scope(VerifyScope::All)).unwrap()
}

/// A store whose generations 2, 3 and 4 have these times.
fn at_times() -> Place {
    let (place, store) = Place::with_commits(&[&[("a", "2")]]);
    drop(store);
    let set = |time: &str| crate::support::rewrite_newest(&place, |manifest| manifest["time"] = time.into());
    // Generation 1 is created now, so the others are later.
    set("2095-05-05T10:00:00.000Z");
    save(&place.open(), &[("a", "3")]);
    set("2095-05-05T10:00:00.500Z");
    save(&place.open(), &[("a", "4")]);
    set("2095-05-06T00:00:00.000Z");
    place
}

#[test]
fn numbers_and_steps_name_generations() {
    let (place, _) = Place::with_commits(&[&[("a", "2")], &[("a", "3"), ("b", "3")], &[("c", "4")]]);
    let store = place.open();
    let content = |revision: &str| state_of(&store.snapshot_at(revision).unwrap());
    assert_eq!(content("1"), files(&[]));
    assert_eq!(content("2"), files(&[("a", "2")]));
    assert_eq!(content("3"), files(&[("a", "3"), ("b", "3")]));
    assert_eq!(content("latest"), files(&[("a", "3"), ("b", "3"), ("c", "4")]));
    assert_eq!(content("4"), content("latest~0"));
    assert_eq!(content("3"), content("latest~1"));
    assert_eq!(content("1"), content("latest~3"));
    assert_eq!(store.snapshot_at(g(2)).unwrap().generation(), g(2));
    assert_eq!(store.snapshot_at(Revision::Back(2)).unwrap().generation(), g(2));
    assert_eq!(store.resolve(String::from("latest~1")).unwrap(), g(3));
    assert_eq!(store.show("3").unwrap().put.len(), 2);
    for missing in ["5", "9999999999", "latest~4", "latest~18446744073709551615"] {
        let error = refused(store.snapshot_at(missing), ErrorKind::NotFound);
        assert!(error.to_string().contains(missing), "{error}");
        refused(store.resolve(missing), ErrorKind::NotFound);
        refused(store.show(missing), ErrorKind::NotFound);
    }
    for wrong in ["", "0", "latest~", "10000000000", "yesterday", "-1"] {
        refused(store.snapshot_at(wrong), ErrorKind::Invalid);
    }
}

#[test]
fn a_time_names_the_newest_generation_that_is_not_later() {
    let place = at_times();
    let store = place.open();
    for (revision, expected) in [
        // Without a fraction, all of that second.
        ("2095-05-05T10:00:00Z", 3),
        ("2095-05-05T12:00:00+02:00", 3),
        ("2095-05-05T10:00:00.0Z", 2),
        ("2095-05-05T10:00:00.499Z", 2),
        ("2095-05-05T10:00:00.500Z", 3),
        ("2095-05-05", 3),
        ("2095-05-06T00:00:00Z", 4),
        ("2095-05-06", 4),
        ("2096-01-01", 4),
        ("2095-05-04", 1),
        ("2095-05-05T09:59:59.999Z", 1),
    ] {
        assert_eq!(store.resolve(revision).unwrap(), g(expected), "{revision}");
    }
    let error = refused(store.resolve("2001-01-01"), ErrorKind::NotFound);
    assert!(error.to_string().contains("every generation is later"), "{error}");
}

#[test]
fn of_several_generations_at_one_time_it_names_the_newest() {
    let (place, store) = Place::with_commits(&[&[("a", "2")]]);
    drop(store);
    crate::support::rewrite_newest(&place, |manifest| manifest["time"] = "2095-05-05T10:00:00.000Z".into());
    let store = place.open();
    save(&store, &[("a", "3")]);
    save(&store, &[("a", "4")]);
    assert_eq!(store.resolve("2095-05-05T10:00:00Z").unwrap(), g(4), "the clock is behind all three");
}

#[test]
fn later_commits_do_not_change_a_snapshot() {
    let (place, store) = Place::with_commits(&[&[("a", "2"), ("b", "2")]]);
    let snapshot = store.snapshot().unwrap();
    let clone = snapshot.clone();
    for number in 0..40 {
        save(&store, &[("a", &number.to_string())]);
    }
    crate::support::remove(&store, "b");
    for snapshot in [snapshot, clone] {
        assert_eq!(state_of(&snapshot), files(&[("a", "2"), ("b", "2")]));
        assert_eq!(snapshot.generation(), g(2));
    }
    assert_eq!(state_of(&place.open().snapshot_at("2").unwrap()), files(&[("a", "2"), ("b", "2")]));
}

#[test]
fn every_generation_is_read_the_same_with_and_without_checkpoints() {
    let (place, store) = Place::with_store();
    let mut expected = BTreeMap::from([(1, files(&[]))]);
    let mut now = files(&[]);
    for number in 2..80_u64 {
        let path = format!("f/{}", number % 7);
        if number % 5 == 0 && now.contains_key(&path) {
            crate::support::remove(&store, &path);
            now.remove(&path);
        } else {
            save(&store, &[(&path, &number.to_string())]);
            now.insert(path, number.to_string());
        }
        expected.insert(number, now.clone());
    }
    drop(store);
    let checkpoints = crate::support::names(&place.inside("checkpoints"));
    assert!(checkpoints.len() >= 2, "{checkpoints:?}");
    let check = || {
        let store = place.open();
        for (number, files) in &expected {
            assert_eq!(&state_of(&store.snapshot_at(g(*number)).unwrap()), files, "generation {number}");
        }
    };
    check();
    fs::remove_dir_all(place.inside("checkpoints")).unwrap();
    check();
}

/// Plants the files of a commit of this number that was interrupted before the swap of the pointer.
/// The store itself writes them on a copy.
fn plant_interrupted(place: &Place, number: u64) {
    let copy = Place::new();
    copy_dir(&place.store(), &copy.store());
    let store = copy.open();
    save(&store, &[("interrupted/a", "lost edit"), ("interrupted/b", "lost edit")]);
    let committed = store.snapshot().unwrap().generation().get();
    fs::create_dir_all(place.inside("data/interrupted")).unwrap();
    for path in ["interrupted/a", "interrupted/b"] {
        fs::copy(
            copy.inside(&format!("data/{path}.g{committed}")),
            place.inside(&format!("data/{path}.g{number}")),
        )
        .unwrap();
    }
    let mut manifest = unseal(&fs::read(copy.inside(&manifest_name(committed))).unwrap());
    manifest["generation"] = number.into();
    fs::write(place.inside(&manifest_name(number)), seal(&format!("{manifest}\n"))).unwrap();
    restart_machine(place);
}

#[test]
fn an_interrupted_commit_is_kept_reported_and_never_served() {
    let (place, store) = Place::with_commits(&[&[("a", "2")], &[("a", "3")]]);
    drop(store);
    plant_interrupted(&place, 4);
    plant_interrupted(&place, 6);
    // Of generation 8 only one file reached the disk.
    fs::write(place.inside("data/interrupted/a.g8"), "torn").unwrap();
    // The next pointer of generation 6.
    let next = fs::read(place.inside(&manifest_name(6))).unwrap();
    fs::write(place.inside("CURRENT.next"), pointer(6, &next)).unwrap();
    let planted: Vec<String> = [
        "data/interrupted/a.g4",
        "data/interrupted/b.g4",
        "data/interrupted/a.g6",
        "data/interrupted/b.g6",
        "data/interrupted/a.g8",
    ]
    .map(String::from)
    .into_iter()
    .chain([manifest_name(4), manifest_name(6)])
    .collect();
    let evidence = |place: &Place| {
        let mut tree = tree(&place.store());
        tree.retain(|name, _| planted.contains(name));
        tree
    };
    let before = evidence(&place);
    assert_eq!(before.len(), 7);

    let store = place.open();
    assert_eq!(store.recovery(), None);
    assert_eq!(store.snapshot().unwrap().generation(), g(3));
    assert_eq!(state_of(&store.snapshot().unwrap()), files(&[("a", "3")]));
    for number in ["4", "6"] {
        let error = refused(store.snapshot_at(number), ErrorKind::NotFound);
        assert!(error.to_string().contains("interrupted commit"), "{error}");
    }
    refused(store.snapshot_at("8"), ErrorKind::NotFound);
    refused(store.rollback("4", "no"), ErrorKind::NotFound);
    let status = store.status().unwrap();
    assert_eq!(status.interrupted, [g(4), g(6), g(8)]);
    assert_eq!(status.health, genstore::Health::Ok);
    assert_eq!(status.interrupted_findings().len(), 3);
    let head = store.verify(&VerifyOptions::new()).unwrap();
    let all = verify_all(&store);
    for report in [&head, &all] {
        assert!(report.ok);
        let interrupted: Vec<_> =
            report.findings.iter().filter(|found| found.kind == FindingKind::InterruptedCommit).collect();
        assert_eq!(
            interrupted.iter().map(|found| found.generation).collect::<Vec<_>>(),
            [Some(g(4)), Some(g(6)), Some(g(8))]
        );
        assert!(interrupted.iter().all(|found| found.severity == Severity::Note));
    }
    let names_all = |report: &VerifyReport| {
        let interrupted = report.findings.iter().filter(|found| found.kind == FindingKind::InterruptedCommit);
        let details: Vec<&str> = interrupted.map(|found| found.detail.as_str()).collect();
        planted.iter().all(|path| details.iter().any(|detail| detail.contains(path.as_str())))
    };
    assert!(names_all(&all), "every name left is reported: {all:?}");
    assert!(has(&all.findings, Severity::Note, FindingKind::Orphan, Some("CURRENT.next")), "{all:?}");

    // The next numbers are above all that were seen, for an open handle and for a new one.
    let commit = save(&store, &[("interrupted/a", "mine")]);
    assert_eq!(commit.generation, g(9));
    assert_eq!(save(&place.open(), &[("interrupted/b", "mine")]).generation, g(10));
    assert_same(&evidence(&place), &before);
    assert!(!place.inside("CURRENT.next").exists());
    assert_eq!(store.show("9").unwrap().parent, Some(g(3)));

    // Now they are gaps below the newest generation. They still cannot be read, and are still
    // reported.
    let store = place.open();
    for number in ["4", "5", "6", "7", "8"] {
        refused(store.snapshot_at(number), ErrorKind::NotFound);
    }
    assert!(refused(store.snapshot_at("6"), ErrorKind::NotFound).to_string().contains("interrupted commit"));
    assert_eq!(store.resolve("latest~1").unwrap(), g(9));
    assert_eq!(store.resolve("latest~2").unwrap(), g(3));
    assert_eq!(store.status().unwrap().interrupted, [], "nothing is above the newest");
    let all = verify_all(&store);
    let interrupted = all.findings.iter().filter(|found| found.kind == FindingKind::InterruptedCommit);
    assert_eq!(
        interrupted.map(|found| found.generation).collect::<Vec<_>>(),
        [Some(g(4)), Some(g(6)), Some(g(8))]
    );
    assert!(all.ok && names_all(&all), "{all:?}");
    assert_eq!(store.history().unwrap().count(), 5);
}

#[test]
fn a_taken_name_means_the_next_number() {
    // The lock has no note of an earlier start, so only the names tell which numbers are taken.
    let (place, store) = Place::with_commits(&[&[("a", "2")]]);
    overwrite(&place.inside(&manifest_name(3)), "another's");
    overwrite(&place.inside("data/a.g4"), "another's");
    overwrite(&place.inside("data/a.g5"), "another's");
    let commit = save(&store, &[("a", "mine")]);
    assert_eq!(commit.generation, g(6));
    assert_eq!(fs::read(place.inside(&manifest_name(3))).unwrap(), b"another's");
    assert_eq!(fs::read(place.inside("data/a.g4")).unwrap(), b"another's");
    assert_eq!(fs::read(place.inside("data/a.g5")).unwrap(), b"another's");
    assert!(!place.inside(&manifest_name(4)).exists() && !place.inside(&manifest_name(5)).exists());
    assert_eq!(crate::support::text(&place.open(), "a"), "mine");
}

#[test]
fn a_number_that_a_failed_commit_had_is_not_used_again() {
    let (place, store) = Place::with_commits(&[&[("dir/a", "2")]]);
    let mut tx = store.begin().unwrap();
    tx.put("dir", "a file where a directory is").unwrap();
    tx.commit("refused").unwrap_err();
    let next = save(&store, &[("b", "1")]).generation;
    assert!(next > g(2));
    assert_eq!(store.history().unwrap().count(), 3);
    assert_eq!(store.status().unwrap().interrupted, []);
    drop(place);
}

#[test]
fn a_history_entry_is_one_line_without_gaps() {
    let (_place, store) = Place::with_store();
    let line = |author: &str, message: &str| {
        let mut tx = store.begin().unwrap();
        tx.author(author);
        tx.put("a", format!("{author}{message}")).unwrap();
        tx.commit(message).unwrap();
        let entry = store.show("latest").unwrap();
        let start = format!("{} {} ", entry.generation, entry.time);
        entry.to_string().strip_prefix(&start).unwrap().to_owned()
    };
    assert_eq!(line("ann", "open\n\nwhy"), "commit ann +1 -0 open");
    assert_eq!(line("", "open"), "commit +1 -0 open");
    assert_eq!(line("ann", ""), "commit ann +1 -0");
}
