//! No number is used twice, and times never go backwards.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Bed;
use crate::engine::open::open_on;
use crate::fs::op::Op;
use crate::proof::injector::{Action, FaultInjector, Plan, Rule};
use crate::store::Store;

fn commit(store: &Store, path: &str) -> u64 {
    let mut tx = store.begin().unwrap();
    tx.put(path, format!("{path} and more")).unwrap();
    tx.commit("commit").unwrap().generation.get()
}

fn plant(bed: &Bed, path: &str) {
    let path = bed.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test writes to the disk directly")]
    fs::write(path, "left by a crash").unwrap();
}

#[test]
fn a_manifest_that_is_there_already_takes_its_number() {
    let (bed, store) = Bed::store();
    plant(&bed, "manifests/0000000002.json");
    plant(&bed, "manifests/0000000003.json");
    assert_eq!(commit(&store, "a"), 4);
    assert_eq!(bed.tree()["manifests/0000000003.json"].as_deref(), Some(b"left by a crash".as_slice()));
    assert_eq!(bed.tree()["manifests/0000000002.json"].as_deref(), Some(b"left by a crash".as_slice()));
    assert_eq!(store.status().unwrap().interrupted, []);
    assert_eq!(commit(&store, "a b"), 5);
}

#[test]
fn a_file_of_the_same_path_takes_its_number_too() {
    let (bed, store) = Bed::store();
    plant(&bed, "data/a.g2");
    assert_eq!(commit(&store, "a"), 3);
    assert!(!bed.tree().contains_key("manifests/0000000002.json"), "what the first attempt wrote is gone");
    assert_eq!(bed.tree()["data/a.g2"].as_deref(), Some(b"left by a crash".as_slice()));
}

#[test]
fn after_a_start_of_the_machine_every_name_is_looked_at() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    // The crash lost the manifest and kept one file. The next commit does not touch its path.
    plant(&bed, "data/other/path.g7");
    bed.fs.set_boot("the next start");
    assert_eq!(commit(&bed.open().unwrap(), "b"), 8);
    let trace_is_long =
        |bed: &Bed| bed.fs.take_trace().iter().any(|op| matches!(op, Op::List(dir) if dir == "data"));
    assert!(trace_is_long(&bed));
    assert_eq!(commit(&bed.open().unwrap(), "c"), 9);
    assert!(!trace_is_long(&bed), "one look after a start is enough");
}

#[test]
fn a_commit_of_nothing_after_a_start_does_not_replace_the_look() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    // The crash lost the manifest of 3 and kept one file. The next commit does not touch its path.
    plant(&bed, "data/other/path.g3");
    bed.fs.set_boot("the next start");
    assert_eq!(commit(&bed.open().unwrap(), "a"), 2, "the same content is there already");
    assert_eq!(commit(&bed.open().unwrap(), "b"), 4);
}

#[test]
fn a_number_that_a_failed_commit_began_to_use_is_not_used_again() {
    let (bed, store) = Bed::store();
    let enospc = rustix::io::Errno::NOSPC.raw_os_error();
    let is_pointer = |op: &Op| matches!(op, Op::Create(name) if name == "CURRENT.next");
    bed.fs.plan(Some(Plan { after: 0, becomes: Action::Fail(enospc), for_ever: false, matches: is_pointer }));
    let mut tx = store.begin().unwrap();
    tx.put("a", "1").unwrap();
    tx.commit("fails").unwrap_err();
    bed.fs.plan(None);
    assert_eq!(commit(&bed.open().unwrap(), "a"), 3);
}

/// Lets `times` commits fail.
fn fail(bed: &Bed, times: u32) {
    let is_swap = |op: &Op| matches!(op, Op::Sync(name) if name == "CURRENT.next");
    for _ in 0..times {
        bed.fs.plan(Some(Plan {
            after: 0,
            becomes: Action::Fail(rustix::io::Errno::NOSPC.raw_os_error()),
            for_ever: false,
            matches: is_swap,
        }));
        let mut tx = bed.open().unwrap().begin().unwrap();
        tx.put("failed", "1").unwrap();
        assert_eq!(tx.commit("fails").unwrap_err().kind(), crate::ErrorKind::Io);
        bed.fs.plan(None);
    }
}

const NO_SPACE: Action = Action::Fail(rustix::io::Errno::NOSPC.raw_os_error());

fn used(bed: &Bed) -> Vec<String> {
    let locks = fs::read_dir(bed.path().join("locks")).unwrap();
    let mut names: Vec<String> = locks.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("used-"));
    names
}

#[test]
fn the_number_of_a_failed_commit_is_not_used_again_after_another_start() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    fail(&bed, 3);
    assert!(
        !bed.tree().keys().any(|name| name.contains("failed") || name.contains("0003")),
        "nothing is left"
    );
    assert_eq!(used(&bed), ["used-5"], "the highest covers all");
    assert_eq!(store.status().unwrap().interrupted, []);
    let report = store.verify(&crate::VerifyOptions::new()).unwrap();
    assert_eq!(report.findings, []);
    bed.fs.set_boot("the next start");
    assert_eq!(commit(&bed.open().unwrap(), "b"), 6);
    assert_eq!(used(&bed), ["used-5"], "it is read once after a start");
    bed.fs.set_boot("the one after that");
    assert_eq!(commit(&bed.open().unwrap(), "c"), 7);
    assert_eq!(used(&bed), [""; 0], "the head is higher");
}

#[test]
fn the_number_of_a_commit_that_did_not_fit_is_kept_where_it_was() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    let nothing_fits = AtomicBool::new(true);
    let rule: Rule = Arc::new(move |op| match op {
        Op::Create(name) if name == "CURRENT.next" || name.starts_with("locks/used-") => {
            if nothing_fits.load(Ordering::Relaxed) { NO_SPACE } else { Action::PassThrough }
        }
        Op::Remove(name) => {
            nothing_fits.fetch_and(!name.starts_with("data/"), Ordering::Relaxed);
            Action::PassThrough
        }
        _ => Action::PassThrough,
    });
    let full = open_on(Arc::new(FaultInjector::new(bed.fs.way(), rule)), bed.path(), Bed::options()).unwrap();
    let mut tx = Store::from(full).begin().unwrap();
    tx.put("large", "1").unwrap();
    tx.commit("does not fit").unwrap_err();
    assert!(!bed.tree().contains_key("data/large.g3"));
    assert_eq!(used(&bed), ["used-3"]);
}

#[test]
fn a_name_whose_sync_fails_is_created_again() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    let fails = AtomicBool::new(true);
    let rule: Rule = Arc::new(move |op| match op {
        Op::Sync(name) if name == "CURRENT.next" => NO_SPACE,
        Op::Sync(name) if name == "locks/used-3" && fails.swap(false, Ordering::Relaxed) => NO_SPACE,
        _ => Action::PassThrough,
    });
    let injector = FaultInjector::new(bed.fs.way(), rule);
    let failing = open_on(Arc::new(injector.clone()), bed.path(), Bed::options()).unwrap();
    let mut tx = Store::from(failing).begin().unwrap();
    tx.put("failed", "1").unwrap();
    tx.commit("fails").unwrap_err();
    let trace = injector.take_trace();
    let kept = [
        Op::Create("locks/used-3".into()),
        Op::Write("locks/used-3".into()),
        Op::Sync("locks/used-3".into()),
        Op::SyncDir(String::new()),
        Op::SyncDir("locks".into()),
    ];
    let asked: Vec<Op> = trace.iter().filter(|op| kept.contains(op)).cloned().collect();
    assert!(asked.ends_with(&kept) || asked.ends_with(&[&kept[..1], &kept[2..]].concat()), "{asked:?}");
}

#[test]
fn a_commit_is_undone_even_if_its_number_cannot_be_kept() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    fs::create_dir(bed.path().join("locks/used-3")).unwrap();
    bed.fs.take_trace();
    fail(&bed, 1);
    let tries = bed.fs.take_trace().into_iter().filter(|op| *op == Op::Create("locks/used-3".into())).count();
    assert_eq!(tries, 2, "before and after the rest is removed");
    assert!(!bed.tree().contains_key("manifests/0000000003.json"), "what was written is gone");
    assert_eq!(commit(&store, "a b"), 4);
}

#[test]
fn a_name_beyond_belief_hides_no_other() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    plant(&bed, "locks/used-9999999999");
    fail(&bed, 1);
    bed.fs.set_boot("the next start");
    assert_eq!(commit(&bed.open().unwrap(), "b"), 4);
}

#[test]
fn a_name_is_believed_as_far_above_other_names_as_above_the_head() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    plant(&bed, "manifests/0005000000.json");
    bed.fs.set_boot("the next start");
    // This commits nothing, and makes the pointer durable.
    commit(&bed.open().unwrap(), "a");
    fail(&bed, 1);
    assert_eq!(used(&bed), ["used-5000001"]);
    assert_eq!(commit(&bed.open().unwrap(), "b"), 5_000_002);
}

#[test]
fn a_note_that_makes_no_sense_is_not_believed() {
    let (bed, store) = Bed::store();
    assert_eq!(commit(&store, "a"), 2);
    let lock = bed.path().join("locks/writer");
    for note in ["", "{", "{\"next\":9999999999}", "\0\0\0\0"] {
        #[expect(clippy::disallowed_methods, reason = "the test writes to the disk directly")]
        fs::write(&lock, note).unwrap();
        let before = store.snapshot().unwrap().generation().get();
        assert_eq!(commit(&store, &format!("n{before}")), before + 1);
    }
    #[expect(clippy::disallowed_methods, reason = "the test reads the disk directly")]
    let note = String::from_utf8(fs::read(&lock).unwrap()).unwrap();
    let far = note.replace("\"next\":7", "\"next\":9999999999");
    assert_ne!(far, note);
    #[expect(clippy::disallowed_methods, reason = "the test writes to the disk directly")]
    fs::write(&lock, far).unwrap();
    assert_eq!(commit(&store, "z"), 7);
}

#[test]
fn a_clock_that_goes_backwards_makes_no_generation_older_than_its_parent() {
    let (bed, store) = Bed::store();
    for (now, time) in [
        ("2035-01-01T00:00:00Z", "2035-01-01T00:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "2035-01-01T00:00:00.000Z"),
        ("2038-01-19T03:14:08Z", "2038-01-19T03:14:08.000Z"),
        ("1901-01-01T00:00:00Z", "2038-01-19T03:14:08.000Z"),
    ] {
        bed.fs.set_now(now);
        commit(&store, now.split('T').next().unwrap());
        assert_eq!(store.show("latest").unwrap().time.to_string(), time, "{now}");
    }
}

#[test]
fn at_the_end_of_the_range_nothing_is_committed() {
    let (bed, store) = Bed::store();
    plant(&bed, "manifests/9999999999.json");
    bed.fs.set_boot("the next start");
    let mut tx = store.begin().unwrap();
    tx.put("a", "1").unwrap();
    let error = tx.commit("too late").unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Invalid);
    assert!(error.to_string().contains("generations end at 9999999999"), "{error}");
    assert_eq!(store.snapshot().unwrap().len(), 0);
}
