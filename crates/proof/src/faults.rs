//! Every operation fails in every way, once and for ever. Then the power is cut.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::{Discriminant, discriminant};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use super::crash::{self, Depth, Recorded, Seen};
use super::oracle::{self, Verdict, hold};
use super::parallel::{on_all_processors, shuffled};
use super::workloads::{self, Workload};
use super::world::{World, Wrap, plain, put};
use crate::error::ErrorKind;
use crate::format::names::{CHECKPOINTS, DATA, MANIFESTS, Name};
use crate::fs::Fs;
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::FailedSync;
use crate::proof::budget;
use crate::proof::injector::{Action, FaultInjector, Rule};

const ERRORS: [Errno; 7] =
    [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::MFILE, Errno::INTR, Errno::ROFS, Errno::ACCESS];
const EFFECTS: [FailedSync; 4] =
    [FailedSync::Kept, FailedSync::Dropped, FailedSync::Zeroed, FailedSync::Undecided];

/// What the failed fsync of a file, or a failed syncfs, has done when the process is killed while
/// it handles the failure. The failed fsync of a directory stops the disk, so there is nothing to
/// handle.
const KILLED: [FailedSync; 2] = [FailedSync::Dropped, FailedSync::Undecided];
/// How long the process lives at most, in operations that change something.
const HANDLING: usize = 16;
/// How long the process lives, in a run before each change.
const HANDLING_SOME: [usize; 4] = [0, 3, 8, WITHOUT_FILES];
/// After this many operations a commit of two files has removed the files, and its directories are
/// left. The power is then cut at each operation that follows.
const WITHOUT_FILES: usize = 10;

/// How one operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Fault {
    /// The number of the operation: among those that change something, or among those that only
    /// read.
    pub(super) at: usize,
    pub(super) changes: bool,
    pub(super) becomes: Action,
    pub(super) for_ever: bool,
    /// The process is killed after this many more operations.
    pub(super) dies_after: Option<usize>,
}

impl Fault {
    /// Whether another fault leaves the same, and the power is cut at each operation after that
    /// one. The other fault differs only in the number of its error: it is `EIO`, `ENOSPC` for
    /// ever, or for reads `EACCES`.
    fn is_like_another(self) -> bool {
        if let Some(lives_for) = self.dies_after {
            // What the failed fsync leaves is the same. What the killed process leaves shows at the
            // end.
            lives_for != WITHOUT_FILES
        } else if self.changes {
            fails_with(self.becomes, &[Errno::DQUOT, Errno::ROFS, Errno::ACCESS])
                || (!self.for_ever && fails_with(self.becomes, &[Errno::NOSPC]))
        } else {
            fails_with(self.becomes, &[Errno::MFILE, Errno::INTR])
        }
    }
}

/// Whether the operation fails with one of these errors, without any effect.
fn fails_with(becomes: Action, errors: &[Errno]) -> bool {
    errors.iter().any(|errno| becomes == Action::Fail(errno.raw_os_error()))
}

/// The directories of what was committed.
const COMMITTED: [&str; 3] = [MANIFESTS, CHECKPOINTS, DATA];

/// How reading fails. `EROFS` is missing: a read-only file system can be read.
const READ_ERRORS: [Errno; 4] = [Errno::IO, Errno::MFILE, Errno::INTR, Errno::ACCESS];

/// Every way in which an operation can fail.
pub(super) fn ways(op: &Op) -> Vec<Action> {
    let errors: &[Errno] = if op.changes() { &ERRORS } else { &READ_ERRORS };
    let mut ways: Vec<Action> = errors.iter().map(|errno| Action::Fail(errno.raw_os_error())).collect();
    if op.changes() {
        ways.extend(EFFECTS.map(Action::FailSync));
        ways.extend([Action::FailAfter(Errno::IO.raw_os_error()), Action::Short]);
        ways.push(Action::HalfAndFail(Errno::NOSPC.raw_os_error()));
    }
    ways.retain(|becomes| applies(op, *becomes));
    ways
}

/// Whether an operation can fail in this way. A full disk lets files be removed, for example.
fn applies(op: &Op, becomes: Action) -> bool {
    match becomes {
        Action::FailSync(_) => op.syncs(),
        Action::Short | Action::HalfAndFail(_) => matches!(op, Op::Write(_)),
        _ if fails_with(becomes, &[Errno::NOSPC, Errno::DQUOT]) => op.allocates(),
        _ if fails_with(becomes, &[Errno::MFILE]) => op.opens(),
        Action::FailAfter(_) => {
            matches!(op, Op::Rename(..) | Op::RenameNew(..) | Op::Create(_) | Op::CreateDir(_))
                || matches!(op, Op::Remove(_) | Op::RemoveDir(_))
        }
        _ => true,
    }
}

/// Lets the fault happen. Notes in `fired` the first operation that failed, and how many were
/// recorded before it.
pub(super) fn rule(fault: Fault, fs: &SimFs, fired: &Arc<OnceLock<(usize, Op)>>) -> Rule {
    let seen = AtomicUsize::new(0);
    let interrupted = AtomicUsize::new(0);
    let handling = AtomicUsize::new(0);
    let fs = fs.clone();
    let fired = Arc::clone(fired);
    Arc::new(move |op| {
        if op.changes() != fault.changes {
            return Action::PassThrough;
        }
        let number = seen.fetch_add(1, Ordering::Relaxed);
        if fired.get().is_some()
            && let Some(lives_for) = fault.dies_after
            && handling.fetch_add(1, Ordering::Relaxed) >= lives_for
        {
            return Action::Fail(Errno::IO.raw_os_error());
        }
        let is_due = number == fault.at || (fault.for_ever && number > fault.at);
        // After `EINTR` the library tries again. The third attempt succeeds.
        let is_interruption = fails_with(fault.becomes, &[Errno::INTR]);
        if is_due && is_interruption && interrupted.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            return Action::PassThrough;
        }
        if is_due && applies(op, fault.becomes) {
            fired.get_or_init(|| (fs.recorded(), op.clone()));
            fault.becomes
        } else {
            Action::PassThrough
        }
    })
}

/// The operations that a workload asks of the disk below a mutant.
pub(super) fn operations(workload: &Workload, mutant: &Wrap) -> Vec<Op> {
    let mut world = (workload.prepare)();
    let injector = FaultInjector::over(&world.fs, Arc::new(|_| Action::PassThrough));
    (workload.work)(&mut world, mutant(Arc::new(injector.clone()))).unwrap();
    injector.take_trace()
}

/// Counts the attempts to swap the pointer.
fn counting(world: &World, way: Arc<dyn Fs>) -> Arc<dyn Fs> {
    let swaps = Arc::clone(&world.swaps);
    Arc::new(FaultInjector::new(
        way,
        Arc::new(move |op| {
            swaps.fetch_add(op.swaps().into(), Ordering::Relaxed);
            Action::PassThrough
        }),
    ))
}

/// Runs a workload with a fault, and goes on as a user would. Then cuts the power at every
/// operation from the fault on. Gives whether the fault happened.
pub(super) fn check(workload: &Workload, fault: Fault, mutant: &Wrap, seen: &Seen) -> Verdict<bool> {
    let mut world = (workload.prepare)();
    world.wrap = Arc::clone(mutant);
    world.record();
    let fired = Arc::default();
    let injector = FaultInjector::over(&world.fs, rule(fault, &world.fs, &fired));
    let way = counting(&world, mutant(Arc::new(injector.clone())));
    let outcome = (workload.work)(&mut world, way);
    let trace = injector.take_trace();
    let Some((from, met)) = fired.get() else { return Ok(false) };
    if let Err(error) = &outcome {
        let swaps = world.swaps.load(Ordering::Relaxed);
        let expected = if swaps > 0 { ErrorKind::CommitOutcomeUnknown } else { ErrorKind::Io };
        // The one swap may be the one that settles the pointer, so that the commit's own was not
        // reached.
        let settles = workload.settles && swaps == 1;
        // An input error for ever counts as damage. A single one does not, for what was committed:
        // a second attempt reads it.
        let is_input_error = !fault.changes && fails_with(fault.becomes, &[Errno::IO]);
        let is_read_again = !fault.for_ever
            && matches!(met, Op::Open(path) | Op::Read(path)
                if path == "CURRENT" || COMMITTED.iter().any(|directory| path.starts_with(directory)));
        hold!(!is_input_error || !is_read_again, "it fails after a single failed read: {error}");
        hold!(
            error.kind() == expected
                || (settles && error.kind() == ErrorKind::Io)
                || (is_input_error && error.kind() == ErrorKind::Corrupt && (settles || swaps == 0)),
            "it fails with {:?}: {error}",
            error.kind()
        );
        // A disk that has stopped cannot record that a number was used.
        if !fault.for_ever && fault.dies_after.is_none() && !world.fs.has_stopped() {
            world.taken_back(taken_back(&trace));
        }
    }
    check_no_sync_is_retried(&trace)?;
    goes_on(&mut world, begun(&trace)).map_err(|wrong| format!("afterwards: {wrong}"))?;
    let recorded = Recorded::ended(format!("{} with {fault:?}", workload.name), &world);
    let last = recorded.steps.len();
    // The layer `crash` cuts the power before the fault.
    let is_cut = |point: &usize| {
        *point == last
            || (*point >= *from
                && !fault.is_like_another()
                && (!workload.is_long || is_chosen(&recorded, fault, *from, *point)))
    };
    let limit = if workload.is_long { LIMIT_LONG } else { LIMIT };
    crash::cut(&recorded, recorded.points().filter(is_cut), Depth::up_to(limit, budget::seed()), seen)?;
    Ok(true)
}

/// The most combinations that are tried at each operation after a fault.
const LIMIT: u64 = 4;
/// The same in long work, where the power is not cut at every operation: see [`is_chosen`].
const LIMIT_LONG: u64 = 2;
const NEAR: usize = 2;
const ONE_IN: u64 = 1024;

/// Whether the power is cut at this point of long work: soon after the fault, soon after a swap,
/// and at one point in [`ONE_IN`] of the others. The fault and the seed choose those.
fn is_chosen(recorded: &Recorded, fault: Fault, from: usize, point: usize) -> bool {
    let mut hasher = DefaultHasher::new();
    (fault, point, budget::seed()).hash(&mut hasher);
    point <= from + NEAR
        || recorded.steps[point.saturating_sub(NEAR)..point].iter().any(|step| step.op.swaps())
        || hasher.finish().is_multiple_of(ONE_IN)
}

/// The highest number under which the commit tried to create a name, even if the name was removed
/// later.
fn begun(trace: &[Op]) -> u64 {
    let made = trace.iter().filter_map(|op| match op {
        Op::Create(path) | Op::RenameNew(_, path) => Name::parse(path)?.generation(),
        _ => None,
    });
    oracle::highest(&made.collect())
}

/// The highest number of which a name was removed.
fn taken_back(trace: &[Op]) -> u64 {
    let removed = trace.iter().filter_map(|op| match op {
        Op::Remove(path) => Name::parse(path)?.generation(),
        _ => None,
    });
    oracle::highest(&removed.collect())
}

/// Opens the store again, in the same start of the machine. It must be in one of the possible
/// states and take commits. A commit of what was attempted must also work, and last.
fn goes_on(world: &mut World, begun: u64) -> Verdict {
    if world.fs.has_stopped() {
        return stands_still(world);
    }
    let visible = begun.max(oracle::highest(&oracle::numbers(&world.fs.disk())));
    let attempt = world.attempted.clone();
    let store = world.open_or_create().map_err(|error| format!("it cannot be opened or created: {error}"))?;
    hold!(store.recovery().is_none(), "it opens damaged: {:?}", store.recovery());
    if let Some(attempt) = attempt.filter(|attempt| !attempt.is_empty()) {
        let before = store.engine.known().link.generation;
        let commit = world
            .commit_state(&store, &attempt)
            .map_err(|error| format!("the attempt cannot be repeated: {error}"))?;
        let is_new = commit.generation != before;
        hold!(!is_new || commit.generation.get() > begun, "number {} was used again", commit.generation);
    }
    let commit = world
        .commit(&store, &[put("later.json", "after the fault")])
        .map_err(|error| format!("no commit works: {error}"))?;
    hold!(commit.generation.get() > visible, "number {} was used again", commit.generation);
    Ok(())
}

/// The disk takes no change until the machine starts again. Reads work, and every commit fails.
fn stands_still(world: &mut World) -> Verdict {
    let way = world.way();
    let refused = match world.open(Arc::clone(&way)) {
        Err(error) if error.is_missing_store() => world.init(way),
        Err(error) => return Err(format!("it does not open: {error}")),
        Ok(store) => {
            hold!(store.recovery().is_none(), "it opens damaged: {:?}", store.recovery());
            world.commit(&store, &[put("later.json", "after the fault")]).map(drop)
        }
    };
    let kind = refused.err().map(|error| error.kind());
    hold!(kind == Some(ErrorKind::Io), "a commit to a disk that has stopped gives {kind:?}");
    Ok(())
}

/// No file is fsynced again after its fsync has failed.
fn check_no_sync_is_retried(trace: &[Op]) -> Verdict {
    let mut synced = std::collections::BTreeSet::new();
    for op in trace {
        match op {
            Op::Sync(path) => hold!(synced.insert(path.clone()), "{path} was fsynced twice"),
            Op::Create(path) | Op::Remove(path) => drop(synced.remove(path)),
            _ => {}
        }
    }
    Ok(())
}

/// A long run tells how far it is after this many faults.
const TOLD: usize = 5000;

/// The workloads whose every operation fails.
pub(super) fn workloads() -> Vec<Workload> {
    let names = [
        "init",
        "first commit",
        "new directories three deep",
        "streamed input",
        "all kinds of change",
        "rollback",
        "several commits",
        "checkpoint",
        "directories that a copy has lost",
        "commit of 14 files in directories with one syncfs",
        "the fsync after a swap fails and another one commits the same",
        "a writer is killed before its swap and another one commits the same",
        "a writer is killed after its swap and another one commits the same",
    ];
    let all: Vec<Workload> =
        workloads::all().into_iter().filter(|workload| names.contains(&workload.name.as_str())).collect();
    assert_eq!(all.len(), names.len());
    all
}

/// An operation, and the kinds of file and directory that it concerns. Operations of one kind can
/// fail in the same ways.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Kind {
    op: Discriminant<Op>,
    paths: Vec<PathKind>,
}

/// The kind of name if the store knows it. Else the first directory of the path, and whether the
/// path goes deeper.
#[derive(PartialEq, Eq, Hash, Debug)]
enum PathKind {
    Named(Discriminant<Name>),
    Other(String, bool),
}

impl Kind {
    fn of(op: &Op) -> Self {
        let kind = |path: &str| match Name::parse(path) {
            Some(name) => PathKind::Named(discriminant(&name)),
            None => {
                let first = path.split('/').next().unwrap_or_default();
                PathKind::Other(first.to_owned(), first.len() < path.len())
            }
        };
        let paths = paths(op).into_iter().map(kind).collect();
        Self { op: discriminant(op), paths }
    }
}

/// The paths that an operation names.
fn paths(op: &Op) -> Vec<&str> {
    match op {
        Op::Create(path)
        | Op::Open(path)
        | Op::Stat(path)
        | Op::CreateDir(path)
        | Op::Remove(path)
        | Op::RemoveDir(path)
        | Op::List(path)
        | Op::SyncDir(path)
        | Op::Lock(path)
        | Op::Note(path)
        | Op::Read(path)
        | Op::Write(path)
        | Op::Sync(path) => vec![path],
        Op::Rename(from, to) | Op::RenameNew(from, to) => vec![from, to],
        Op::OpenSyncFs | Op::SyncFs => Vec::new(),
    }
}

/// The first operation of each kind, and the first two fsyncs of each kind, with their numbers.
/// Every kind of fault that the operations can meet, these can meet.
pub(super) fn first_of_each_kind(operations: Vec<Op>) -> Vec<(usize, Op)> {
    let mut seen: HashMap<Kind, usize> = HashMap::new();
    let mut is_chosen = |op: &Op| {
        let before = seen.entry(Kind::of(op)).or_default();
        *before += 1;
        *before <= if op.syncs() { 2 } else { 1 }
    };
    operations.into_iter().enumerate().filter(|(_, op)| is_chosen(op)).collect()
}

/// Every way in which one operation can fail: once and for ever, and with the process killed
/// afterwards or not.
fn faults_of(at: usize, op: &Op, handling: &[usize]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for becomes in ways(op) {
        let fault = |for_ever, dies_after| Fault { at, changes: op.changes(), becomes, for_ever, dies_after };
        faults.extend([false, true].map(|for_ever| fault(for_ever, None)));
        if KILLED.map(Action::FailSync).contains(&becomes) && !matches!(op, Op::SyncDir(_)) {
            faults.extend(handling.iter().map(|lives_for| fault(false, Some(*lives_for))));
        }
    }
    faults
}

/// Tries faults of the operations that change something, or of those that only read, on all
/// processors. A run before each change takes the [`workloads`], and of each the
/// [`first_of_each_kind`]. A long run takes all operations of all workloads, and of these faults as
/// many as were asked for. Gives how many were tried, and how many there are.
fn everything(changes: bool, seen: &Seen) -> Verdict<(usize, usize)> {
    let wanted = Some(budget::runs(0)).filter(|wanted| *wanted > 0);
    let workloads = if wanted.is_some() { workloads::all() } else { workloads() };
    let handling = if wanted.is_some() { (0..HANDLING).collect() } else { HANDLING_SOME.to_vec() };
    let mut faults = Vec::new();
    let mut all = 0;
    for (number, workload) in workloads.iter().enumerate() {
        let mut operations = operations(workload, &plain());
        operations.retain(|op| op.changes() == changes);
        let faults_of = |(at, op): &(usize, Op)| faults_of(*at, op, &handling);
        let every: Vec<(usize, Op)> = operations.iter().cloned().enumerate().collect();
        all += every.iter().flat_map(faults_of).count();
        let chosen = if wanted.is_some() { every } else { first_of_each_kind(operations) };
        faults.extend(chosen.iter().flat_map(faults_of).map(|fault| (number, fault)));
    }
    if let Some(wanted) = wanted {
        faults = shuffled(faults, budget::seed());
        // Long work comes last.
        faults.sort_by_key(|(workload, _)| workloads[*workload].is_long);
        faults.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
    }
    let short = faults.iter().filter(|(workload, _)| !workloads[*workload].is_long).count();
    let mut done = 0;
    for some in faults.chunks(TOLD) {
        on_all_processors(some, |(number, fault)| {
            let workload = &workloads[*number];
            check(workload, *fault, &plain(), seen)
                .and_then(|met| if met { Ok(()) } else { Err("the fault did not happen".into()) })
                .map_err(|wrong| format!("{} with {fault:?}: {wrong}", workload.name))
        })?;
        done += some.len();
        if wanted.is_some() {
            println!("faults: {done} so far, {} of them in long work", done.saturating_sub(short));
        }
    }
    Ok((done, all))
}

#[expect(clippy::disallowed_methods, reason = "the elapsed time is printed")]
fn run(what: &str, changes: bool) {
    let seen = Seen::default();
    let start = std::time::Instant::now();
    let (faults, all) =
        everything(changes, &seen).unwrap_or_else(|wrong| panic!("seed {}: {wrong}", budget::seed()));
    println!(
        "faults: {faults} of {all} faults tried of {what}, {} distinct states after them, {} s, 0 violations, seed {}",
        seen.count(),
        start.elapsed().as_secs(),
        budget::seed()
    );
}

#[test]
fn a_kill_after_so_many_operations_leaves_directories_without_files() {
    let workload =
        workloads().into_iter().find(|workload| workload.name == "new directories three deep").unwrap();
    let mut changes = operations(&workload, &plain()).into_iter().filter(Op::changes);
    let fault = Fault {
        at: changes.position(|op| matches!(op, Op::Sync(path) if path.starts_with(DATA))).unwrap(),
        changes: true,
        becomes: Action::FailSync(FailedSync::Dropped),
        for_ever: false,
        dies_after: Some(WITHOUT_FILES),
    };
    let mut world = (workload.prepare)();
    let injector = FaultInjector::over(&world.fs, rule(fault, &world.fs, &Arc::default()));
    (workload.work)(&mut world, Arc::new(injector)).unwrap_err();
    assert_eq!(world.fs.list("data/one/two/three").unwrap(), []);
    assert_eq!(world.fs.list("data/one/two").unwrap().len(), 1);
}

#[test]
fn the_first_of_each_kind_are_of_all_kinds() {
    for workload in workloads() {
        let all = operations(&workload, &plain());
        let kinds: HashSet<Kind> = all.iter().map(Kind::of).collect();
        let first = first_of_each_kind(all.clone());
        assert!(first.len() < all.len());
        assert!(first.iter().all(|(at, op)| all[*at] == *op));
        assert_eq!(first.iter().map(|(_, op)| Kind::of(op)).collect::<HashSet<Kind>>(), kinds);
    }
    let op = |name: &str| Op::Sync(name.to_owned());
    let files = ["data/a.g3", "data/b/c.g3", "data/d.g4", "manifests/0000000003.json"].map(op);
    let first = first_of_each_kind(files.to_vec());
    assert_eq!(first.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1, 3]);
}

#[test]
fn every_operation_that_changes_something_fails_in_every_way() {
    run("operations that change something", true);
}

#[test]
fn every_operation_that_reads_fails_in_every_way() {
    run("operations that read", false);
}
