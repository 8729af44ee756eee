//! Folders that are there and may not last are made anew, and others are not touched.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Bed;
use crate::engine::create::{create_on, open_on};
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::cut::Cut;
use crate::fs::sim::disk::{Disk, FailedFlush};
use crate::fs::{Access, Fs};
use crate::proof::layer::{Beside, Do, Layer, Rule};
use crate::store::Store;

const IO: Do = Do::Fail(5);
const DENIED: i32 = 13;

/// A store on the simulated disk, in which everything is durable.
struct Sim(SimFs);

impl Sim {
    fn empty() -> Self {
        let fs = SimFs::start(Disk::default(), 1);
        create_on(Arc::new(fs.clone()), Path::new("simulated"), Bed::options()).unwrap();
        Self(fs)
    }

    /// With one folder.
    fn store() -> Self {
        let sim = Self::empty();
        sim.save("known/a").unwrap();
        sim.0.settle();
        sim
    }

    fn save(&self, path: &str) -> crate::Result<u64> {
        self.save_under(path, Arc::new(|_| Do::Asked))
    }

    fn save_under(&self, path: &str, rule: Rule) -> crate::Result<u64> {
        save(&open(Arc::new(Layer::over(&self.0, rule))).unwrap(), path)
    }

    /// Saves until what `at` says is asked for; from then on nothing can be done.
    fn killed(&self, path: &str, at: fn(&Op) -> bool) {
        self.save_under(path, dead_from(at, Do::Fail(5))).unwrap_err();
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.0.list(folder).unwrap().into_iter().map(|listed| listed.name).collect();
        names.sort();
        names
    }

    /// The newest generation, and what it holds under this path, after a power cut that keeps nothing that was not
    /// flushed.
    #[track_caller]
    fn check_lasts(&self, generation: u64, path: &str) {
        let disk = self.0.disk();
        let cut = Cut::new(&disk, 1);
        let left = cut.image(&cut.nothing_kept());
        let snapshot = open(Arc::new(SimFs::start(left.disk, 9))).unwrap().snapshot().unwrap();
        assert_eq!(snapshot.generation().get(), generation);
        assert_eq!(snapshot.get(path).unwrap(), format!("{path} and more").as_bytes());
    }
}

fn open(fs: Arc<dyn Fs>) -> crate::Result<Store> {
    open_on(fs, Path::new("simulated"), Bed::options()).map(Store::from)
}

fn save(store: &Store, path: &str) -> crate::Result<u64> {
    let mut tx = store.begin()?;
    tx.put(path, format!("{path} and more"))?;
    Ok(tx.commit("save")?.generation.get())
}

/// What `at` says becomes `becomes`, and from then on nothing can be done.
fn dead_from(at: fn(&Op) -> bool, becomes: Do) -> Rule {
    let dead = AtomicBool::new(false);
    Arc::new(move |op| {
        if dead.load(Ordering::Relaxed) {
            return if op.changes() { IO } else { Do::Asked };
        }
        if at(op) {
            dead.store(true, Ordering::Relaxed);
            return becomes;
        }
        Do::Asked
    })
}

fn save_killed(bed: &Bed, path: &str) {
    let killed = Layer::new(bed.fs.way(), dead_from(|op| op.flushes(), IO));
    let killed = open_on(Arc::new(killed), bed.path(), Bed::options()).unwrap();
    save(&killed.into(), path).unwrap_err();
    bed.fs.take_trace();
}

/// The same from the first name that is made on.
fn late(rule: Rule) -> Rule {
    let begun = AtomicBool::new(false);
    Arc::new(move |op| {
        let is_begun = begun.fetch_or(op.changes(), Ordering::Relaxed);
        if is_begun { rule(op) } else { Do::Asked }
    })
}

fn once(at: fn(&Op) -> bool, becomes: Do) -> Rule {
    let due = AtomicBool::new(true);
    Arc::new(move |op| if at(op) && due.swap(false, Ordering::Relaxed) { becomes } else { Do::Asked })
}

fn flushes_data(op: &Op) -> bool {
    *op == Op::FlushDir("data".into())
}

const DROPS: Do = Do::FailFlush(FailedFlush::Dropped);

/// Another name and back again, and then the flush.
fn is_made_anew(trace: &[Op], folder: &str) -> bool {
    let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
    let back = |op: &Op| matches!(op, Op::Rename(_, to) if to == folder);
    let at = trace.iter().position(back);
    at.is_some_and(|at| trace[at..].contains(&Op::FlushDir(above.to_owned())))
}

#[test]
fn a_folder_that_a_killed_save_has_left_gets_its_name_anew_and_keeps_what_is_in_it() {
    let (bed, store) = Bed::store();
    save(&store, "known/a").unwrap();
    save_killed(&bed, "known/new/deep/b");
    let left = bed.tree();
    assert!(left.contains_key("data/known/new/deep/b.g3"), "{:?}", left.keys());

    save(&bed.open().unwrap(), "known/c").unwrap();
    assert!(
        !bed.fs.take_trace().iter().any(|op| matches!(op, Op::Rename(from, _) if from.starts_with("data")))
    );
    save(&bed.open().unwrap(), "known/new/deep/d").unwrap();
    let trace = bed.fs.take_trace();
    assert!(is_made_anew(&trace, "data/known/new") && is_made_anew(&trace, "data/known/new/deep"));
    assert!(!is_made_anew(&trace, "data/known"), "it holds what was saved");
    for name in left.keys().filter(|name| name.starts_with("data/")) {
        assert_eq!(bed.tree().get(name), left.get(name), "{name}");
    }
    save(&bed.open().unwrap(), "known/new/deep/e").unwrap();
    let trace = bed.fs.take_trace();
    assert!(
        !trace.iter().any(|op| matches!(op, Op::List(folder) if folder.starts_with("data"))),
        "once is enough"
    );
}

#[test]
fn where_every_save_has_ended_well_no_folder_is_looked_at() {
    let (bed, store) = Bed::store();
    let looks = || {
        let trace = bed.fs.take_trace();
        trace.iter().any(|op| matches!(op, Op::List(folder) | Op::Stat(folder) if folder.starts_with("data")))
    };
    std::fs::create_dir_all(bed.path().join("data/theirs")).unwrap();
    bed.fs.take_trace();
    for path in ["theirs/a", "new/deep/b", "c"] {
        save(&store, path).unwrap();
        assert!(!looks(), "{path}");
        let mut tx = store.begin().unwrap();
        tx.remove(path).unwrap();
        tx.commit("gone").unwrap();
        save(&store, path).unwrap();
        assert!(!looks(), "{path}");
    }
    // Nor after another start of the machine, but for numbers.
    save_killed(&bed, "killed/d");
    bed.fs.set_boot("the next start");
    save(&store, "killed/first").unwrap();
    assert!(looks());
    save(&store, "killed/second").unwrap();
    assert!(!looks());
    // And until then after each that did not.
    save_killed(&bed, "other/e");
    looks();
    for path in ["other/f", "theirs/g", "more/h"] {
        save(&store, path).unwrap();
        assert_eq!(looks(), !path.starts_with("theirs/"), "{path}: it keeps a file of the head");
    }
}

#[test]
fn a_number_is_looked_up_once_however_many_folders_have_it() {
    let (bed, store) = Bed::store();
    save(&store, "stays").unwrap();
    let mut tx = store.begin().unwrap();
    (0..50).for_each(|n| tx.put(&format!("f{n}/a"), "1").unwrap());
    tx.commit("many folders").unwrap();
    let mut tx = store.begin().unwrap();
    (0..50).for_each(|n| tx.remove(&format!("f{n}/a")).unwrap());
    tx.commit("none").unwrap();
    save_killed(&bed, "other/e");
    bed.fs.take_trace();
    let mut tx = bed.open().unwrap().begin().unwrap();
    (0..50).for_each(|n| tx.put(&format!("f{n}/a"), "1").unwrap());
    tx.commit("many folders").unwrap();
    let trace = bed.fs.take_trace();
    assert_eq!(
        trace.iter().filter(|op| matches!(op, Op::List(folder) if folder.starts_with("data/f"))).count(),
        50
    );
    assert!(!trace.iter().any(|op| matches!(op, Op::Rename(from, _) if from.starts_with("data"))));
    let read = |number: u64| Op::Open(format!("manifests/{number:010}.json"));
    assert!(trace.iter().filter(|op| **op == read(4)).count() <= 3, "to open, and to look");
}

#[test]
fn a_history_that_cannot_be_read_now_is_an_error_and_a_damaged_one_keeps_a_folder() {
    let sim = Sim::store();
    sim.killed("new/b", |op| op.flushes());
    assert_eq!(sim.save("known/other").unwrap(), 4);
    let rule: Rule = Arc::new(|op| match op {
        Op::Open(name) if name == "manifests/0000000004.json" => Do::Fail(24),
        _ => Do::Asked,
    });
    let layer = Layer::over(&sim.0, Arc::new(|_| Do::Asked));
    let store = open(Arc::new(layer)).unwrap();
    drop(store);
    let store = open(Arc::new(Layer::over(&sim.0, late(rule)))).unwrap();
    let error = save(&store, "new/c").unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("manifests/0000000004.json"), "{error}");
}

#[test]
fn a_folder_whose_name_a_failed_flush_has_dropped_holds_nothing_that_is_acknowledged() {
    let sim = Sim::store();
    sim.save_under("new/b", dead_from(flushes_data, DROPS)).unwrap_err();
    assert_eq!(sim.names("data"), ["known", "new"]);
    // Saves to elsewhere do not take the doubt away.
    assert_eq!(sim.save("known/other").unwrap(), 4);
    let generation = sim.save("new/c").unwrap();
    sim.check_lasts(generation, "new/c");
}

#[test]
fn so_it_is_where_somebody_else_has_made_it() {
    let sim = Sim::store();
    sim.0.make_dir("data/new").unwrap();
    sim.save_under("new/b", once(flushes_data, DROPS)).unwrap_err();
    let generation = sim.save("new/c").unwrap();
    sim.check_lasts(generation, "new/c");
}

#[test]
fn so_it_is_where_it_was_made_although_that_failed() {
    let sim = Sim::store();
    let made = once(|op| *op == Op::MakeDir("data/new".into()), Do::Belated(5));
    sim.save_under("new/b", made).unwrap_err();
    sim.save_under("new/b", once(flushes_data, DROPS)).unwrap_err();
    let generation = sim.save("new/c").unwrap();
    sim.check_lasts(generation, "new/c");
}

#[test]
fn so_it_is_where_somebody_else_has_put_something_into_it() {
    let sim = Sim::store();
    let mut layer = Layer::over(&sim.0, once(flushes_data, DROPS));
    let beside: Beside = Arc::new(|fs, op| {
        if flushes_data(op) {
            let _ = fs.create("data/new/.DS_Store", Access::Writable);
        }
    });
    layer.beside = Some(beside);
    save(&open(Arc::new(layer)).unwrap(), "new/b").unwrap_err();
    assert_eq!(sim.names("data/new"), [".DS_Store"]);
    let generation = sim.save("new/c").unwrap();
    sim.check_lasts(generation, "new/c");
    assert_eq!(sim.names("data/new"), [".DS_Store", &format!("c.g{generation}")]);
}

#[test]
fn so_it_is_where_an_attempt_found_its_number_taken() {
    let sim = Sim::store();
    drop(sim.0.create("data/z.g3", Access::Writable).unwrap());
    sim.0.settle();
    let removes = once(|op| *op == Op::RemoveDir("data/new".into()), IO);
    let drops = once(flushes_data, DROPS);
    let rule: Rule = Arc::new(move |op| match removes(op) {
        Do::Asked => drops(op),
        other => other,
    });
    let store = open(Arc::new(Layer::over(&sim.0, rule))).unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("new/b", "b").unwrap();
    tx.put("z", "z").unwrap();
    tx.commit("fails").unwrap_err();
    let generation = sim.save("new/c").unwrap();
    sim.check_lasts(generation, "new/c");
}

#[test]
fn so_it_is_of_the_folder_of_all_files() {
    let sim = Sim::empty();
    sim.0.remove_dir("data").unwrap();
    sim.0.settle();
    sim.save_under("a", dead_from(|op| *op == Op::FlushDir(String::new()), DROPS)).unwrap_err();
    assert_eq!(sim.names("data"), [""; 0]);
    let generation = sim.save("b").unwrap();
    sim.check_lasts(generation, "b");
}

#[test]
fn the_folder_of_all_files_is_never_away_while_a_number_is_in_it() {
    let sim = Sim::empty();
    sim.killed("b", Op::swaps);
    assert_eq!(sim.names("data"), ["b.g2"]);
    let layer = Layer::over(&sim.0, Arc::new(|_| Do::Asked));
    save(&open(Arc::new(layer.clone())).unwrap(), "a").unwrap();
    assert!(!layer.take_trace().iter().any(|op| matches!(op, Op::Rename(from, _) if from == "data")));
}

#[test]
fn a_folder_that_holds_something_committed_is_never_away() {
    let renames = |path: &str, rule: Rule| {
        let sim = Sim::store();
        sim.save("p/secret/a").unwrap();
        sim.save("q").unwrap();
        let store = open(Arc::new(sim.0.clone())).unwrap();
        let mut tx = store.begin().unwrap();
        tx.remove("p/secret/a").unwrap();
        tx.commit("only history has it").unwrap();
        sim.0.settle();
        sim.killed("p/b", Op::swaps);
        let layer = Layer::over(&sim.0, rule);
        save(&open(Arc::new(layer.clone())).unwrap(), path).unwrap();
        layer
            .take_trace()
            .into_iter()
            .filter(|op| matches!(op, Op::Rename(from, _) if from.starts_with("data")))
            .count()
    };
    assert_eq!(renames("p/c", Arc::new(|_| Do::Asked)), 0);
    // What cannot be seen may be committed.
    let hidden: Rule =
        Arc::new(|op| if *op == Op::List("data/p/secret".into()) { Do::Fail(DENIED) } else { Do::Asked });
    assert_eq!(renames("p/c", hidden), 0);
}

#[test]
fn a_folder_that_cannot_be_renamed_blocks_no_save() {
    // EACCES, EPERM, EBUSY, EXDEV: somebody else's, immutable, a mount point, of a lower layer.
    for errno in [DENIED, 1, 16, 18] {
        let sim = Sim::store();
        sim.killed("other/new/b", |op| op.flushes());
        let rule: Rule = Arc::new(move |op| match op {
            Op::Rename(from, _) if from.starts_with("data/other") => Do::Fail(errno),
            _ => Do::Asked,
        });
        let generation = sim.save_under("other/new/c", rule).unwrap();
        sim.check_lasts(generation, "other/new/c");

        let sim = Sim::empty();
        let rule: Rule = Arc::new(move |op| match op {
            Op::Rename(from, _) if from == "data" => Do::Fail(errno),
            _ => Do::Asked,
        });
        let generation = sim.save_under("a", rule).unwrap();
        sim.check_lasts(generation, "a");
    }
}

#[test]
fn a_folder_that_fails_to_be_made_anew_is_named_and_still_there() {
    for becomes in [IO, Do::Belated(5)] {
        let sim = Sim::store();
        sim.killed("new/b", |op| op.flushes());
        let rule = once(|op| matches!(op, Op::Rename(from, _) if from == "data/new"), becomes);
        let error = sim.save_under("new/c", rule).unwrap_err().to_string();
        assert!(error.starts_with("cannot make anew data/new: "), "{error}");
        assert_eq!(sim.names("data"), ["known", "new"]);
        let generation = sim.save("new/c").unwrap();
        sim.check_lasts(generation, "new/c");
    }
}

#[test]
fn a_folder_of_files_that_a_copy_has_lost_is_durable_before_anything_is_in_it() {
    let (bed, store) = Bed::store();
    std::fs::remove_dir(bed.path().join("data")).unwrap();
    bed.fs.take_trace();
    save(&store, "a").unwrap();
    let trace = bed.fs.take_trace();
    let place = |is: &Op| trace.iter().position(|op| op == is).unwrap();
    let made = place(&Op::MakeDir("data".into()));
    assert_eq!(trace[made + 1], Op::FlushDir(String::new()));
    assert!(made < place(&Op::Create("data/a.g2".into())));
}
