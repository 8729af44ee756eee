//! What is made outside a store, in directories that may have to be made: the place of a new store, and an export.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::faults::{self, Fault};
use super::oracle::{self, Verdict, hold};
use super::scene::{Scene, State, put, stream};
use super::work::on_all_processors;
use crate::error::Result;
use crate::export::Export;
use crate::fs::layer::{Do, Layer};
use crate::fs::op::Op;
use crate::fs::outside::{self, Outside};
use crate::fs::sim::SimFs;
use crate::fs::sim::cut::Cut;
use crate::fs::sim::disk::Disk;
use crate::fs::{FileKind, Fs};
use crate::snapshot::Snapshot;

/// The ways that are tried at each point, and after each fault. The points that matter have fewer.
const LIMIT: u64 = 512;
const LIMIT_FAULT: u64 = 24;

/// A disk as the whole system sees it, and the directory that the process works in.
#[derive(Debug)]
struct Simulated {
    fs: Arc<dyn Fs>,
    works_in: &'static str,
}

fn relative(path: &Path) -> &str {
    path.to_str().unwrap().trim_start_matches('/')
}

impl Outside for Simulated {
    fn is_dir(&self, dir: &Path) -> bool {
        // The root has no name.
        let is_root = relative(dir).is_empty();
        is_root || matches!(self.fs.stat(relative(dir)), Ok(Some(stat)) if stat.kind == FileKind::Directory)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<bool> {
        self.fs.make_dir(relative(dir))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.fs.remove_dir(relative(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fs.rename(relative(from), relative(to))
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.fs.list(relative(dir))?.into_iter().map(|listed| listed.name.into()).collect())
    }

    fn flush_dir(&self, dir: &Path) -> io::Result<()> {
        self.fs.flush_dir(relative(dir))
    }

    fn is_worked_in(&self, dir: &Path) -> bool {
        relative(dir) == self.works_in
    }
}

/// One thing that is made outside, and what must be there when it was.
struct Work {
    name: &'static str,
    /// What is there before, each directory made by somebody who did not wait.
    dirs: &'static [&'static str],
    /// Where it is made, from the root on.
    target: &'static str,
    /// Whether the process works there.
    is_worked_in: bool,
    /// What is exported; nothing for the place of a store.
    snapshot: Option<Snapshot>,
    whole: bool,
}

const UNFINISHED: &str = ".unfinished";
const FILES: &str = "files";

impl Work {
    fn disk(&self, is_durable: bool) -> SimFs {
        let fs = SimFs::start(Disk::default(), 1);
        fs.offer_whole(self.whole);
        self.dirs.iter().for_each(|dir| assert!(fs.make_dir(dir).unwrap()));
        if is_durable {
            fs.settle();
        }
        fs
    }

    fn run(&self, fs: Arc<dyn Fs>) -> Result<()> {
        let works_in = if self.is_worked_in { self.target } else { "elsewhere" };
        let (outside, target) = (Simulated { fs, works_in }, format!("/{}", self.target));
        let Some(snapshot) = &self.snapshot else {
            return outside::make_dirs(&outside, target.as_ref());
        };
        let fs = &outside.fs;
        fs.make_dir(UNFINISHED).map_err(|error| crate::Error::io("cannot make", UNFINISHED, error))?;
        let files = format!("{UNFINISHED}/{FILES}");
        snapshot.export_into(Arc::clone(fs), &files, target.as_ref(), &Export::default())?;
        outside::publish(&outside, format!("/{UNFINISHED}").as_ref(), FILES, target.as_ref())
    }

    /// What is at the target, `None` where no directory is.
    fn found(&self, disk: &Disk) -> Option<State> {
        disk.dir(self.target).ok()?;
        let mut files = State::new();
        oracle::walk(disk, &mut |path, data| {
            let path = path.strip_prefix(self.target).and_then(|path| path.strip_prefix('/'));
            files.extend(path.zip(data).map(|(path, data)| (path.to_owned(), data.now.to_vec())));
        });
        Some(files)
    }

    /// Whether it is there, as a whole, or not begun.
    fn check(&self, disk: &Disk, expected: &State) -> Verdict<bool> {
        let Some(found) = self.found(disk) else { return Ok(false) };
        if self.is_worked_in {
            // Name by name.
            let wrong = found.iter().find(|(path, bytes)| expected.get(*path) != Some(bytes));
            hold!(wrong.is_none(), "it holds {wrong:?}");
            return Ok(found.len() == expected.len());
        }
        let was_there = self.dirs.contains(&self.target);
        hold!(
            found == *expected || (was_there && found.is_empty()),
            "it is there in part: {:?}",
            found.keys()
        );
        Ok(found.len() == expected.len())
    }

    /// The same after a power cut, in so many ways: whether it is there in each.
    fn check_cut(&self, disk: &Disk, expected: &State, limit: u64) -> Verdict<BTreeSet<bool>> {
        let cut = Cut::new(disk, 1);
        cut.picks(limit).iter().map(|pick| self.check(&cut.image(pick).disk, expected)).collect()
    }

    fn check_lasts(&self, disk: &Disk, expected: &State) -> Verdict {
        hold!(self.check_cut(disk, expected, LIMIT)? == BTreeSet::from([true]), "it does not last");
        Ok(())
    }
}

fn works() -> (Vec<Work>, State) {
    let numbered = |number: usize| put(&format!("other/f{number}.json"), &format!("file {number}"));
    let mut edits = vec![put("a.json", "a"), put("folder/deep/er/c.json", "c"), stream("other/d.json", "d")];
    edits.extend((0..9).map(numbered));
    let scene = Scene::with(&[&edits]);
    let store = super::scene::open(scene.way()).unwrap();
    let (_, expected) = super::scene::contents(&store).unwrap();
    let place = Work {
        name: "the place of a store",
        dirs: &["there"],
        target: "there/new/deep/store",
        is_worked_in: false,
        snapshot: None,
        whole: false,
    };
    let mut works = vec![place];
    for whole in [false, true] {
        let export = |name, dirs, target, is_worked_in| {
            let snapshot = Some(store.snapshot().unwrap());
            Work { name, dirs, target, is_worked_in, snapshot, whole }
        };
        works.push(export("an export", &["there"], "there/new/deep/out", false));
        works.push(export("an export to an empty directory", &["there", "there/out"], "there/out", false));
        works.push(export("an export to where the process works", &["here"], "here", true));
    }
    (works, expected)
}

impl Work {
    fn expected<'a>(&self, exported: &'a State, nothing: &'a State) -> &'a State {
        if self.snapshot.is_some() { exported } else { nothing }
    }

    fn describe(&self) -> String {
        format!(
            "{} {}",
            self.name,
            if self.whole { "with one flush of the whole" } else { "with a flush for each" }
        )
    }
}

/// The operations, and what each found.
fn trace(work: &Work) -> (SimFs, Vec<Op>) {
    let fs = work.disk(false);
    let layer = Layer::over(&fs, Arc::new(|_| Do::Asked));
    fs.record();
    work.run(Arc::new(layer.clone())).unwrap();
    (fs, layer.take_trace())
}

#[test]
fn l1_what_is_made_outside_is_whole_or_not_there() {
    let (works, exported) = works();
    for work in &works {
        let (fs, ops) = trace(work);
        let expected = work.expected(&exported, &State::new()).clone();
        let wholes = ops.iter().filter(|op| **op == Op::FlushWhole).count();
        assert_eq!(wholes, usize::from(work.whole), "{}", work.describe());
        work.check_lasts(&fs.disk(), &expected)
            .unwrap_or_else(|wrong| panic!("{}: {wrong}", work.describe()));
        if work.snapshot.is_none() {
            continue;
        }
        for (number, step) in fs.recording().iter().enumerate() {
            work.check_cut(&step.before, &expected, LIMIT).unwrap_or_else(|wrong| {
                panic!("{} before operation {number}, {}: {wrong}", work.describe(), step.op)
            });
        }
    }
}

#[test]
fn l1m_each_flush_of_what_is_made_outside_is_noticed_when_it_is_left_out() {
    let (works, exported) = works();
    for work in &works {
        let expected = work.expected(&exported, &State::new()).clone();
        let flushes: BTreeSet<Op> = trace(work).1.into_iter().filter(Op::flushes).collect();
        let mut noticed = 0;
        for without in flushes {
            // The root holds what was there when the whole was flushed; what is moved name by name leaves `FILES`.
            let is_redundant = matches!(&without, Op::FlushDir(path)
                if (work.whole && path.is_empty()) || (work.is_worked_in && path == UNFINISHED));
            if is_redundant {
                continue;
            }
            let (fs, left_out) = (work.disk(false), without.clone());
            let rule = move |op: &Op| if *op == left_out { Do::Pretend } else { Do::Asked };
            work.run(Arc::new(Layer::over(&fs, Arc::new(rule)))).unwrap();
            assert!(
                work.check_lasts(&fs.disk(), &expected).is_err(),
                "{} without {without}",
                work.describe()
            );
            noticed += 1;
        }
        assert!(noticed >= 3, "{}: {noticed}", work.describe());
    }
}

#[test]
fn l2_what_is_made_outside_lasts_or_fails_as_a_whole() {
    let (works, exported) = works();
    let mut faults = Vec::new();
    for (number, work) in works.iter().enumerate() {
        let ops = trace(work).1;
        for (at, op) in ops.iter().filter(|op| op.changes()).enumerate() {
            for becomes in faults::ways(op) {
                let fault = |for_ever| Fault { at, changes: true, becomes, for_ever };
                faults.extend([false, true].map(|for_ever| (number, fault(for_ever))));
            }
        }
    }
    on_all_processors(&faults, |(number, fault)| {
        let work = &works[*number];
        let nothing = State::new();
        check_fault(work, *fault, work.expected(&exported, &nothing))
            .map_err(|wrong| format!("{} with {fault:?}: {wrong}", work.describe()))
    })
    .unwrap();
    println!("L2: {} faults of what is made outside a store, 0 violations", faults.len());
}

fn check_fault(work: &Work, fault: Fault, expected: &State) -> Verdict {
    let fs = work.disk(true);
    let before = names(&fs);
    let fired = Arc::default();
    let layer = Layer::over(&fs, faults::rule(fault, &fs, &fired));
    let outcome = work.run(Arc::new(layer.clone()));
    hold!(fired.get().is_some(), "it did not fail");
    if outcome.is_ok() {
        return work.check_lasts(&fs.disk(), expected);
    }
    let is_there = work.check(&fs.disk(), expected)?;
    let was_renamed = layer.take_trace().iter().any(|op| matches!(op, Op::Rename(..)));
    hold!(!is_there || was_renamed || work.snapshot.is_none(), "it is there before it was renamed");
    work.check_cut(&fs.disk(), expected, LIMIT_FAULT)?;
    // What the value of the unfinished directory does when it goes.
    clear(&fs, UNFINISHED);
    work.check_cut(&fs.disk(), expected, LIMIT_FAULT)?;
    let is_belated = matches!(fault.becomes, Do::Belated(_));
    let may_leave = fault.for_ever || is_belated;
    // Of names that are given one by one some stay, where they cannot be taken back or may be somebody else's.
    if work.snapshot.is_some() && (is_there || (may_leave && work.is_worked_in)) {
        return Ok(());
    }
    hold!(may_leave || names(&fs) == before, "it leaves {:?}", names(&fs));
    work.run(Arc::new(fs.clone())).map_err(|error| format!("it cannot be tried again: {error}"))?;
    work.check_lasts(&fs.disk(), expected).map_err(|wrong| format!("tried again, {wrong}"))
}

fn names(fs: &SimFs) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    oracle::walk(&fs.disk(), &mut |path, _| names.extend([path.to_owned()]));
    names
}

fn clear(fs: &SimFs, dir: &str) {
    for listed in fs.list(dir).unwrap_or_default() {
        let path = format!("{dir}/{}", listed.name);
        if listed.is_directory {
            clear(fs, &path);
        } else {
            fs.remove(&path).unwrap();
        }
    }
    let _ = fs.remove_dir(dir);
}
