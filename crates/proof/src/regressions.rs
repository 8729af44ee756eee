//! What other stores of this kind have got wrong. Each is a test of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::Arc;

use super::crash::Recorded;
use super::oracle;
use super::workloads;
use super::world::{self, Edit, Expect, World, plain, put};
use crate::engine::read;
use crate::error::ErrorKind;
use crate::format::names::Name;
use crate::format::pointer::Pointer;
use crate::fs::LockMode;
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::crash_point::CrashPoint;
use crate::fs::sim::disk::{Data, Disk, FailedSync};
use crate::fs::{Access, Fs};
use crate::proof::injector::{Action, FaultInjector};
use crate::revision::Generation;
use crate::storage::directory::Directory;

const EFFECTS: [FailedSync; 4] =
    [FailedSync::Kept, FailedSync::Dropped, FailedSync::Zeroed, FailedSync::Undecided];

/// A store with two generations: the first is empty, and the second has these files.
fn begun() -> World {
    World::with(&[&[put("a.json", "a"), put("b.json", "b")]])
}

fn third() -> [Edit; 1] {
    [put("a.json", "third")]
}

/// Every disk that a power cut can leave now.
fn after_a_power_cut(fs: &SimFs) -> Vec<Disk> {
    let disk = fs.disk();
    let cut = CrashPoint::new(&disk, 1);
    cut.choices(4096).iter().map(|choice| cut.image(choice).disk).collect()
}

/// The bytes of a file.
fn bytes(disk: &Disk, path: &str) -> Option<Arc<Vec<u8>>> {
    let node = disk.find(path).ok().flatten()?;
    disk.files.get(&node).map(|data| Arc::clone(&data.now))
}

/// What a machine finds that starts with this disk: its undamaged head, and the generation of a
/// further commit.
fn starts(disk: &Disk) -> (Generation, Generation) {
    let store = world::open(Arc::new(SimFs::start(disk.clone(), 9))).unwrap();
    assert_eq!(store.recovery(), None);
    let (head, _) = world::contents(&store).unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("after", "the fault").unwrap();
    (head, tx.commit("after").unwrap().generation)
}

/// Commits, and the first operation of this kind fails like this. Gives the kind of the error.
fn fails(world: &mut World, becomes: Action, is_it: fn(&Op) -> bool) -> ErrorKind {
    let due = std::sync::atomic::AtomicBool::new(true);
    let rule = Arc::new(move |op: &Op| {
        if is_it(op) && due.swap(false, std::sync::atomic::Ordering::Relaxed) {
            becomes
        } else {
            Action::PassThrough
        }
    });
    let injector = FaultInjector::over(&world.fs, rule);
    let store = world.open(Arc::new(injector)).unwrap();
    let error = world.commit(&store, &third()).unwrap_err();
    // The handle then takes no further commit.
    if error.kind() == ErrorKind::CommitOutcomeUnknown {
        assert_eq!(store.begin().map(drop).unwrap_err().kind(), ErrorKind::Poisoned);
    }
    error.kind()
}

/// A store is created, and the power is cut at any point. If there is a pointer, its manifest is
/// there.
#[test]
fn a_pointer_names_a_manifest_that_was_never_durable_while_the_store_was_created() {
    let init = workloads::all().into_iter().find(|workload| workload.name == "init").unwrap();
    let recorded = Recorded::of(&init, &plain()).unwrap();
    let mut pointers = 0;
    for point in recorded.points() {
        let (disk, _) = recorded.at(point);
        let cut = CrashPoint::new(disk, point as u64);
        for choice in cut.choices(4096) {
            let left = cut.image(&choice).disk;
            let Some(pointer) = bytes(&left, "CURRENT") else { continue };
            let pointer = Pointer::decode(&pointer).unwrap();
            let storage = Directory::new(Arc::new(SimFs::start(left, 2)));
            let manifest = read::manifest(&storage, pointer.head).unwrap();
            assert_eq!((manifest.generation, manifest.files), (Generation::FIRST, 0));
            pointers += 1;
        }
    }
    assert!(pointers > 0);
}

/// The pointer has its length and holds only NUL bytes. File systems leave such a file if its
/// length became durable first.
#[test]
fn a_pointer_of_nul_bytes() {
    let world = begun();
    let mut disk = world.fs.disk();
    let node = disk.find("CURRENT").unwrap().unwrap();
    let length = disk.files[&node].now.len();
    disk.files.insert(node, Data::durable(Arc::new(vec![0; length]), false));
    let fs = SimFs::start(disk, 2);
    let store = world::open(Arc::new(fs.clone())).unwrap();
    let report = store.recovery().unwrap();
    assert_eq!((report.serving.get(), report.degraded), (2, true));
    assert!(report.findings.iter().any(|finding| finding.path.as_deref() == Some("CURRENT")), "{report:?}");
    let (generation, state) = world::contents(&store).unwrap();
    assert_eq!((generation.get(), state["a.json"].as_slice()), (2, b"a".as_slice()));
    // The head may be older than the last acknowledged commit. Nothing is committed on top of it,
    // and nothing is lost.
    let mut tx = store.begin().unwrap();
    tx.put("a.json", "on top").unwrap();
    assert_eq!(tx.commit("on top").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(*bytes(&fs.disk(), "CURRENT").unwrap(), vec![0; length]);
}

/// The fsync of the manifest reports a failure, but the bytes are on the disk. The commit does not
/// show after a power cut.
#[test]
fn the_sync_of_a_manifest_fails_and_its_bytes_survive() {
    let is_manifest = |op: &Op| matches!(op, Op::Sync(path) if path.starts_with("manifests/"));
    for effect in EFFECTS {
        let mut world = begun();
        assert_eq!(fails(&mut world, Action::FailSync(effect), is_manifest), ErrorKind::Io, "{effect:?}");
        for left in after_a_power_cut(&world.fs) {
            let (head, next) = starts(&left);
            assert_eq!(head.get(), 2, "{effect:?}");
            let was_seen = bytes(&left, "manifests/0000000003.json").is_some();
            assert!(next.get() > 3 || !was_seen, "{effect:?}: number {next} was used again");
        }
        // The same start of the machine does not use the number again either. It was seen, whatever
        // the fsync did.
        let store = world.open(world.way()).unwrap();
        assert_eq!(world.commit(&store, &third()).unwrap().generation.get(), 4, "{effect:?}");
    }
}

/// The fsync of the root fails after the swap, and the caller rolls back. If the disk has stopped,
/// that works only after the next start of the machine.
#[test]
fn the_sync_after_the_swap_fails_and_the_caller_goes_back() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    for becomes in [Action::Fail(5)].into_iter().chain(EFFECTS.map(Action::FailSync)) {
        let mut world = begun();
        let swapped = AtomicBool::new(false);
        let rule = Arc::new(move |op: &Op| {
            let is_after = matches!(op, Op::SyncDir(dir) if dir.is_empty()) && swapped.swap(false, Relaxed);
            swapped.fetch_or(op.swaps() && op.to_string().contains("CURRENT.next"), Relaxed);
            if is_after { becomes } else { Action::PassThrough }
        });
        let store = world.open(Arc::new(FaultInjector::over(&world.fs, rule))).unwrap();
        let error = world.commit(&store, &third()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommitOutcomeUnknown, "{becomes:?}");
        drop(store);
        // Every process reads the new pointer until the machine stops.
        let store = world.open(world.way()).unwrap();
        assert_eq!(world::contents(&store).unwrap().0.get(), 3, "{becomes:?}");
        for left in after_a_power_cut(&world.fs) {
            let head = starts(&left).0.get();
            assert!([2, 3].contains(&head), "{becomes:?}");
            let mut again = World::start(left, 2, world.expect.clone());
            if head == 3 {
                goes_back(&mut again);
            }
        }
        let has_stopped = world.fs.has_stopped();
        assert_eq!(has_stopped, becomes != Action::Fail(5));
        if has_stopped {
            let back = world.rollback(&store, Generation::new(2).unwrap()).unwrap_err();
            assert_eq!(back.kind(), ErrorKind::Io, "{becomes:?}");
        } else {
            goes_back(&mut world);
        }
    }
}

/// Rolls back from generation 3. Nothing of it is removed.
fn goes_back(world: &mut World) {
    let before = bytes(&world.fs.disk(), "manifests/0000000003.json");
    let store = world.open(world.way()).unwrap();
    // The rollback is a generation of its own.
    assert_eq!(world.rollback(&store, Generation::new(2).unwrap()).unwrap().generation.get(), 4);
    for left in after_a_power_cut(&world.fs) {
        let store = world::open(Arc::new(SimFs::start(left, 3))).unwrap();
        assert_eq!(store.recovery(), None);
        let (head, state) = world::contents(&store).unwrap();
        assert_eq!((head.get(), state["a.json"].as_slice()), (4, b"a".as_slice()));
        let (_, third) = world::state_of(&store.snapshot_at(3).unwrap()).unwrap();
        assert_eq!(third["a.json"], b"third");
    }
    assert_eq!(before, bytes(&world.fs.disk(), "manifests/0000000003.json"));
}

/// The power is cut during a commit, and again during what follows. No number ever has two
/// contents.
#[test]
fn a_crash_during_recovery_and_a_number_that_is_used_twice() {
    let mut world = begun();
    world.record();
    let store = world.open(world.way()).unwrap();
    world.commit(&store, &third()).unwrap();
    drop(store);
    let first = Recorded::ended("a commit".into(), &world);
    let mut twice = 0;
    for point in first.points() {
        let (disk, expect) = first.at(point);
        let cut = CrashPoint::new(disk, point as u64);
        for left in cut.choices(4).iter().map(|choice| cut.image(choice).disk) {
            let mut seen = numbers(&left);
            let seen_first = oracle::highest(&oracle::numbers(&left));
            let mut again = World::start(left, 2, Expect::clone(expect));
            again.record();
            let store = again.open(again.way()).unwrap();
            again.commit(&store, &[put("a.json", "after the first power cut")]).unwrap();
            drop(store);
            let second = Recorded::ended("what follows".into(), &again);
            for point in second.points() {
                let (disk, _) = second.at(point);
                let cut = CrashPoint::new(disk, point as u64);
                for left in cut.choices(2).iter().map(|choice| cut.image(choice).disk) {
                    let visible = oracle::highest(&oracle::numbers(&left));
                    let (_, next) = starts(&left);
                    let highest = visible.max(seen_first);
                    assert!(next.get() > highest, "{next} after {highest}");
                    twice += 1;
                }
            }
            // Under a number there is what was seen, or nothing. There is never anything else.
            let now = numbers(&again.fs.disk());
            seen.retain(|number, _| now.contains_key(number));
            assert!(seen.iter().all(|(number, bytes)| now[number] == *bytes), "a number has another content");
        }
    }
    assert!(twice > 1000, "{twice}");
}

/// The manifests, by number.
fn numbers(disk: &Disk) -> BTreeMap<u64, Arc<Vec<u8>>> {
    let mut numbers = BTreeMap::new();
    oracle::walk(disk, &mut |path, data| {
        if let (Some(Name::Manifest(generation)), Some(data)) = (Name::parse(path), data) {
            numbers.insert(generation.get(), Arc::clone(&data.now));
        }
    });
    numbers
}

/// An fsync that reports a failure may have done everything, nothing, or have written zeros. A
/// later fsync that succeeds promises nothing about it. A simulation that knows only "not written"
/// misses what follows from that.
#[test]
fn a_failed_sync_is_not_simply_a_sync_that_wrote_nothing() {
    let sync_twice = |effect| {
        let fs = SimFs::start(Disk::default(), 1);
        let mut file = fs.create("file", Access::ReadOnly).unwrap();
        fs.sync_dir("").unwrap();
        file.write_all(b"written").unwrap();
        fs.fail_next_sync(effect);
        file.sync().unwrap_err();
        // The system believes that there is nothing left to write.
        file.sync().unwrap();
        let mut read = Vec::new();
        fs.open("file").unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, b"written", "processes still see it");
        let left = after_a_power_cut(&fs);
        let mut left: Vec<Vec<u8>> = left.iter().map(|disk| bytes(disk, "file").unwrap().to_vec()).collect();
        left.sort();
        left
    };
    assert_eq!(sync_twice(FailedSync::Kept), [b"written".to_vec()]);
    assert_eq!(sync_twice(FailedSync::Dropped), [b"".to_vec()]);
    assert_eq!(sync_twice(FailedSync::Zeroed), [vec![0; 7]]);
    let undecided = sync_twice(FailedSync::Undecided);
    assert!([&b""[..], b"written", &[0; 7]].iter().all(|way| undecided.iter().any(|left| left == way)));

    let rename = |effect| {
        let fs = SimFs::start(Disk::default(), 1);
        fs.create_dir("other").unwrap();
        fs.create_dir("empty").unwrap();
        fs.create("old", Access::ReadOnly).unwrap();
        fs.sync_dir("").unwrap();
        fs.rename("old", "new").unwrap();
        fs.create("other/file", Access::ReadOnly).unwrap();
        fs.fail_next_sync(effect);
        fs.sync_dir("").unwrap_err();
        check_has_stopped(&fs);
        assert_eq!(fs.list("").unwrap()[1].name, "new", "processes still see it");
        let left = after_a_power_cut(&fs);
        assert!(left.iter().any(|disk| disk.find("other/file").unwrap().is_none()), "that one fsync lied");
        let names = |disk: &Disk| ["old", "new"].map(|name| disk.find(name).unwrap().is_some());
        left.iter().map(names).collect::<BTreeSet<[bool; 2]>>()
    };
    assert_eq!(rename(FailedSync::Kept), [[false, true]].into());
    assert_eq!(rename(FailedSync::Dropped), [[true, false]].into());
    assert_eq!(rename(FailedSync::Undecided), [[false, true], [true, false]].into());
}

/// The fsync of a directory has failed. The disk can be read and takes no change. One fsync of
/// another directory still reports success.
#[track_caller]
fn check_has_stopped(fs: &SimFs) {
    fs.sync_dir("other").unwrap();
    let refused = [
        fs.sync_dir("other"),
        fs.sync_dir(""),
        fs.create("another", Access::ReadOnly).map(drop),
        fs.create_dir("another").map(drop),
        fs.rename("new", "old"),
        fs.rename_new("new", "old"),
        fs.remove("new"),
        fs.remove_dir("empty"),
        fs.try_lock("lock", LockMode::Shared).map(drop),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
}
