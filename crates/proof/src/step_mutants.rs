//! Each fsync is left out in turn, and each pair of neighbouring steps changes places. A step that
//! survives must be redundant in that work, for a reason that is listed here.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::crash::{self, Depth, Recorded, Seen};
use super::faults;
use super::oracle::Verdict;
use super::parallel::{caught, on_all_processors};
use super::workloads::{self, Workload};
use super::world::{Wrap, plain};
use crate::fs::op::Op;
use crate::proof::injector::{Action, FaultInjector, Rule};

/// The work whose steps are tried.
const WORK: [&str; 11] = [
    "init",
    "first commit",
    "commit of 3 files",
    "new directories three deep",
    "streamed input",
    "all kinds of change",
    "rollback",
    "checkpoint",
    WHOLE,
    LOST,
    KILLED,
];
const WHOLE: &str = "commit of 14 files in directories with one syncfs";
const LOST: &str = "directories that a copy has lost";
const KILLED: &str = "a writer is killed after its swap and another one commits the same";

/// Why a step changes nothing that could be lost. Each reason must occur.
const PROBE: &str = "the probe of the medium leaves nothing";
const DURABLE: &str = "the pointer was durable already; it is settled because no note says so";
const EARLIER: &str = "the root was fsynced when the pointer was settled";
const NO_NEW_NAME: &str = "no directory in the root is new";
const SAME: &str = "the same pointer was there before the swap, and the fsync before it made that durable";
const DEEPER: &str = "all new names are in a directory below it";
const UNUSED: &str = "the streamed content is there already, so nothing refers to the new file";
const WITH_ALL: &str = "the syncfs comes after it";
const REASONS: [&str; 8] = [PROBE, DURABLE, EARLIER, NO_NEW_NAME, SAME, DEEPER, UNUSED, WITH_ALL];

/// One step of a work, by its number among the operations that change something.
#[derive(Clone, Copy, Debug)]
struct Step {
    work: usize,
    at: usize,
    becomes: Action,
}

/// The steps to try. Each fsync is left out. Each fsync and each swap is deferred until after the
/// next step, if that one is of another kind.
///
/// Two fsyncs in a row promise the same in either order. A step before an fsync is not deferred:
/// leaving out that fsync loses at least as much. Notes and locks do not matter to power cuts. What
/// comes too late for a note is a mutant of its own.
fn steps(work: usize, operations: &[Op]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (at, op) in operations.iter().enumerate() {
        if op.syncs() {
            steps.push(Step { work, at, becomes: Action::Skip });
        }
        let next = operations.get(at + 1).filter(|next| !matches!(next, Op::Note(_) | Op::Lock(_)));
        if next.is_some_and(|next| (op.syncs() && !next.syncs()) || op.swaps()) {
            steps.push(Step { work, at, becomes: Action::Defer });
        }
    }
    steps
}

fn broken(step: Step) -> Wrap {
    Arc::new(move |way| {
        let seen = AtomicUsize::new(0);
        let rule: Rule = Arc::new(move |op| {
            let is_it = op.changes() && seen.fetch_add(1, Ordering::Relaxed) == step.at;
            if is_it { step.becomes } else { Action::PassThrough }
        });
        Arc::new(FaultInjector::new(way, rule))
    })
}

/// Does the work with this step broken. Checks the result with nothing broken.
fn check(workload: &Workload, step: Step) -> Verdict {
    let mut recorded = Recorded::of(workload, &broken(step))?;
    recorded.wrap = plain();
    crash::cut(&recorded, recorded.points(), Depth::up_to(64, 1), &Seen::default())
}

/// Why a step of a work is redundant, if it is. An fsync that can be left out can also come late.
fn redundant(work: &str, operations: &[Op], at: usize) -> Option<&'static str> {
    let makes_manifest = |op: &Op| matches!(op, Op::Create(path) if path.starts_with("manifests/"));
    let makes_pointer = |op: &Op| matches!(op, Op::Create(path) if path == "CURRENT.next");
    let since_swap = || operations[..at].iter().rev().take_while(|op| !op.swaps());
    let is_before_a_swap = since_swap().any(|op| makes_manifest(op) || makes_pointer(op));
    // A commit that first settles the pointer writes no manifest before its first swap.
    let first_swap = operations.iter().position(Op::swaps)?;
    let settles = at <= first_swap + 1 && !operations[..first_swap].iter().any(makes_manifest);
    match &operations[at] {
        Op::Sync(path) if path.contains("probe") => Some(PROBE),
        Op::SyncDir(dir) if work == "init" && dir == "staging" => Some(PROBE),
        Op::SyncDir(_) | Op::Rename(..) if settles && work == LOST => Some(DURABLE),
        Op::SyncDir(_) | Op::Rename(..) if settles && work == KILLED => Some(SAME),
        Op::SyncDir(dir) if dir.is_empty() && is_before_a_swap && work == LOST => Some(EARLIER),
        Op::SyncDir(dir) if dir.is_empty() && is_before_a_swap && work != "init" => Some(NO_NEW_NAME),
        Op::SyncDir(dir) if work == "commit of 3 files" && dir == "data" => Some(DEEPER),
        Op::Sync(path) if work == "all kinds of change" && path.starts_with("staging/") => Some(UNUSED),
        Op::Sync(path) if work == WHOLE && path.starts_with("staging/") => Some(WITH_ALL),
        _ => None,
    }
}

#[test]
fn each_sync_and_each_order_counts() {
    let all: Vec<Workload> =
        workloads::all().into_iter().filter(|workload| WORK.contains(&workload.name.as_str())).collect();
    assert_eq!(all.len(), WORK.len());
    let changes = |workload: &Workload| {
        faults::operations(workload, &plain()).into_iter().filter(Op::changes).collect()
    };
    let operations: Vec<Vec<Op>> = all.iter().map(changes).collect();
    let tried: Vec<Step> =
        operations.iter().enumerate().flat_map(|(work, operations)| steps(work, operations)).collect();
    let survivors = Mutex::new(Vec::new());
    let known = Mutex::new(Vec::new());
    let run = on_all_processors(&tried, |step| {
        let work = &all[step.work];
        let operations = &operations[step.work];
        if caught(|| check(work, *step)).is_ok() {
            match redundant(&work.name, operations, step.at) {
                Some(why) => {
                    println!("{}: {}: {why}", work.name, operations[step.at]);
                    known.lock().unwrap().push(why);
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
    let unmet: Vec<&str> = REASONS.into_iter().filter(|why| !known.contains(why)).collect();
    assert!(unmet.is_empty(), "no step is redundant because {unmet:?}");
    println!(
        "mutants: {} single steps, {} caught and {} redundant",
        tried.len(),
        tried.len() - known.len(),
        known.len()
    );
}
