//! Sequences of operations on a simulated disk, with power cuts and killed writers between and
//! within the operations.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::disk::{Disk, Tree};
use super::operations::{Op, Run, unnumbered};
use crate::fs::op::Op as PassThrough;
use crate::fs::sim::crash_point::CrashPoint;
use crate::fs::sim::{self, SimFs};

/// The bytes of one step.
pub(super) const WIDTH: usize = 8;

/// The most steps of one sequence. That is enough for checkpoints to be written.
pub(super) const STEPS_MAX: usize = 192;

/// How many ways to cut the power are considered at one moment. One of them is taken.
const WAYS: u64 = 64;

/// How many moments at the end of an operation are taken more often than the others.
const LATE: usize = 8;

/// Paths that can be in one generation together. Where a syncfs is offered, a commit of so many
/// files uses it.
const MANY: [&str; 8] = ["a", "b", "c", "d/x", "d/y", "d/e/z", "a b", "a!"];

/// When the power is cut, and which of the things are lost that no fsync has promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PowerCut {
    /// Chooses a moment at which the disk changes. Every second number chooses one of the last
    /// [`LATE`] moments, where a commit takes effect.
    moment: u8,
    way: u16,
}

impl PowerCut {
    /// The number of the recorded operation before which the power is cut, and the disk that is
    /// left.
    fn leaves(self, fs: &SimFs, recorded: &[sim::Step]) -> (usize, sim::disk::Disk) {
        // An operation that changes nothing adds no moment.
        let points: Vec<usize> = (0..=recorded.len())
            .filter(|point| [0, recorded.len()].contains(point) || recorded[point - 1].op.changes())
            .collect();
        let early = if self.moment.is_multiple_of(2) { 0 } else { points.len().saturating_sub(LATE) };
        let point = points[early + usize::from(self.moment / 2) * (points.len() - early) / 128];
        let done = recorded.get(point).map_or_else(|| fs.disk(), |step| step.before.clone());
        let undecided = CrashPoint::new(&done, u64::from(self.way));
        let choices = undecided.choices(WAYS);
        (point, undecided.image(&choices[usize::from(self.way) % choices.len()]).disk)
    }
}

/// What interrupts an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Crash {
    PowerCut(PowerCut),
    /// All processes are killed after the last swap of the pointer, and before the fsync after it.
    /// Without a swap nothing happens.
    Killed,
}

/// An operation, and what interrupts it, if anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    op: Op,
    /// What is put under each of [`MANY`] before a commit, if anything.
    fill: Option<u8>,
    crash: Option<Crash>,
}

impl Step {
    /// Commits are interrupted more often than other operations.
    pub(super) fn of([kind, who, one, two, chance, moment, high, low]: [u8; WIDTH]) -> Self {
        let op = Op::of([kind, who, one, two]);
        let is_commit = matches!(op, Op::Commit { .. } | Op::Rollback { .. });
        // A commit does not use these bytes otherwise.
        let is_of_many = matches!(op, Op::Commit { .. }) && one < 48;
        let crash = match (chance, is_commit) {
            (..80, true) | (..6, false) => {
                Some(Crash::PowerCut(PowerCut { moment, way: u16::from_be_bytes([high, low]) }))
            }
            (80..112, true) => Some(Crash::Killed),
            _ => None,
        };
        Self { op, fill: is_of_many.then_some(two), crash }
    }
}

/// How often each outcome occurred.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Cuts {
    pub(super) all: u64,
    /// A generation was in flight, and was there afterwards.
    pub(super) new: u64,
    /// A generation was in flight, and was gone afterwards.
    pub(super) old: u64,
    /// A generation was in flight and is gone, but it has left names that take its number.
    pub(super) interrupted: u64,
    /// The writer was killed after a swap, before the fsync.
    pub(super) killed: u64,
    /// A power cut took away the generation of such a writer.
    pub(super) unsynced: u64,
    /// The power was cut during an operation with a syncfs.
    pub(super) syncfs: u64,
}

/// Does the operations on a new store. Panics at the first answer that differs from the model.
///
/// An operation during which the power is cut is done to its end and compared like any other. Then
/// the machine starts with a disk that a power cut at some moment of it can leave. If the writer is
/// killed, the machine goes on with what other processes see.
pub(super) fn run(steps: &[Step]) -> Cuts {
    let mut fs = SimFs::start(sim::disk::Disk::default(), 0);
    let mut run = Run::on(Disk::on(Arc::new(fs.clone())));
    let mut met = Cuts::default();
    // The creation of a store probes the disk. A power cut soon after it can bring back names of
    // the probe.
    fs.settle();
    // The newest generation that no power cut can take away.
    let mut lasts = run.model.head().number;
    for (at, Step { op, fill, crash }) in steps.iter().enumerate() {
        run.put_many(op, *fill, at);
        let before = run.outcomes;
        let acknowledged = lasts;
        if crash.is_some() {
            fs.record();
        }
        run.step(op, &format!("{at}"));
        if (run.outcomes.committed, run.outcomes.unchanged) != (before.committed, before.unchanged) {
            lasts = run.model.head().number;
        }
        let recorded = fs.recording();
        match *crash {
            None => {}
            Some(Crash::Killed) => {
                let Some(swap) = recorded.iter().rposition(|step| step.op.swaps()) else { continue };
                met.killed += 1;
                fs = fs.killed(recorded[swap + 1].before.clone());
                lasts = acknowledged;
                let shown = run.model.head().number;
                let what = format!("after operation {at}, {op:?}, killed after the swap");
                run.restart(Disk::on(Arc::new(fs.clone())), shown, &what);
            }
            Some(Crash::PowerCut(cut)) => {
                let (point, left) = cut.leaves(&fs, &recorded);
                met.all += 1;
                met.syncfs += u64::from(recorded.iter().any(|step| step.op == PassThrough::SyncFs));
                fs = SimFs::start(left, met.all);
                fs.offer_syncfs(met.all % 2 == 0);
                let what = format!("after operation {at}, {op:?}, power cut {point} of {}", recorded.len());
                let acknowledged = if point == recorded.len() { lasts } else { acknowledged };
                let is_in_flight = point < recorded.len() && run.outcomes.committed > before.committed;
                let names = run.model.interrupted.len();
                let lost = run.restart(Disk::on(Arc::new(fs.clone())), acknowledged, &what);
                met.new += u64::from(is_in_flight && lost == 0);
                met.old += u64::from(is_in_flight && lost > 0);
                met.interrupted += u64::from(is_in_flight && run.model.interrupted.len() > names);
                met.unsynced += u64::from(lost > u64::from(is_in_flight));
                lasts = run.model.head().number;
            }
        }
    }
    run.finish();
    met
}

impl Run {
    /// Puts something under many paths before a commit.
    fn put_many(&mut self, op: &Op, fill: Option<u8>, at: usize) {
        let (Op::Commit { tx }, Some(fill)) = (op, fill) else { return };
        for (path, more) in MANY.into_iter().zip(0..) {
            let fill = fill.wrapping_add(more) % 250;
            self.step(&Op::Put { tx: *tx, path, fill, is_streamed: false }, &format!("{at}"));
        }
    }

    /// Goes on with the disk that a crash left. Every acknowledged generation must be there. A
    /// later one of the model is there as a whole or not at all, and only if the one before it is.
    /// Gives how many generations are gone.
    fn restart(&mut self, disk: Disk, acknowledged: u64, what: &str) -> u64 {
        let tree = disk.tree();
        self.transactions = [None, None];
        self.held.clear();
        self.handles = [disk.open().unwrap(), disk.open().unwrap()];
        self.disk = disk;
        let shown = self.handles[0].status().unwrap().generation.get();
        let names = numbers(&tree);
        let mut lost = 0;
        while self.model.head().number > shown.max(acknowledged) {
            let gone = self.model.generations.pop().map(|gone| gone.number);
            self.model.interrupted.extend(gone.filter(|gone| names.contains(gone)));
            lost += 1;
        }
        let known = self.model.generations.iter().map(|made| made.number);
        let known: BTreeSet<u64> = known.chain(self.model.interrupted.iter().copied()).collect();
        assert_eq!(names, known, "{what}: the numbers that have a name");
        self.left = unnumbered(&tree);
        self.check(0, what);
        self.check(1, what);
        self.check_files(0, what);
        lost
    }
}

/// The numbers of all generations that have a name on the disk.
fn numbers(tree: &Tree) -> BTreeSet<u64> {
    let number = |name: &String| match name.split_once('/')? {
        ("manifests", file) => file.strip_suffix(".json")?.parse().ok(),
        ("data", file) => file.rsplit_once(".g")?.1.parse().ok(),
        _ => None,
    };
    tree.keys().filter_map(number).collect()
}
