//! Each flush is left out in turn, and each pair of steps that follow each other is swapped. What survives must be known
//! to be redundant in that work, for a reason that is given.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::crash::{self, Depth, Recorded, Seen};
use super::faults;
use super::oracle::Verdict;
use super::scene::{Wrap, plain};
use super::work::{caught, on_all_processors};
use super::workloads::{self, Workload};
use crate::fs::layer::{Do, Layer, Rule};
use crate::fs::op::Op;

/// The work of which each step is tried.
const WORK: [&str; 11] = [
    "init",
    "first commit",
    "commit of 3 files",
    "new folders three deep",
    "streamed input",
    "all kinds of change",
    "rollback",
    "checkpoint",
    WHOLE,
    LOST,
    KILLED,
];
const WHOLE: &str = "commit of 14 files in folders with one flush of the whole";
const LOST: &str = "folders that a copy has lost";
const KILLED: &str = "a writer is killed after its swap and another one saves the same";

/// The steps that change nothing that could be lost: no more than those that were understood.
const REDUNDANT: usize = 34;

/// One step of a work, by its place among those that change something.
#[derive(Clone, Copy, Debug)]
struct Step {
    work: usize,
    at: usize,
    becomes: Do,
}

/// Every flush, to be left out; and every flush and swap that another kind of step follows, to come after that one. Two
/// flushes that follow each other promise the same in either order. A step that a flush follows is not moved behind it: at
/// least as much is lost where that flush is left out. Notes and locks are no matter of power cuts: what comes too late for
/// a note is a mutant of its own.
fn steps(work: usize, operations: &[Op]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (at, op) in operations.iter().enumerate() {
        if op.flushes() {
            steps.push(Step { work, at, becomes: Do::Pretend });
        }
        let next = operations.get(at + 1).filter(|next| !matches!(next, Op::Note(_) | Op::Lock(_)));
        if next.is_some_and(|next| (op.flushes() && !next.flushes()) || op.swaps()) {
            steps.push(Step { work, at, becomes: Do::Late });
        }
    }
    steps
}

fn broken(step: Step) -> Wrap {
    Arc::new(move |way| {
        let seen = AtomicUsize::new(0);
        let rule: Rule = Arc::new(move |op| {
            let is_it = op.changes() && seen.fetch_add(1, Ordering::Relaxed) == step.at;
            if is_it { step.becomes } else { Do::Asked }
        });
        Arc::new(Layer::new(way, rule))
    })
}

/// Does the work with this step broken, and looks at it with nothing broken.
fn check(workload: &Workload, step: Step) -> Verdict {
    let mut recorded = Recorded::of(workload, &broken(step))?;
    recorded.wrap = plain();
    crash::cut(&recorded, recorded.points(), Depth::up_to(64, 1), &Seen::default())
}

/// Why a step of a work changes nothing that could be lost. Where a flush can be left out, it can also come late.
fn redundant(work: &str, operations: &[Op], at: usize) -> Option<&'static str> {
    let makes_manifest = |op: &Op| matches!(op, Op::Create(path) if path.starts_with("manifests/"));
    let makes_pointer = |op: &Op| matches!(op, Op::Create(path) if path == "CURRENT.next");
    let since_swap = || operations[..at].iter().rev().take_while(|op| !op.swaps());
    let is_before_a_swap = since_swap().any(|op| makes_manifest(op) || makes_pointer(op));
    // A save that first settles the pointer that it found writes no manifest before its first swap.
    let first_swap = operations.iter().position(Op::swaps)?;
    let settles = at <= first_swap + 1 && !operations[..first_swap].iter().any(makes_manifest);
    match &operations[at] {
        Op::Flush(path) if path.contains("probe") => Some("the probe of the medium leaves nothing"),
        Op::FlushDir(dir) if work == "init" && dir == "staging" => {
            Some("the probe of the medium leaves nothing")
        }
        Op::FlushDir(_) | Op::Rename(..) if settles && work == LOST => {
            Some("the pointer was durable, and is swapped once more because nothing says so")
        }
        Op::FlushDir(dir) if dir.is_empty() && is_before_a_swap && work == LOST => {
            Some("folders that are new in the root last since the pointer was settled")
        }
        Op::FlushDir(dir) if dir.is_empty() && is_before_a_swap && work != "init" => {
            Some("no folder in the root is new")
        }
        Op::FlushDir(_) | Op::Rename(..) if settles && work == KILLED => {
            Some("the flush before the swap has made durable what was swapped in, which is the same")
        }
        Op::FlushDir(dir) if work == "commit of 3 files" && dir == "data" => {
            Some("all names are in a folder in it")
        }
        Op::Flush(path) if work == "all kinds of change" && path.starts_with("staging/") => {
            Some("what was streamed in is there already, so nothing refers to it")
        }
        Op::Flush(path) if work == WHOLE && path.starts_with("staging/") => {
            Some("the flush of the whole comes after it")
        }
        _ => None,
    }
}

#[test]
fn l1m_each_flush_and_each_order_counts() {
    let all: Vec<Workload> =
        workloads::all().into_iter().filter(|workload| WORK.contains(&workload.name.as_str())).collect();
    assert_eq!(all.len(), WORK.len());
    let changes = |workload: &Workload| {
        faults::operations(workload, &plain()).into_iter().filter(Op::changes).collect()
    };
    let operations: Vec<Vec<Op>> = all.iter().map(changes).collect();
    let tried: Vec<Step> =
        operations.iter().enumerate().flat_map(|(work, operations)| steps(work, operations)).collect();
    let (survivors, known) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let run = on_all_processors(&tried, |step| {
        let (work, operations) = (&all[step.work], &operations[step.work]);
        if caught(|| check(work, *step)).is_ok() {
            match redundant(&work.name, operations, step.at) {
                Some(why) => {
                    known.lock().unwrap().push(format!("{}: {}: {why}", work.name, operations[step.at]))
                }
                None => survivors
                    .lock()
                    .unwrap()
                    .push(format!("{}: {}, {step:?}", work.name, operations[step.at])),
            }
        }
        Ok(())
    });
    assert_eq!(run, Ok(()));
    let survivors = survivors.into_inner().unwrap();
    assert!(survivors.is_empty(), "survived: {survivors:#?}");
    let known = known.into_inner().unwrap();
    println!("{known:#?}");
    assert_eq!(known.len(), REDUNDANT, "what is redundant has changed");
    println!(
        "L1m: {} single steps, {} caught and {} redundant",
        tried.len(),
        tried.len() - known.len(),
        known.len()
    );
}
