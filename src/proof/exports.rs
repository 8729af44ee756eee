//! An export is durable before its directory gets its name.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::oracle;
use super::scene::{Scene, State, put, stream};
use crate::export::Export;
use crate::fs::layer::{Do, Layer};
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::cut::Cut;
use crate::fs::sim::disk::Disk;
use crate::snapshot::Snapshot;

/// Exports into an empty directory in which the flush with this number is left out. Gives all that a power cut can leave
/// there, and the number of flushes.
fn export(snapshot: &Snapshot, whole: bool, without: usize) -> (Vec<State>, usize) {
    let target = SimFs::start(Disk::default(), 1);
    target.offer_whole(whole);
    let seen = Arc::new(AtomicUsize::new(0));
    let flushes = Arc::clone(&seen);
    let rule = move |op: &Op| {
        if op.flushes() && flushes.fetch_add(1, Ordering::Relaxed) == without {
            Do::Pretend
        } else {
            Do::Asked
        }
    };
    let layer = Layer::over(&target, Arc::new(rule));
    let report = snapshot.export_into(Arc::new(layer), Path::new("target"), &Export::default()).unwrap();
    assert_eq!(report.files, 5);
    let disk = target.disk();
    let cut = Cut::new(&disk, 1);
    let left = cut.picks(4096).iter().map(|pick| files(&cut.image(pick).disk)).collect();
    (left, seen.load(Ordering::Relaxed))
}

fn files(disk: &Disk) -> State {
    let mut files = State::new();
    oracle::walk(disk, &mut |path, data| {
        files.extend(data.map(|data| (path.to_owned(), data.now.to_vec())));
    });
    files
}

#[test]
fn l1_an_export_is_durable_before_it_gets_its_name() {
    let scene = Scene::with(&[&[
        put("a.json", "a"),
        put("folder/b.json", "b"),
        put("folder/deep/er/c.json", "c"),
        stream("other/d.json", "d"),
        put("other/e.json", "e"),
    ]]);
    let store = super::scene::open(scene.way()).unwrap();
    let (_, expected) = super::scene::contents(&store).unwrap();
    let snapshot = store.snapshot().unwrap();
    for whole in [false, true] {
        let (left, flushes) = export(&snapshot, whole, usize::MAX);
        assert_eq!(left, std::slice::from_ref(&expected), "whatever is lost");
        assert!(flushes >= 5, "{flushes}");
        for without in 0..flushes {
            let (left, _) = export(&snapshot, whole, without);
            let is_noticed = left.iter().any(|left| *left != expected);
            // With the flush of the whole, that of a single directory repeats what it has promised.
            assert!(is_noticed || (whole && without > 0), "flush {without} of {flushes}, {whole}");
        }
    }
}
