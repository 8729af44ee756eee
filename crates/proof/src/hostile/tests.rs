//! The corpus of the fuzzers as ordinary tests, and random operations against the model.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::crashes::{self, Cuts, Step};
use super::disk::Disk;
use super::documents::resealed;
use super::operations::{OPERATIONS_MAX, Op, Outcomes, WIDTH, run};
use super::{TARGETS, Target};
use crate::format::json::Extra;
use crate::format::pointer::{ManifestRef, Pointer};
use crate::hash::Blake3;
use crate::revision::Generation;

/// The inputs of one target, sorted by name.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let listed = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

fn pass(target: &str, check: Target) {
    let inputs = corpus(target);
    assert!(inputs.len() >= 3, "the corpus of {target} has inputs");
    for (file, bytes) in &inputs {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(bytes))) {
            println!("{} fails", file.display());
            std::panic::resume_unwind(panic);
        }
    }
}

/// One test for each target, and a list of their names.
macro_rules! targets {
    ($($name:ident),*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        mod corpus_of {
            $(
                #[test]
                fn $name() {
                    super::pass(stringify!($name), crate::proof::hostile::$name);
                }
            )*
        }
    };
}

targets!(pointer, manifest, checkpoint, path, revision, name, store, operations);

#[test]
fn every_target_has_a_fuzzer_and_a_corpus_and_no_other_is_there() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TESTED);
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for (directory, suffix) in [("corpus", ""), ("fuzz_targets", ".rs")] {
        let listed = std::fs::read_dir(fuzz.join(directory)).unwrap();
        let mut found: Vec<String> =
            listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut expected: Vec<String> = names.iter().map(|name| format!("{name}{suffix}")).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{directory}");
    }
}

/// A runner whose every choice comes from the seed.
fn runner(cases: u64, seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config =
        Config { cases: u32::try_from(cases).unwrap(), failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, rng)
}

#[test]
fn random_operations_do_what_the_model_says() {
    let cases = crate::proof::budget::runs(100);
    let seed = crate::proof::budget::seed();
    let start = Instant::now();
    let ops = prop::collection::vec(any::<[u8; WIDTH]>(), 0..OPERATIONS_MAX);
    let ops = ops.prop_map(|ops| ops.into_iter().map(Op::of).collect::<Vec<Op>>());
    let done = Cell::new(0);
    let met = Cell::new(Outcomes::default());
    let result = runner(cases, seed).run(&ops, |ops| {
        done.set(done.get() + ops.len());
        let one = run(&ops);
        let all = met.get();
        met.set(Outcomes {
            committed: all.committed + one.committed,
            unchanged: all.unchanged + one.unchanged,
            conflicts: all.conflicts + one.conflicts,
            invalid: all.invalid + one.invalid,
            not_found: all.not_found + one.not_found,
        });
        Ok(())
    });
    if let Err(error) = result {
        panic!("with GENSTORE_PROVE_SEED={seed}: {error}");
    }
    let done = done.get();
    let met = met.get();
    let seconds = start.elapsed().as_secs();
    println!(
        "hostile: {cases} sequences, {done} operations, {seconds} s, 0 differences, seed {seed}, {met:?}"
    );
    let counts = [met.committed, met.unchanged, met.conflicts, met.invalid, met.not_found];
    assert!(counts.iter().all(|count| *count >= cases / 10), "every outcome occurs: {met:?}");
}

#[test]
fn random_operations_with_power_cuts_do_what_the_model_says() {
    let cases = crate::proof::budget::runs(500);
    let seed = crate::proof::budget::seed();
    let start = Instant::now();
    let steps = prop::collection::vec(any::<[u8; crashes::WIDTH]>(), 0..crashes::STEPS_MAX);
    let steps = steps.prop_map(|steps| steps.into_iter().map(Step::of).collect::<Vec<Step>>());
    let done = Cell::new(0);
    let met = Cell::new(Cuts::default());
    let result = runner(cases, seed).run(&steps, |steps| {
        done.set(done.get() + steps.len());
        let one = crashes::run(&steps);
        let all = met.get();
        met.set(Cuts {
            all: all.all + one.all,
            new: all.new + one.new,
            old: all.old + one.old,
            interrupted: all.interrupted + one.interrupted,
            killed: all.killed + one.killed,
            unsynced: all.unsynced + one.unsynced,
            syncfs: all.syncfs + one.syncfs,
        });
        Ok(())
    });
    if let Err(error) = result {
        panic!("with GENSTORE_PROVE_SEED={seed}: {error}");
    }
    let done = done.get();
    let met = met.get();
    let Cuts { all, new, old, interrupted, killed, unsynced, syncfs } = met;
    println!(
        "hostile: {cases} sequences, {done} operations, {all} power cuts, {} with a commit in flight: \
         {new} times it was there, {old} times not, {interrupted} of these with names; {syncfs} during a \
         syncfs; {killed} killed writers, {unsynced} of them lost their generation in a power cut; {} s, \
         0 differences, seed {seed}",
        new + old,
        start.elapsed().as_secs()
    );
    let often = [all, new, old, interrupted, killed];
    let seldom = [syncfs, unsynced];
    let is_met =
        often.iter().all(|count| *count >= cases / 10) && seldom.iter().all(|count| *count >= cases / 50);
    assert!(is_met, "every outcome occurs: {met:?}");
}

/// Another writer's manifest may state a time to the nanosecond. If the time is ahead of the clock,
/// the next manifest takes it over, in milliseconds.
#[test]
fn a_time_finer_than_a_millisecond_does_not_stop_the_next_commit() {
    let disk = Disk::empty();
    drop(disk.create().unwrap());
    let first = String::from_utf8(disk.tree()["manifests/0000000001.json"].clone()).unwrap();
    let (before, after) = first.split_once("\"time\":\"").unwrap();
    let (_, after) = after.split_once('"').unwrap();
    let finer = resealed(format!("{before}\"time\":\"2999-01-01T00:00:00.123456789Z\"{after}").as_bytes());
    let link = ManifestRef { generation: Generation::FIRST, manifest: Blake3::of(&finer) };
    disk.write("manifests/0000000001.json", &finer);
    disk.write("CURRENT", &Pointer::new(link, None, Extra::new()).encode().unwrap());
    let store = disk.open().unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("a", "1").unwrap();
    assert_eq!(tx.commit("commit").unwrap().generation.get(), 2);
    assert_eq!(store.status().unwrap().time.to_string(), "2999-01-01T00:00:00.123Z");
}
