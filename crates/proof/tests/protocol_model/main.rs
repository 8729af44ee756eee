//! The commit protocol as a model. The checker visits every state of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    unreachable_pub
)]

mod action;
mod check;
mod disk;
mod opened;
mod settle;
mod state;
mod wrong;

#[path = "../../src/budget.rs"]
mod budget;
mod protocol;

use std::fs;
use std::path::Path;
use std::time::Instant;

use check::{FORWARD, HEAD, INTACT, NOTHING, NUMBER, POSSIBLE, READER, REPORT, TWICE, WHOLE, explore};
use disk::Start;
use protocol::{Others, Protocol};
use stateright::HasDiscoveries;
use wrong::Wrong;

/// A run of the right protocol, and the least that it must visit. A model that lost some of its
/// steps would find nothing either.
struct Run {
    what: &'static str,
    protocol: Protocol,
    states: usize,
    depth: usize,
}

const fn run(
    what: &'static str,
    start: Start,
    highest: u8,
    others: Others,
    states: usize,
    depth: usize,
) -> Run {
    Run { what, protocol: Protocol { wrong: Wrong::Nothing, highest, start, others }, states, depth }
}

const RUNS: [Run; 6] = [
    run("from no store, numbers 1 and 2, 2 readers", Start::Nothing, 2, Others::Readers, 14_100, 55),
    run("from generation 1, numbers 2 and 3, 2 readers", Start::Copy, 3, Others::Readers, 55_000, 60),
    run("from generation 1, numbers 2 and 3, status", Start::Copy, 3, Others::Status, 55_000, 59),
    run("from generation 1, numbers 2 to 4, 2 readers", Start::Copy, 4, Others::Readers, 587_000, 80),
    run("from no store, numbers 1 to 3, 2 readers", Start::Nothing, 3, Others::Readers, 180_000, 74),
    run("from generation 1, numbers 2 to 5", Start::Copy, 5, Others::None, 1_270_000, 96),
];
/// How many of the runs are done by default.
const IN_CI: u64 = 4;

#[test]
fn every_state_of_the_protocol_is_right() {
    let start = Instant::now();
    let mut states = 0;
    let mut depth = 0;
    let count = usize::try_from(budget::runs(IN_CI)).unwrap_or(usize::MAX);
    for run in RUNS.iter().take(count) {
        let begun = Instant::now();
        let found = explore(run.protocol, HasDiscoveries::Any);
        println!(
            "  {}: {} states, depth {}, {} s",
            run.what,
            found.states,
            found.depth,
            begun.elapsed().as_secs()
        );
        let told: Vec<_> =
            found.violations.iter().map(|(property, way)| format!("not \"{property}\":\n{way}")).collect();
        assert!(told.is_empty(), "{}: {}", run.what, told.join("\n"));
        assert!(found.states >= run.states, "{}: only {} states", run.what, found.states);
        assert!(found.depth >= run.depth, "{}: only {} steps deep", run.what, found.depth);
        states += found.states;
        depth = depth.max(found.depth);
    }
    println!("model: {states} states, depth {depth}, {} s, 0 violations", start.elapsed().as_secs());
}

/// Runs until `property` is violated, and prints the steps.
#[track_caller]
fn refuted(wrong: Wrong, property: &'static str) {
    refuted_from(Start::Store, Others::Readers, wrong, property);
}

#[track_caller]
fn refuted_from(start: Start, others: Others, wrong: Wrong, property: &'static str) {
    let protocol = Protocol { wrong, highest: 3, start, others };
    let found = explore(protocol, HasDiscoveries::AllOf([property].into()));
    let Some(way) = found.told(property) else {
        panic!("{wrong:?} is not refuted: \"{property}\" holds in {} states", found.states);
    };
    println!("{wrong:?}: not \"{property}\":\n{way}");
}

#[track_caller]
fn holds(start: Start, wrong: Wrong) {
    let protocol = Protocol { wrong, highest: 3, start, others: Others::None };
    let found = explore(protocol, HasDiscoveries::Any);
    assert!(found.violations.is_empty(), "{wrong:?}: {:?}", found.violations);
    assert!(found.states > 1000, "only {} states", found.states);
}

#[test]
fn a_data_file_that_is_not_synced_is_caught() {
    refuted(Wrong::DataNotSynced, WHOLE);
}

#[test]
fn a_manifest_that_is_not_synced_is_caught() {
    refuted(Wrong::ManifestNotSynced, WHOLE);
    refuted(Wrong::ManifestNotSynced, INTACT);
}

#[test]
fn a_directory_that_barrier_one_leaves_out_is_caught() {
    refuted(Wrong::DataDirNotSynced, WHOLE);
    refuted(Wrong::ManifestsDirNotSynced, WHOLE);
    refuted_from(Start::Copy, Others::None, Wrong::RootDirNotSynced, WHOLE);
    refuted_from(Start::Nothing, Others::None, Wrong::RootDirNotSynced, WHOLE);
}

#[test]
fn a_pointer_file_that_is_not_synced_is_caught() {
    refuted(Wrong::PointerNotSynced, HEAD);
}

#[test]
fn an_acknowledgement_before_barrier_two_is_caught() {
    refuted(Wrong::NoBarrierTwo, HEAD);
}

#[test]
fn a_rename_before_the_sync_is_caught() {
    refuted(Wrong::SwapFirst, HEAD);
    refuted(Wrong::SwapFirst, WHOLE);
    refuted(Wrong::SwapFirst, READER);
}

#[test]
fn a_number_that_is_chosen_without_a_look_after_a_start_is_caught() {
    refuted(Wrong::NoLook, NUMBER);
}

#[test]
fn a_number_that_is_chosen_without_the_note_is_caught() {
    refuted(Wrong::NoteIgnored, NUMBER);
}

#[test]
fn a_note_of_the_next_number_without_a_look_is_caught() {
    refuted(Wrong::NoteWithoutLook, NUMBER);
}

#[test]
fn a_note_that_a_kill_leaves_half_written_is_caught() {
    refuted(Wrong::NoteTorn, NUMBER);
}

#[test]
fn a_head_that_is_acknowledged_before_it_is_settled_is_caught() {
    refuted(Wrong::AcknowledgesUnsettled, NOTHING);
}

/// A power cut brings back a pointer that is older than a manifest whose parent is above it. The
/// store then opens read-only.
#[test]
fn a_head_that_is_built_on_before_it_is_settled_is_caught() {
    refuted(Wrong::BuildsOnUnsettled, POSSIBLE);
}

/// A disk stops once the fsync of a directory has failed. So a later fsync that succeeds can be
/// trusted.
#[test]
fn a_head_that_is_settled_by_a_second_fsync_is_durable() {
    for start in [Start::Store, Start::Copy, Start::Nothing] {
        holds(start, Wrong::SettlesBySync);
    }
}

#[test]
fn two_writers_at_once_are_caught() {
    refuted(Wrong::NoLock, INTACT);
    refuted(Wrong::NoLock, FORWARD);
}

#[test]
fn a_removal_after_an_unknown_outcome_is_caught() {
    refuted(Wrong::DiscardsUnknown, WHOLE);
    refuted(Wrong::DiscardsUnknown, READER);
}

#[test]
fn a_report_that_overlooks_an_interrupted_commit_is_caught() {
    refuted(Wrong::ReportsManifests, REPORT);
    refuted(Wrong::ReportsToGap, REPORT);
}

#[test]
fn a_report_of_a_commit_that_was_committed_meanwhile_is_caught() {
    refuted_from(Start::Store, Others::Status, Wrong::ReportsWithoutSecondLook, REPORT);
}

#[test]
fn a_pointer_that_is_settled_in_place_is_caught() {
    refuted(Wrong::SettlesInPlace, TWICE);
}

#[test]
fn a_pointer_that_is_settled_without_a_sync_is_caught() {
    refuted(Wrong::SettlesUnsynced, TWICE);
}

#[test]
fn a_recovery_that_removes_interrupted_commits_is_caught() {
    refuted(Wrong::RecoveryRemoves, TWICE);
}

/// The functions that the steps of the model name, and the steps that name none.
fn named(text: &str) -> (Vec<String>, Vec<String>) {
    let mut functions = Vec::new();
    let mut nameless = Vec::new();
    let mut names = Vec::new();
    let body = text.split_once("pub enum Action {").expect("the steps").1;
    for line in body.trim_start().lines().map(str::trim).take_while(|line| *line != "}") {
        if line.starts_with("///") {
            let spans = line.split('`').skip(1).step_by(2);
            names.extend(spans.filter(|span| span.contains("::")).map(str::to_owned));
        } else if names.is_empty() {
            nameless.push(line.to_owned());
        } else {
            functions.append(&mut names);
        }
    }
    (functions, nameless)
}

/// Whether the sources contain the function `module::file::function`.
fn exists(function: &str) -> bool {
    let Some((file, name)) = function.rsplit_once("::") else { return false };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    let text = fs::read_to_string(root.join(format!("{}.rs", file.replace("::", "/")))).unwrap_or_default();
    text.lines().any(|line| {
        let line = line.trim_start();
        !line.starts_with("//")
            && (line.contains(&format!("fn {name}(")) || line.contains(&format!("fn {name}<")))
    })
}

#[test]
fn every_step_names_functions_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocol_model/action.rs");
    let (functions, nameless) = named(&fs::read_to_string(root).unwrap());
    assert_eq!(nameless, Vec::<String>::new(), "each step names a function");
    assert!(functions.len() >= 30, "{functions:?}");
    let missing: Vec<_> = functions.iter().filter(|function| !exists(function)).collect();
    assert!(missing.is_empty(), "not in the sources: {missing:?}");
    assert!(!exists("engine::publish::no_such_function") && !exists("no_such_module::attempt"));
    assert_eq!(named("pub enum Action {\n/// Nothing.\nA(u8),\n}").1, ["A(u8),"]);
}
