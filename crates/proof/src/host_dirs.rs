//! What is created outside a store, in directories that may have to be created: the place of a new
//! store, and an export.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

use super::faults::{self, Fault};
use super::oracle::{self, Verdict, hold};
use super::parallel::on_all_processors;
use super::world::{State, World, put, stream};
use crate::error::{ErrorKind, Operation, Result};
use crate::export::ExportOptions;
use crate::fs::host_dirs::{self, HostDirs};
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::crash_point::CrashPoint;
use crate::fs::sim::disk::Disk;
use crate::fs::{FileKind, Fs};
use crate::proof::injector::{Action, FaultInjector};
use crate::snapshot::Snapshot;
use crate::storage::export_dir::ExportDir;

/// The ways that are tried at each point, and after each fault. The points that matter have fewer.
const LIMIT: u64 = 512;
const LIMIT_FAULT: u64 = 24;

/// A disk as the whole system sees it.
#[derive(Debug)]
struct Simulated(FaultInjector);

fn relative(path: &Path) -> &str {
    path.to_str().unwrap().trim_start_matches('/')
}

impl HostDirs for Simulated {
    fn is_dir(&self, dir: &Path) -> bool {
        // The root has no name.
        let is_root = relative(dir).is_empty();
        is_root || matches!(self.0.stat(relative(dir)), Ok(Some(stat)) if stat.kind == FileKind::Directory)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<bool> {
        self.0.create_dir(relative(dir))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.remove_dir(relative(dir))
    }

    fn real(&self, dir: &Path) -> io::Result<PathBuf> {
        Ok(dir.to_owned())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(relative(from), relative(to))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(relative(dir))
    }
}

/// One thing that is created outside a store, and what must be there afterwards.
struct Work {
    name: &'static str,
    /// The directories that are there before. Their names may not be durable.
    dirs: &'static [&'static str],
    /// Where it is created, from the root on.
    target: &'static str,
    /// What is exported. `None` for the place of a store.
    snapshot: Option<Snapshot>,
    /// The files that must be there.
    expected: State,
    syncfs: bool,
}

const UNFINISHED: &str = ".unfinished";

impl Work {
    fn disk(&self, is_durable: bool) -> SimFs {
        let fs = SimFs::start(Disk::default(), 1);
        fs.offer_syncfs(self.syncfs);
        self.dirs.iter().for_each(|dir| assert!(fs.create_dir(dir).unwrap()));
        if is_durable {
            fs.settle();
        }
        fs
    }

    fn run(&self, injector: &FaultInjector) -> Result<()> {
        let host_dirs = Simulated(injector.clone());
        let dir = PathBuf::from(format!("/{}", self.target));
        let Some(snapshot) = &self.snapshot else {
            return host_dirs::create_dirs(&host_dirs, &dir);
        };
        injector
            .create_dir(UNFINISHED)
            .map_err(|error| crate::Error::io(Operation::Create, UNFINISHED, error))?;
        let unfinished = format!("/{UNFINISHED}").into();
        let target = Arc::new(injector.below(UNFINISHED));
        let target = ExportDir::begin_on(target, unfinished, Box::new(host_dirs), dir)?;
        snapshot.export_to(target, &ExportOptions::new()).map(drop)
    }

    /// The files at the target, `None` if there is no such directory.
    fn found(&self, disk: &Disk) -> Option<State> {
        disk.dir(self.target).ok()?;
        let mut files = State::new();
        oracle::walk(disk, &mut |path, data| {
            let path = path.strip_prefix(self.target).and_then(|path| path.strip_prefix('/'));
            files.extend(path.zip(data).map(|(path, data)| (path.to_owned(), data.now.to_vec())));
        });
        Some(files)
    }

    /// Whether it is there as a whole. An error if it is there in part.
    fn check(&self, disk: &Disk) -> Verdict<bool> {
        let Some(found) = self.found(disk) else { return Ok(false) };
        let was_there = self.dirs.contains(&self.target);
        hold!(
            found == self.expected || (was_there && found.is_empty()),
            "it is there in part: {:?}",
            found.keys()
        );
        Ok(found.len() == self.expected.len())
    }

    /// Whether it is there after a power cut, for at most `limit` ways.
    fn check_cut(&self, disk: &Disk, limit: u64) -> Verdict<BTreeSet<bool>> {
        let cut = CrashPoint::new(disk, 1);
        cut.choices(limit).iter().map(|choice| self.check(&cut.image(choice).disk)).collect()
    }

    fn check_lasts(&self, disk: &Disk) -> Verdict {
        hold!(self.check_cut(disk, LIMIT)? == BTreeSet::from([true]), "it does not last");
        Ok(())
    }
}

fn works() -> Vec<Work> {
    let numbered = |number: usize| put(&format!("other/f{number}.json"), &format!("file {number}"));
    let mut edits =
        vec![put("a.json", "a"), put("directory/deep/er/c.json", "c"), stream("other/d.json", "d")];
    edits.extend((0..9).map(numbered));
    let world = World::with(&[&edits]);
    let store = super::world::open(world.way()).unwrap();
    let (_, expected) = super::world::contents(&store).unwrap();
    let place = Work {
        name: "the place of a store",
        dirs: &["there"],
        target: "there/new/deep/store",
        snapshot: None,
        expected: State::new(),
        syncfs: false,
    };
    let mut works = vec![place];
    for syncfs in [false, true] {
        let export = |name, dirs, target| {
            let snapshot = Some(store.snapshot().unwrap());
            let expected = expected.clone();
            Work { name, dirs, target, snapshot, expected, syncfs }
        };
        works.push(export("an export", &["there"], "there/new/deep/out"));
        works.push(export("an export to an empty directory", &["there", "there/out"], "there/out"));
    }
    works
}

impl Work {
    fn describe(&self) -> String {
        format!("{} {}", self.name, if self.syncfs { "with one syncfs" } else { "with an fsync for each" })
    }
}

fn over(fs: &SimFs, rule: impl Fn(&Op) -> Action + Send + Sync + 'static) -> FaultInjector {
    FaultInjector::over(fs, Arc::new(rule))
}

/// The disk with its recording, and the operations.
fn trace(work: &Work) -> (SimFs, Vec<Op>) {
    let fs = work.disk(false);
    let injector = over(&fs, |_| Action::PassThrough);
    fs.record();
    work.run(&injector).unwrap();
    (fs, injector.take_trace())
}

#[test]
fn what_is_created_outside_is_whole_or_not_there() {
    let works = works();
    for work in &works {
        let (fs, ops) = trace(work);
        let wholes = ops.iter().filter(|op| **op == Op::SyncFs).count();
        assert_eq!(wholes, usize::from(work.syncfs), "{}", work.describe());
        work.check_lasts(&fs.disk()).unwrap_or_else(|wrong| panic!("{}: {wrong}", work.describe()));
        if work.snapshot.is_none() {
            continue;
        }
        for (number, step) in fs.recording().iter().enumerate() {
            work.check_cut(&step.before, LIMIT).unwrap_or_else(|wrong| {
                panic!("{} before operation {number}, {}: {wrong}", work.describe(), step.op)
            });
        }
    }
}

#[test]
fn each_sync_of_what_is_created_outside_is_noticed_when_it_is_left_out() {
    let works = works();
    for work in &works {
        let (_, ops) = trace(work);
        let named = ops.iter().position(|op| matches!(op, Op::Rename(..)));
        let mut noticed = 0;
        for (without, op) in ops.iter().enumerate().filter(|(_, op)| op.syncs()) {
            let is_redundant = match op {
                // The syncfs covers what was there before.
                Op::SyncDir(dir) if dir.is_empty() => work.syncfs,
                // The directory gets another name later.
                Op::SyncDir(dir) if dir == UNFINISHED => Some(without) < named,
                _ => false,
            };
            if is_redundant {
                continue;
            }
            let fs = work.disk(false);
            let seen = AtomicUsize::new(0);
            let leave_out = move |_: &Op| {
                if seen.fetch_add(1, Ordering::Relaxed) == without {
                    Action::Skip
                } else {
                    Action::PassThrough
                }
            };
            work.run(&over(&fs, leave_out)).unwrap();
            assert!(work.check_lasts(&fs.disk()).is_err(), "{} without {op}", work.describe());
            noticed += 1;
        }
        assert!(noticed >= 3, "{}: {noticed}", work.describe());
    }
}

/// The fsync of a directory in which something was created must not fail. The fsync of one that was
/// there before must not fail either, but the system may refuse it.
#[test]
fn a_directory_that_was_there_is_synced_unless_the_system_refuses() {
    let works = works();
    for work in &works {
        let run = |dir: &'static str, errno: Errno| {
            let fail = move |op: &Op| match op {
                Op::SyncDir(synced) if synced == dir => Action::Fail(errno.raw_os_error()),
                _ => Action::PassThrough,
            };
            work.run(&over(&work.disk(true), fail)).map_err(|error| error.kind())
        };
        for errno in [Errno::IO, Errno::NOSPC, Errno::MFILE, Errno::NOENT] {
            assert_eq!(run("", errno), Err(ErrorKind::Io), "{}: {errno:?}", work.describe());
        }
        for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::INVAL, Errno::NOTSUP, Errno::NOTTY] {
            assert_eq!(run("", errno), Ok(()), "{}: {errno:?}", work.describe());
            assert_eq!(run(work.dirs[0], errno), Err(ErrorKind::Io), "{}: {errno:?}", work.describe());
        }
    }
}

#[test]
fn what_is_created_outside_lasts_or_fails_as_a_whole() {
    let works = works();
    let mut faults = Vec::new();
    for (number, work) in works.iter().enumerate() {
        let ops = trace(work).1;
        for (at, op) in ops.iter().filter(|op| op.changes()).enumerate() {
            for becomes in faults::ways(op) {
                let fault = |for_ever| Fault { at, changes: true, becomes, for_ever, dies_after: None };
                faults.extend([false, true].map(|for_ever| (number, fault(for_ever))));
            }
        }
    }
    on_all_processors(&faults, |(number, fault)| {
        let work = &works[*number];
        check_fault(work, *fault).map_err(|wrong| format!("{} with {fault:?}: {wrong}", work.describe()))
    })
    .unwrap();
    println!("faults: {} faults of what is created outside a store, 0 violations", faults.len());
}

fn check_fault(work: &Work, fault: Fault) -> Verdict {
    let fs = work.disk(true);
    let before = names(&fs);
    let fired = Arc::default();
    let injector = FaultInjector::over(&fs, faults::rule(fault, &fs, &fired));
    let outcome = work.run(&injector);
    hold!(fired.get().is_some(), "the fault did not happen");
    let Err(error) = outcome else { return work.check_lasts(&fs.disk()) };
    let is_export = work.snapshot.is_some();
    let is_belated = matches!(fault.becomes, Action::FailAfter(_));
    let is_there = work.check(&fs.disk())?;
    let is_said = error.to_string().contains("may not survive a power cut");
    hold!(!is_export || is_belated || is_there == is_said, "there: {is_there}, but: {error}");
    work.check_cut(&fs.disk(), LIMIT_FAULT)?;
    if fs.has_stopped() {
        // The place of a store may count as created, but nothing can be put into it.
        let again = work.run(&over(&fs, |_| Action::PassThrough));
        hold!(again.is_err() || !is_export, "a stopped disk accepted it");
        return Ok(());
    }
    // The unfinished directory does this when it is dropped.
    clear(&fs, UNFINISHED);
    work.check_cut(&fs.disk(), LIMIT_FAULT)?;
    // A name that was given stays.
    if is_export && is_there {
        return Ok(());
    }
    let may_leave = fault.for_ever || is_belated;
    hold!(may_leave || names(&fs) == before, "it leaves {:?}", names(&fs));
    work.run(&over(&fs, |_| Action::PassThrough))
        .map_err(|error| format!("it cannot be repeated: {error}"))?;
    work.check_lasts(&fs.disk()).map_err(|wrong| format!("repeated, {wrong}"))
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
