//! Sequences of operations with power cuts between them and in the middle of them, on a simulated disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::disk::{Disk, Tree};
use super::model::Model;
use super::operations::{Op, Run, unnumbered};
use crate::fs::sim::cut::Cut;
use crate::fs::sim::{self, SimFs};

/// The bytes of one step.
pub(super) const WIDTH: usize = 8;

/// The most steps of one sequence: so many that checkpoints are written too.
pub(super) const STEPS_MAX: usize = 192;

/// The ways in which the power can be cut at one moment, of which one is taken.
const WAYS: u64 = 64;

/// How many moments at the end of an operation are taken more often than the others.
const LATE: usize = 8;

/// When the power is cut, and which of the things are lost that no flush has promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PowerCut {
    /// Which of the moments at which the disk is another one. Every second number is of one of the last [`LATE`]: that
    /// is where a save comes to be there.
    moment: u8,
    way: u16,
}

/// An operation, and the power cut that comes upon it, if any.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    op: Op,
    cut: Option<PowerCut>,
}

impl Step {
    /// Saves are interrupted more often than anything else.
    pub(super) fn of([kind, who, one, two, chance, moment, high, low]: [u8; WIDTH]) -> Self {
        let op = Op::of([kind, who, one, two]);
        let is_save = matches!(op, Op::Commit { .. } | Op::Rollback { .. });
        let is_cut = chance < if is_save { 80 } else { 6 };
        let cut = PowerCut { moment, way: u16::from_be_bytes([high, low]) };
        Self { op, cut: is_cut.then_some(cut) }
    }
}

/// What the power cuts met.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Cuts {
    pub(super) all: u64,
    /// How often a generation was in flight, and there afterwards.
    pub(super) new: u64,
    /// How often it was in flight, and gone afterwards.
    pub(super) old: u64,
    /// How often one was in flight and gone, and has left names that take its number.
    pub(super) interrupted: u64,
}

/// Does the operations on a new store, and fails at the first answer that the model does not give.
///
/// An operation upon which the power is cut is done to its end and compared as any other. Then the machine starts with
/// what a power cut at some moment of it can leave.
pub(super) fn run(steps: &[Step]) -> Cuts {
    let mut fs = SimFs::start(sim::disk::Disk::default(), 0);
    let (mut run, mut met) = (Run::on(Disk::on(Arc::new(fs.clone()))), Cuts::default());
    // The making of a store tries out the disk, and a power cut soon after it can bring back names of that.
    fs.settle();
    for (at, Step { op, cut }) in steps.iter().enumerate() {
        let Some(PowerCut { moment, way }) = *cut else {
            run.step(op, &format!("{at}"));
            continue;
        };
        let before = run.model.clone();
        fs.record();
        run.step(op, &format!("{at}"));
        let recorded = fs.recording();
        // Between two of them the disk is the same if the first one changes nothing.
        let points: Vec<usize> = (0..=recorded.len())
            .filter(|point| [0, recorded.len()].contains(point) || recorded[point - 1].op.changes())
            .collect();
        let early = if moment % 2 == 0 { 0 } else { points.len().saturating_sub(LATE) };
        let point = points[early + usize::from(moment / 2) * (points.len() - early) / 128];
        let done = recorded.get(point).map_or_else(|| fs.disk(), |step| step.before.clone());
        let undecided = Cut::new(&done, u64::from(way));
        let picks = undecided.picks(WAYS);
        let left = undecided.image(&picks[usize::from(way) % picks.len()]);
        met.all += 1;
        fs = SimFs::start(left.disk, met.all);
        fs.offer_whole(met.all % 2 == 0);
        let what = format!("after operation {at}, {op:?}, power cut {point} of {}", recorded.len());
        let acknowledged = if point == recorded.len() { run.model.clone() } else { before };
        run.restart(Disk::on(Arc::new(fs.clone())), acknowledged, &mut met, &what);
    }
    run.finish();
    met
}

impl Run {
    /// Goes on with the disk that a power cut left. What is acknowledged must be there; what the model has beyond that
    /// was in flight, and is there as a whole or not at all.
    fn restart(&mut self, disk: Disk, acknowledged: Model, met: &mut Cuts, what: &str) {
        let tree = disk.tree();
        self.transactions = [None, None];
        self.held.clear();
        self.handles = [disk.open().unwrap(), disk.open().unwrap()];
        self.disk = disk;
        let in_flight = self.model.head().number;
        if acknowledged.head().number < in_flight {
            let is_new = self.handles[0].status().unwrap().generation.get() == in_flight;
            let is_named = numbers(&tree).contains(&in_flight);
            met.new += u64::from(is_new);
            met.old += u64::from(!is_new);
            met.interrupted += u64::from(!is_new && is_named);
            if !is_new {
                self.model = acknowledged;
                self.model.interrupted.extend(is_named.then_some(in_flight));
            }
        }
        let known = self.model.generations.iter().map(|made| made.number);
        let known: BTreeSet<u64> = known.chain(self.model.interrupted.iter().copied()).collect();
        assert_eq!(numbers(&tree), known, "{what}: the numbers of which there is a name");
        self.left = unnumbered(&tree);
        self.check(0, what);
        self.check(1, what);
        self.check_files(0, what);
    }
}

/// The numbers of all generations of which there is a name.
fn numbers(tree: &Tree) -> BTreeSet<u64> {
    let number = |name: &String| match name.split_once('/')? {
        ("manifests", file) => file.strip_suffix(".json")?.parse().ok(),
        ("data", file) => file.rsplit_once(".g")?.1.parse().ok(),
        _ => None,
    };
    tree.keys().filter_map(number).collect()
}
