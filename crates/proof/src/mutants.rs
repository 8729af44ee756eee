//! Mutants: the engine over a layer that breaks one rule of the protocol. The power cuts or the
//! faults must catch each. If a mutant survives, they do not notice that this rule is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::crash::{self, Depth, Recorded, Seen};
use super::faults::{self, Fault};
use super::oracle::Verdict;
use super::parallel::{self, on_all_processors};
use super::workloads::{self, Workload};
use super::world::{self, World, Wrap, put};
use crate::format::checksum;
use crate::fs::Fs;
use crate::fs::op::Op;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::FailedSync;
use crate::proof::injector::{Action, FaultInjector, Rule, SideEffect};

/// A broken rule of the protocol.
#[derive(Clone)]
struct Mutant {
    name: &'static str,
    wrap: Wrap,
    /// Only the workloads whose names begin with this are run. It may be empty.
    on: &'static str,
    by: By,
}

/// What has to catch a mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    PowerCuts,
    /// Power cuts during the work of a writer that follows one which broke the rule and was killed.
    Kills,
    Faults,
    FlippedBits,
}

/// How far a commit is, judged by its operations.
#[derive(Default)]
struct Place {
    /// The pointer was swapped, and the root was not fsynced since.
    swapped: AtomicBool,
}

impl Place {
    /// Notes an operation. Gives whether it is the fsync of the second barrier.
    fn see(&self, op: &Op) -> bool {
        match op {
            op if op.swaps() => self.swapped.store(true, Ordering::Relaxed),
            Op::SyncDir(dir) if dir.is_empty() => return self.swapped.swap(false, Ordering::Relaxed),
            _ => {}
        }
        false
    }
}

/// A layer that starts a rule for each process. The rule sees whether the operation is the fsync of
/// the second barrier.
fn with(rule: impl Fn(&Op, bool) -> Action + Clone + Send + Sync + 'static) -> Wrap {
    Arc::new(move |way| {
        let rule = rule.clone();
        let place = Place::default();
        let rule: Rule = Arc::new(move |op| rule(op, place.see(op)));
        Arc::new(FaultInjector::new(way, rule))
    })
}

fn asked() -> Rule {
    Arc::new(|_| Action::PassThrough)
}

/// A step that is left out, or deferred until after the next one.
fn instead(
    becomes: Action,
    name: &'static str,
    on: &'static str,
    which: impl Fn(&Op, bool) -> bool + Copy + Send + Sync + 'static,
) -> Mutant {
    let rule = move |op: &Op, second| if which(op, second) { becomes } else { Action::PassThrough };
    Mutant { name, on, by: By::PowerCuts, wrap: with(rule) }
}

/// An additional effect before an operation.
fn side_effect(name: &'static str, on: &'static str, what: fn(&dyn Fs, &Op)) -> Mutant {
    let side_effect: SideEffect = Arc::new(what);
    let wrap: Wrap = Arc::new(move |way| {
        let mut injector = FaultInjector::new(way, asked());
        injector.side_effect = Some(Arc::clone(&side_effect));
        Arc::new(injector)
    });
    Mutant { name, on, by: By::PowerCuts, wrap }
}

fn syncs(op: &Op, begins: &str) -> bool {
    matches!(op, Op::Sync(path) if path.starts_with(begins) && !path.contains("probe"))
}

fn syncs_dir(op: &Op, is: &str) -> bool {
    matches!(op, Op::SyncDir(dir) if dir == is)
}

fn left_out() -> Vec<Mutant> {
    vec![
        instead(Action::Skip, "the manifest is not fsynced", "", |op, _| syncs(op, "manifests/")),
        instead(Action::Skip, "the files are not fsynced", "", |op, _| syncs(op, "data/")),
        instead(Action::Skip, "the next pointer is not fsynced", "", |op, _| syncs(op, "CURRENT.next")),
        instead(Action::Skip, "streamed content is not fsynced", "streamed", |op, _| syncs(op, "staging/")),
        instead(Action::Skip, "the root is not fsynced before the swap", "", |op, second| {
            syncs_dir(op, "") && !second
        }),
        instead(Action::Skip, "the root is not fsynced after the swap", "", |op, second| {
            syncs_dir(op, "") && second
        }),
        instead(Action::Skip, "the directory of the manifests is not fsynced", "", |op, _| {
            syncs_dir(op, "manifests")
        }),
        instead(Action::Skip, "the directory of the files is not fsynced", "", |op, _| syncs_dir(op, "data")),
        instead(
            Action::Skip,
            "the directories below that of the files are not fsynced",
            "",
            |op, _| matches!(op, Op::SyncDir(dir) if dir.starts_with("data/")),
        ),
        instead(
            Action::Skip,
            "the staging directory is not fsynced after files were taken from it",
            "streamed",
            |op, _| syncs_dir(op, "staging"),
        ),
        instead(
            Action::Skip,
            "the syncfs is left out",
            "commit of 14 files in directories with one",
            |op, _| *op == Op::SyncFs,
        ),
        instead(Action::Skip, "a checkpoint is not fsynced before its rename", "checkpoint", |op, _| {
            syncs(op, "staging/")
        }),
    ]
}

fn out_of_order() -> Vec<Mutant> {
    let early: Wrap = Arc::new(|way| {
        let swapped = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&swapped);
        let rule: Rule = Arc::new(move |op| {
            if op.swaps() && is_done.swap(false, Ordering::Relaxed) {
                Action::Skip
            } else {
                Action::PassThrough
            }
        });
        let mut injector = FaultInjector::new(way, rule);
        injector.side_effect = Some(Arc::new(move |fs, op| {
            if syncs(op, "manifests/") && fs.rename("CURRENT.next", "CURRENT").is_ok() {
                swapped.store(true, Ordering::Relaxed);
            }
        }));
        Arc::new(injector)
    });
    vec![
        instead(Action::Defer, "the last fsync of barrier 1 and the swap change places", "", |op, _| {
            syncs_dir(op, "manifests")
        }),
        instead(Action::Defer, "the swap and the fsync after it change places", "", |op, _| op.swaps()),
        instead(
            Action::Defer,
            "the fsync of a checkpoint and its rename change places",
            "checkpoint",
            |op, _| syncs(op, "staging/"),
        ),
        Mutant {
            name: "the swap and the first fsync of barrier 1 change places",
            wrap: early,
            on: "",
            by: By::PowerCuts,
        },
        Mutant {
            name: "what was swapped in is noted as durable before it is",
            // The fsync after the swap and the note about it change places.
            wrap: with(
                |op, second| if second && syncs_dir(op, "") { Action::Defer } else { Action::PassThrough },
            ),
            on: "after a killed commit",
            by: By::Kills,
        },
    ]
}

fn too_early() -> Vec<Mutant> {
    vec![
        side_effect("the pointer is unlinked before the next one gets its name", "", |fs, op| {
            if op.swaps() {
                let _ = fs.remove("CURRENT");
            }
        }),
        side_effect("the bytes of the previous generation are unlinked before the swap", "", |fs, op| {
            if matches!(op, Op::Create(name) if name == "CURRENT.next") {
                let _ = fs.remove("data/a.json.g2");
            }
        }),
        side_effect("the previous manifest is unlinked before the swap", "", |fs, op| {
            if matches!(op, Op::Create(name) if name == "CURRENT.next") {
                let _ = fs.remove("manifests/0000000003.json");
            }
        }),
    ]
}

fn numbers() -> Vec<Mutant> {
    let reusing: Wrap = Arc::new(|way| {
        let mut injector = FaultInjector::new(way, asked());
        injector.hides = &["manifests", "data", "data/directory", "data/new", "data/new/deep", "data/again"];
        injector.side_effect = Some(Arc::new(|fs, op| {
            if let Op::Create(name) | Op::RenameNew(_, name) = op
                && ["manifests/", "data/"].iter().any(|directory| name.starts_with(directory))
            {
                let _ = fs.remove(name);
            }
        }));
        Arc::new(injector)
    });
    let believing: Wrap = Arc::new(|way| {
        let injector = FaultInjector::new(way, asked());
        injector.set_boot("the only one");
        Arc::new(injector)
    });
    let noting_less: Wrap = Arc::new(|way| {
        let mut injector = FaultInjector::new(way, asked());
        injector.notes = Some(|note| match serde_json::from_slice::<serde_json::Value>(note) {
            Ok(mut noted) => {
                noted["next"] = noted["next"].as_u64().map(|next| next - 1).into();
                noted.to_string().into_bytes()
            }
            Err(_) => note.to_vec(),
        });
        Arc::new(injector)
    });
    vec![
        Mutant { name: "a used number is noted as free", wrap: noting_less, on: "", by: By::Faults },
        Mutant {
            name: "the name that keeps the number of a failed commit is not fsynced",
            wrap: with(|op, _| if syncs_dir(op, "locks") { Action::Skip } else { Action::PassThrough }),
            on: "",
            by: By::Faults,
        },
        Mutant {
            name: "names that a crash has left are overwritten without a look",
            wrap: reusing,
            on: "",
            by: By::PowerCuts,
        },
        Mutant {
            name: "the note of an earlier start of the machine is believed",
            wrap: believing,
            on: "",
            by: By::PowerCuts,
        },
    ]
}

fn trusting() -> Vec<Mutant> {
    let reading = |reads: fn(&dyn Fs, &str) -> Option<Vec<u8>>| -> Wrap {
        Arc::new(move |way| {
            let mut injector = FaultInjector::new(way, asked());
            injector.reads = Some(reads);
            Arc::new(injector)
        })
    };
    fn all(fs: &dyn Fs, path: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        fs.open(path).ok()?.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
    let next = reading(|fs, path| all(fs, (path == "CURRENT").then_some("CURRENT.next")?));
    let unchecked = reading(|fs, path| {
        let bytes = all(fs, (path == "CURRENT").then_some("CURRENT")?)?;
        let body = bytes.iter().rposition(|byte| *byte == b'{')?;
        Some(checksum::seal(bytes.get(..body)?.to_vec()))
    });
    vec![
        Mutant {
            name: "the next pointer is trusted before it is swapped in",
            wrap: next,
            on: "",
            by: By::PowerCuts,
        },
        Mutant {
            name: "the checksum of the pointer is not checked",
            wrap: unchecked,
            on: "",
            by: By::FlippedBits,
        },
    ]
}

/// The pointer that was found is not made durable. A swap without a new manifest is left out, and
/// so are the fsyncs of the root before and after it.
fn unsynced() -> Wrap {
    Arc::new(|way| {
        let created = AtomicBool::new(false);
        let swapped = AtomicBool::new(false);
        let rule: Rule = Arc::new(move |op| match op {
            Op::Create(name) if name.starts_with("manifests/") => {
                created.store(true, Ordering::Relaxed);
                Action::PassThrough
            }
            op if op.swaps() => {
                let is_own = created.swap(false, Ordering::Relaxed);
                swapped.store(is_own, Ordering::Relaxed);
                if is_own { Action::PassThrough } else { Action::Skip }
            }
            op if syncs_dir(op, "") => {
                let is_own = created.load(Ordering::Relaxed) || swapped.swap(false, Ordering::Relaxed);
                if is_own { Action::PassThrough } else { Action::Skip }
            }
            // A commit begins, maybe in another process.
            Op::Lock(name) if name == "locks/writer" => {
                created.store(false, Ordering::Relaxed);
                swapped.store(false, Ordering::Relaxed);
                Action::PassThrough
            }
            _ => Action::PassThrough,
        });
        Arc::new(FaultInjector::new(way, rule))
    })
}

fn after_failures() -> Vec<Mutant> {
    let retrying = with(|op, _| if op.syncs() { Action::Retry } else { Action::PassThrough });
    let deleting: Wrap = Arc::new(|way| {
        let last = Arc::new(AtomicUsize::new(0));
        let mut injector = FaultInjector::new(way, asked());
        let noted = Arc::clone(&last);
        injector.side_effect = Some(Arc::new(move |_, op| {
            if let Op::Create(name) = op
                && let Some(number) =
                    name.strip_prefix("manifests/").and_then(|name| name.strip_suffix(".json"))
            {
                noted.store(number.parse().unwrap(), Ordering::Relaxed);
            }
        }));
        injector.after_failure = Some(Arc::new(move |fs, op| {
            if op.swaps() || syncs_dir(op, "") {
                let _ = fs.remove(&format!("manifests/{:010}.json", last.load(Ordering::Relaxed)));
            }
        }));
        Arc::new(injector)
    });
    vec![
        Mutant { name: "a failed fsync is tried again", wrap: retrying, on: "", by: By::Faults },
        Mutant {
            name: "what was swapped in is deleted when the fsync after it fails",
            wrap: deleting,
            on: "",
            by: By::Faults,
        },
        Mutant {
            name: "an unsettled pointer is not created durable",
            wrap: unsynced(),
            on: "a writer is killed",
            by: By::PowerCuts,
        },
    ]
}

/// Cuts the power in the workloads, in few ways at each operation.
fn cut(mutant: &Mutant) -> Verdict {
    let seen = Seen::default();
    let depth = Depth { limit_again: 4, again: 2, ..Depth::up_to(64, 1) };
    for workload in workloads().filter(|workload| workload.name.starts_with(mutant.on)) {
        parallel::caught(|| {
            let recorded = Recorded::of(&workload, &mutant.wrap)?;
            crash::cut(&recorded, recorded.points(), depth, &seen)
        })?;
    }
    Ok(())
}

/// Kills the writer that breaks the rule after each of its operations.
fn kill(mutant: &Mutant) -> Verdict {
    kill_through(&mutant.wrap, mutant.on)
}

fn kill_through(wrap: &Wrap, on: &str) -> Verdict {
    let seen = Seen::default();
    let all = (0..workloads::KILLED_MAX)
        .flat_map(|after| workloads::killed_first(after, wrap).map(|workload| (after, workload)));
    for (after, workload) in all.filter(|(_, workload)| workload.name.starts_with(on)) {
        parallel::caught(|| {
            let recorded = Recorded::of(&workload, &world::plain())?;
            crash::cut(&recorded, recorded.points(), Depth::up_to(16, 1), &seen)
        })
        .map_err(|wrong| format!("killed after {after} operations: {wrong}"))?;
    }
    Ok(())
}

fn workloads() -> impl Iterator<Item = Workload> {
    let is_wanted = |workload: &Workload| {
        let killed_elsewhere =
            workload.name.contains("is killed after") && !workload.name.contains("its swap");
        !killed_elsewhere && !workload.is_long
    };
    workloads::all().into_iter().filter(is_wanted)
}

/// How an fsync fails. In the first two ways, the failed fsync of a directory stops the disk. In
/// the last it can be tried again.
const FAILURES: [Action; 3] =
    [Action::FailSync(FailedSync::Dropped), Action::FailSync(FailedSync::Undecided), Action::Fail(5)];

/// Lets the same fsyncs fail as a run of the layer `faults` before each change.
fn fail(mutant: &Mutant) -> Verdict {
    let seen = Seen::default();
    for workload in faults::workloads().iter().filter(|workload| workload.name.starts_with(mutant.on)) {
        let operations = faults::operations(workload, &mutant.wrap).into_iter().filter(Op::changes);
        let operations = faults::first_of_each_kind(operations.collect());
        for (at, op) in operations.into_iter().filter(|(_, op)| op.syncs()) {
            for becomes in FAILURES {
                let fault = Fault { at, changes: true, becomes, for_ever: false, dies_after: None };
                parallel::caught(|| faults::check(workload, fault, &mutant.wrap, &seen))
                    .map_err(|wrong| format!("{op:?}: {wrong}"))?;
            }
        }
    }
    Ok(())
}

/// Every flipped bit of the pointer must be noticed.
fn flip(mutant: &Mutant) -> Verdict {
    let world = World::with(&[&[put("a.json", "1")]]);
    let disk = world.fs.disk();
    let current = disk.dirs[&crate::fs::sim::disk::ROOT]["CURRENT"];
    let pointer = disk.files[&current].now.clone();
    for bit in 0..pointer.len() * 8 {
        let mut flipped = (*pointer).clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut disk = disk.clone();
        disk.files.insert(current, crate::fs::sim::disk::Data::durable(Arc::new(flipped), false));
        let fs: Arc<dyn Fs> = Arc::new(SimFs::start(disk, 2));
        if let Ok(store) = world::open((mutant.wrap)(fs))
            && store.recovery().is_none()
        {
            return Err(format!("bit {bit} of the pointer was flipped without notice"));
        }
    }
    Ok(())
}

/// What the check said that caught the mutant, if one did.
fn caught(mutant: &Mutant) -> Option<String> {
    let run = match mutant.by {
        By::PowerCuts => cut,
        By::Kills => kill,
        By::Faults => fail,
        By::FlippedBits => flip,
    };
    run(mutant).err()
}

/// The layers crash and faults show that nothing is found where nothing is broken. For kills the
/// first assertion does.
#[test]
fn every_mutant_is_caught() {
    assert_eq!(kill_through(&world::plain(), ""), Ok(()));
    let mutants = [left_out(), out_of_order(), too_early(), numbers(), trusting(), after_failures()].concat();
    let survivors = std::sync::Mutex::new(Vec::new());
    let run = on_all_processors(&mutants, |mutant| {
        match caught(mutant) {
            Some(how) => println!("{}: {:?}: {how}", mutant.name, mutant.by),
            None => survivors.lock().unwrap().push(mutant.name),
        }
        Ok(())
    });
    assert_eq!(run, Ok(()));
    let survivors = survivors.into_inner().unwrap();
    assert!(survivors.is_empty(), "survived: {survivors:#?}");
    println!("mutants: {} mutants, all caught", mutants.len());
}
