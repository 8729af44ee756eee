//! What can be read at the second attempt is not damaged.

use std::fs;

use rustix::io::Errno;

use super::Bed;
use crate::error::ErrorKind;
use crate::fs::op::Op;
use crate::proof::injector::{Action, Plan};
use crate::snapshot::Provenance;
use crate::store::Store;

/// A store in which `a` was committed twice. A third commit failed at the swap: all of it is on the
/// disk, and it was never committed.
fn interrupted() -> Bed {
    let (bed, store) = Bed::store();
    let commit = |content: &str| {
        let mut tx = store.begin().unwrap();
        tx.put("a", content).unwrap();
        tx.commit("commit")
    };
    commit("first").unwrap();
    commit("second").unwrap();
    fail(&bed, 0, false, Op::swaps);
    assert_eq!(commit("third").unwrap_err().kind(), ErrorKind::CommitOutcomeUnknown);
    bed.fs.plan(None);
    bed
}

/// Lets an operation that `matches` fail with an input error, after `after` of them, once or for
/// ever.
fn fail(bed: &Bed, after: usize, for_ever: bool, matches: fn(&Op) -> bool) {
    let errno = Errno::IO.raw_os_error();
    bed.fs.plan(Some(Plan { after, becomes: Action::Fail(errno), for_ever, matches }));
}

fn reads_pointer(op: &Op) -> bool {
    *op == Op::Read("CURRENT".into())
}

fn reads_newest_file(op: &Op) -> bool {
    *op == Op::Read("data/a.g3".into())
}

/// The generation that `open` found, and whether it found damage.
fn found(store: &Store) -> (u64, bool) {
    let known = store.engine.known();
    (known.link.generation.get(), known.recovery.is_some())
}

#[test]
fn a_pointer_or_manifest_does_not_show_what_was_never_committed() {
    let bed = interrupted();
    // A file is read with two calls: one for its bytes, and one for its end.
    for after in 0..2 {
        for matches in [reads_pointer, |op: &Op| *op == Op::Read("manifests/0000000003.json".into())] {
            fail(&bed, after, false, matches);
            assert_eq!(found(&bed.open().unwrap()), (3, false));
            assert!(bed.fs.seen() > after + 1, "it was read once more");
        }
    }
    bed.fs.plan(None);
    let serves = |store: &Store| (store.snapshot().unwrap().generation().get(), store.recovery().is_some());
    let store = bed.open().unwrap();
    fail(&bed, 0, false, reads_pointer);
    assert_eq!(serves(&store), (3, false));
    fail(&bed, 0, true, reads_pointer);
    assert_eq!(serves(&store), (4, true), "without a pointer the newest whole generation is served");
}

#[test]
fn a_file_is_not_replaced_by_an_older_version() {
    let bed = interrupted();
    let store = bed.open().unwrap();
    let snapshot = store.snapshot().unwrap();
    let read = || snapshot.get_or_recover("a", b"the default").unwrap();
    let at = |generation: u64| Provenance::Recovered { generation: generation.try_into().unwrap() };
    for after in 0..2 {
        fail(&bed, after, false, reads_newest_file);
        assert_eq!(read(), (b"second".to_vec(), Provenance::Current));
        fail(&bed, after, false, reads_newest_file);
        assert_eq!(snapshot.get("a").unwrap(), b"second");
    }
    fail(&bed, 0, true, reads_newest_file);
    assert_eq!(read(), (b"first".to_vec(), at(2)));
}

/// If the pointer is damaged, the newest whole generation is served. This holds even if the first
/// attempt to read it fails.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test writes to the disk directly")]
fn recovery_does_not_pass_over_the_newest() {
    let bed = interrupted();
    for name in ["CURRENT", "manifests/0000000004.json"] {
        fs::write(bed.path().join(name), "damaged").unwrap();
    }
    for matches in [reads_newest_file, |op: &Op| *op == Op::List("manifests".into())] {
        fail(&bed, 0, false, matches);
        assert_eq!(found(&bed.open().unwrap()), (3, true));
        assert!(bed.fs.seen() > 1, "it was read once more");
    }
    fail(&bed, 0, true, reads_newest_file);
    assert_eq!(found(&bed.open().unwrap()), (2, true), "generation 3 cannot be checked");
}

/// Damage that was found is reported without another read. A read that fails does not change the
/// report.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test writes to the disk directly")]
fn known_damage_is_reported_without_reading() {
    let bed = interrupted();
    let pointer = fs::read(bed.path().join("CURRENT")).unwrap();
    fs::write(bed.path().join("CURRENT"), "damaged").unwrap();
    let store = bed.open().unwrap();
    bed.fs.take_trace();
    let told = store.recovery();
    assert!(told.is_some());
    assert_eq!(bed.fs.take_trace(), []);
    fs::write(bed.path().join("CURRENT"), pointer).unwrap();
    let errno = Errno::MFILE.raw_os_error();
    let matches = |op: &Op| *op == Op::Open("CURRENT".into());
    bed.fs.plan(Some(Plan { after: 0, becomes: Action::Fail(errno), for_ever: true, matches }));
    assert_eq!(store.snapshot().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(store.recovery(), told);
    bed.fs.plan(None);
    store.snapshot().unwrap();
    assert_eq!(store.recovery(), None);
}
