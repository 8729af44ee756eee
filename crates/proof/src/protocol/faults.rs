//! Every operation of a commit fails once, and for ever. The process dies at every operation.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::{Bed, contents};
use crate::error::{ErrorKind, Result};
use crate::fs::op::Op;
use crate::proof::injector::{Action, Plan};
use crate::store::Store;
use crate::transaction::Commit;

type State = BTreeMap<String, Vec<u8>>;

fn any(_: &Op) -> bool {
    true
}

/// All but the note that ends a commit. The note helps the next writer, and nothing fails without
/// it.
fn all_but_notes(op: &Op) -> bool {
    !matches!(op, Op::Note(_))
}

fn allocates(op: &Op) -> bool {
    op.allocates() && all_but_notes(op)
}

/// A store with some history.
fn begun() -> (Bed, Store) {
    let (bed, store) = Bed::store();
    let mut tx = store.begin().unwrap();
    for path in ["a.json", "directory/b.json", "directory/c.json", "gone.json"] {
        tx.put(path, format!("first {path}")).unwrap();
    }
    tx.commit("first").unwrap();
    (bed, store)
}

/// A commit with every kind of change.
fn commit(store: &Store) -> Result<Commit> {
    let mut tx = store.begin()?;
    tx.put("a.json", "second a")?;
    tx.put_reader("new/deep/d.json", "second d".as_bytes())?;
    tx.put_reader("directory/b.json", "first directory/b.json".as_bytes())?;
    tx.rename("directory/c.json", "moved/c.json")?;
    tx.remove("gone.json")?;
    tx.commit("second")
}

fn first() -> State {
    ["a.json", "directory/b.json", "directory/c.json", "gone.json"]
        .map(|path| (path.to_owned(), format!("first {path}").into_bytes()))
        .into()
}

fn second() -> State {
    [
        ("a.json", "second a"),
        ("new/deep/d.json", "second d"),
        ("directory/b.json", "first directory/b.json"),
        ("moved/c.json", "first directory/c.json"),
    ]
    .map(|(path, content)| (path.to_owned(), content.as_bytes().to_vec()))
    .into()
}

/// How many operations of a commit match.
fn operations(matches: fn(&Op) -> bool, syncfs: bool) -> usize {
    let (bed, store) = begun();
    bed.fs.offer_syncfs(syncfs);
    bed.fs.plan(Some(Plan::count(matches)));
    assert_eq!(commit(&store).unwrap().generation.get(), 3);
    bed.fs.seen()
}

/// Runs the commit with a fault, and checks what must hold in every case.
fn check(plan: Plan, syncfs: bool) {
    let case = format!("{plan:?}");
    let (bed, store) = begun();
    bed.fs.offer_syncfs(syncfs);
    let before = bed.tree();
    bed.fs.take_trace();
    bed.fs.plan(Some(plan));
    let committed = commit(&store);
    bed.fs.plan(None);
    let trace = bed.fs.take_trace();
    let swapped = trace.iter().any(Op::swaps);
    match &committed {
        Ok(commit) => {
            assert_eq!(commit.generation.get(), 3, "{case}");
            assert_eq!(contents(&store), second(), "{case}");
        }
        Err(error) if swapped => {
            assert_eq!(error.kind(), ErrorKind::CommitOutcomeUnknown, "{case}: {error}");
            assert_eq!(error.generation().unwrap().get(), 3, "{case}");
            let after_swap = trace.iter().skip_while(|op| !op.swaps());
            assert!(
                !after_swap.clone().any(|op| matches!(op, Op::Remove(name) if !name.starts_with("locks/"))),
                "{case}: something was deleted: {trace:?}"
            );
            assert_eq!(store.begin().unwrap_err().kind(), ErrorKind::Poisoned, "{case}");
            assert_eq!(store.clone().rollback("1", "no").unwrap_err().kind(), ErrorKind::Poisoned, "{case}");
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Io, "{case}: {error}");
            assert_eq!(contents(&store), first(), "{case}");
            if !plan.for_ever || !(plan.matches)(&Op::Remove(String::new())) {
                assert_eq!(bed.tree(), before, "{case}: something was left");
            }
            // The handle stays usable.
            assert!(commit(&store).unwrap().generation.get() > 2, "{case}");
            assert_eq!(contents(&store), second(), "{case}");
        }
    }
    assert_syncs_are_not_retried(&trace, &case);
    settle(&bed, &case, committed.is_ok() || !swapped);
}

/// No file is fsynced twice in one commit. So none is fsynced again after its fsync has failed.
fn assert_syncs_are_not_retried(trace: &[Op], case: &str) {
    let files: Vec<&Op> = trace.iter().filter(|op| matches!(op, Op::Sync(_))).collect();
    let distinct: std::collections::BTreeSet<String> = files.iter().map(|op| format!("{op:?}")).collect();
    assert_eq!(files.len(), distinct.len(), "{case}: a file was fsynced twice: {trace:?}");
}

/// A handle that opens the store next finds one of the two states, whole, and can commit.
fn settle(bed: &Bed, case: &str, is_second: bool) {
    let store = bed.open().unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(store.recovery(), None, "{case}");
    let found = contents(&store);
    assert!(found == second() || (!is_second && found == first()), "{case}: {found:?}");
    let head = store.snapshot().unwrap().generation();
    let seen = store.status().unwrap().interrupted.into_iter().max().unwrap_or(head);
    let mut tx = store.begin().unwrap();
    tx.put("after", "the fault").unwrap();
    let commit = tx.commit("after").unwrap();
    assert!(commit.generation > seen, "{case}: number {} was used again", commit.generation);
    let report =
        store.verify(&crate::verify::VerifyOptions::new().scope(crate::verify::VerifyScope::All)).unwrap();
    assert!(report.ok, "{case}: {:?}", report.findings);
}

#[test]
fn no_space_no_quota_no_descriptors_once_and_for_ever() {
    for (errno, matches) in [
        (Errno::NOSPC, Op::allocates as fn(&Op) -> bool),
        (Errno::DQUOT, Op::allocates),
        (Errno::MFILE, Op::opens),
        (Errno::NFILE, Op::opens),
    ] {
        for for_ever in [false, true] {
            for after in 0..operations(matches, false) {
                check(Plan { after, becomes: Action::Fail(errno.raw_os_error()), for_ever, matches }, false);
            }
        }
    }
}

/// Only operations that change something. For reads that fail see `reading.rs`.
#[test]
fn input_and_output_errors_once_and_for_ever() {
    for errno in [Errno::IO, Errno::ACCESS, Errno::ROFS] {
        for for_ever in [false, true] {
            for after in 0..operations(Op::changes, false) {
                check(
                    Plan {
                        after,
                        becomes: Action::Fail(errno.raw_os_error()),
                        for_ever,
                        matches: Op::changes,
                    },
                    false,
                );
            }
        }
    }
}

#[test]
fn a_syncfs_fails() {
    let is_whole = |op: &Op| matches!(op, Op::SyncFs | Op::OpenSyncFs);
    for for_ever in [false, true] {
        for after in 0..operations(is_whole, true).max(1) {
            check(
                Plan { after, becomes: Action::Fail(Errno::IO.raw_os_error()), for_ever, matches: is_whole },
                true,
            );
        }
    }
}

/// From one operation on every operation fails, as if the process were dead.
#[test]
fn the_process_dies_at_every_operation_of_a_commit() {
    let mut interrupted = 0;
    for after in 0..operations(any, false) {
        let (bed, store) = begun();
        bed.fs.plan(Some(Plan {
            after,
            becomes: Action::Fail(Errno::IO.raw_os_error()),
            for_ever: true,
            matches: any,
        }));
        let acknowledged = commit(&store).is_ok();
        drop(store);
        bed.fs.plan(None);
        interrupted += bed.open().unwrap().status().unwrap().interrupted.len();
        settle_either(&bed, acknowledged);
    }
    assert!(interrupted > 0, "no crash left an interrupted commit behind");
}

fn settle_either(bed: &Bed, acknowledged: bool) {
    let found = contents(&bed.open().unwrap());
    assert!(found == second() || (!acknowledged && found == first()), "{found:?}");
    settle(bed, "dead", found == second());
}

#[test]
fn the_process_dies_at_every_operation_of_init() {
    let bed = Bed::empty();
    bed.fs.plan(Some(Plan::count(all_but_notes)));
    bed.create().unwrap();
    let operations = bed.fs.seen();
    let mut created_at_once = 0;
    for after in 0..operations {
        let bed = Bed::empty();
        bed.fs.plan(Some(Plan {
            after,
            becomes: Action::Fail(Errno::IO.raw_os_error()),
            for_ever: true,
            matches: all_but_notes,
        }));
        assert!(bed.create().is_err(), "the crash after {after} operations was not noticed");
        bed.fs.plan(None);
        let store = match bed.create() {
            Ok(store) => store,
            Err(error) => {
                assert!(error.already_exists(), "after {after}: {error}");
                created_at_once += 1;
                bed.open().unwrap()
            }
        };
        assert_eq!(store.recovery(), None);
        assert_eq!(contents(&store), State::new(), "after {after}");
        let mut tx = store.begin().unwrap();
        tx.put("a", "1").unwrap();
        tx.commit("works").unwrap();
    }
    assert!((1..operations).contains(&created_at_once), "{created_at_once} of {operations}");
}

#[test]
fn a_store_can_be_created_after_the_disk_was_full_during_init() {
    let bed = Bed::empty();
    bed.fs.plan(Some(Plan::count(allocates)));
    bed.create().unwrap();
    for after in 0..bed.fs.seen() {
        let bed = Bed::empty();
        let errno = Errno::NOSPC.raw_os_error();
        bed.fs.plan(Some(Plan { after, becomes: Action::Fail(errno), for_ever: true, matches: allocates }));
        let error = bed.create().unwrap_err();
        let is_known =
            matches!(error.kind(), ErrorKind::Io | ErrorKind::CommitOutcomeUnknown | ErrorKind::Unsupported);
        assert!(is_known, "after {after}: {error:?}");
        bed.fs.plan(None);
        bed.create().or_else(|_| bed.open()).unwrap();
    }
}

/// A checkpoint that cannot be written costs only time.
#[test]
fn a_checkpoint_that_fails_does_not_fail_the_commit() {
    let (bed, store) = Bed::store();
    let is_checkpoint = |op: &Op| matches!(op, Op::Rename(_, to) if to.starts_with("checkpoints/"));
    bed.fs.plan(Some(Plan {
        after: 0,
        becomes: Action::Fail(Errno::NOSPC.raw_os_error()),
        for_ever: true,
        matches: is_checkpoint,
    }));
    for round in 0..40 {
        let mut tx = store.begin().unwrap();
        tx.put("a", format!("{round}")).unwrap();
        tx.commit("commit").unwrap();
    }
    assert!(
        bed.fs.seen() > 20,
        "a failed checkpoint is due again at every commit, but only {} were tried",
        bed.fs.seen()
    );
    assert!(!bed.tree().keys().any(|name| name.starts_with("checkpoints/") || name.starts_with("staging/")));
    assert_eq!(contents(&bed.open().unwrap())["a"], b"39");
}

/// The rename of the pointer reports a failure. It has taken effect, or it has not.
#[test]
fn a_rename_that_fails_leaves_the_outcome_unknown() {
    for takes_effect in [false, true] {
        let (bed, store) = begun();
        let errno = Errno::IO.raw_os_error();
        let becomes = if takes_effect { Action::FailAfter(errno) } else { Action::Fail(errno) };
        bed.fs.plan(Some(Plan { after: 0, becomes, for_ever: false, matches: Op::swaps }));
        let error = commit(&store).unwrap_err();
        bed.fs.plan(None);
        assert_eq!(error.kind(), ErrorKind::CommitOutcomeUnknown);
        assert_eq!(store.begin().unwrap_err().kind(), ErrorKind::Poisoned);
        let expected = if takes_effect { second() } else { first() };
        assert_eq!(contents(&bed.open().unwrap()), expected);
        settle(&bed, &format!("takes effect: {takes_effect}"), takes_effect);
    }
}

fn is_root(op: &Op) -> bool {
    *op == Op::SyncDir(String::new())
}

fn root_sync_fails(after: usize) -> Plan {
    let errno = Errno::IO.raw_os_error();
    Plan { after, becomes: Action::Fail(errno), for_ever: false, matches: is_root }
}

/// A store whose last commit failed in barrier 2. The first fsync of the root belongs to barrier 1.
fn unknown() -> Bed {
    let (bed, store) = begun();
    bed.fs.plan(Some(root_sync_fails(1)));
    assert_eq!(commit(&store).unwrap_err().kind(), ErrorKind::CommitOutcomeUnknown);
    bed.fs.plan(None);
    bed
}

/// A commit of what is visible already is acknowledged only once it is durable.
#[test]
fn a_retry_after_an_unknown_outcome_makes_the_commit_durable() {
    let bed = unknown();

    let same_again = |store: &Store| {
        let mut tx = store.begin()?;
        tx.put("a.json", "second a")?;
        tx.commit("second, again")
    };
    let store = bed.open().unwrap();
    // The first fsync of the root comes before the swap.
    bed.fs.plan(Some(root_sync_fails(1)));
    assert_eq!(same_again(&store).unwrap_err().kind(), ErrorKind::CommitOutcomeUnknown);
    assert_eq!(store.begin().unwrap_err().kind(), ErrorKind::Poisoned);
    bed.fs.plan(None);

    let store = bed.open().unwrap();
    for is_synced in [true, false] {
        bed.fs.take_trace();
        let commit = same_again(&store).unwrap();
        assert_eq!((commit.generation.get(), commit.changed), (3, false));
        assert_eq!(bed.fs.take_trace().contains(&Op::SyncDir(String::new())), is_synced, "once is enough");
    }
}

/// Nothing is written on top of a generation before its pointer is durable.
#[test]
fn a_commit_after_an_unknown_outcome_settles_the_pointer_first() {
    let bed = unknown();
    let store = bed.open().unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("b.json", "third").unwrap();
    bed.fs.take_trace();
    assert_eq!(tx.commit("third").unwrap().generation.get(), 4);
    let trace = bed.fs.take_trace();
    let first = |wanted: fn(&Op) -> bool| trace.iter().position(wanted).unwrap();
    let swap = first(Op::swaps);
    assert!(is_root(&trace[swap + 1]), "{trace:?}");
    assert!(swap < first(|op| matches!(op, Op::Create(name) if name.starts_with("manifests/"))), "{trace:?}");
}

/// A commit waits for the lock while another thread poisons the handle. It then commits nothing.
#[test]
fn a_commit_that_waited_sees_that_the_handle_is_poisoned() {
    let (_bed, store) = begun();
    let mut tx = store.begin().unwrap();
    tx.put("a.json", "late").unwrap();
    let writer = store.engine.lock_writer().unwrap();
    let waiting = std::thread::spawn(move || tx.commit("late").map(drop));
    store.engine.poison().set(store.snapshot().unwrap().generation());
    drop(writer);
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(contents(&store), first());
}
