//! What `create` finds out about the medium.

use std::sync::Arc;

use super::Bed;
use crate::engine::Options;
use crate::engine::create::create_on;
use crate::error::ErrorKind;
use crate::fs::op::Op;
use crate::proof::injector::{Action, FaultInjector};

/// A way to the directory on which a second descriptor also gets a lock that is held. It finds
/// another file under the name.
fn without_locks(bed: &Bed) -> Arc<FaultInjector> {
    let mut injector = FaultInjector::new(bed.fs.way(), Arc::new(|_| Action::PassThrough));
    injector.side_effect = Some(Arc::new(|fs, op| {
        if matches!(op, Op::Lock(path) if path == "locks/probe") {
            let _ = fs.remove("locks/probe");
        }
    }));
    Arc::new(injector)
}

#[test]
fn a_lock_that_a_second_descriptor_gets_too_is_no_lock() {
    let bed = Bed::empty();
    let error = create_on(without_locks(&bed), bed.path(), Bed::options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("a held lock"), "{error}");
    let forced = Options { allow_unsafe_filesystem: true, ..Bed::options() };
    let (_, medium) = create_on(without_locks(&bed), bed.path(), forced).unwrap();
    assert_eq!(medium.lock_excludes, "nobody");
    assert_eq!(medium.warnings.last().unwrap(), "a held lock does not keep others out");

    let bed = Bed::empty();
    let (_, medium) = create_on(bed.fs.way(), bed.path(), Bed::options()).unwrap();
    assert_eq!(medium.lock_excludes, "second descriptor");
}
