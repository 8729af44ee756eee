//! Every damage to stores of several shapes is found and named, or does no harm. It never gives
//! wrong bytes. Looking changes nothing, and what does not depend on the damaged file stays
//! readable.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods
)]

#[path = "../../src/budget.rs"]
mod budget;
mod drive;
mod expected;
mod harm;
mod oracle;
mod replaced;
mod shape;
#[path = "../../../../tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use budget::{runs, seed};
use genstore::Finding;
use harm::{Case, Harm, Patient, cases, intact};
use oracle::{Verdict, baseline, examine, judge};
use shape::{Shape, shapes};

/// How many kinds of harmless damage there are. A case of each must occur.
const HARMLESS: usize = 7;

fn name(shapes: &[Shape], case: &Case) -> String {
    format!("{}: {} {}", shapes[case.shape].name, case.name, case.harm)
}

fn is_long() -> bool {
    std::env::var_os("GENSTORE_PROVE_RUNS").is_some()
}

fn patients(shapes: &[Shape]) -> Vec<Patient> {
    shapes.iter().map(Patient::new).collect()
}

fn baselines(shapes: &[Shape]) -> Vec<Vec<Finding>> {
    patients(shapes).iter().zip(shapes).map(|(patient, shape)| baseline(patient, shape)).collect()
}

#[test]
fn every_damage_to_one_name_is_found_or_does_no_harm() {
    let start = Instant::now();
    let shapes = shapes();
    let cases = cases(&shapes, is_long());
    let baselines = baselines(&shapes);
    let verdicts = drive::each(
        cases.len(),
        || patients(&shapes),
        |number| name(&shapes, &cases[number]),
        |patients, number| {
            let case = &cases[number];
            let patient = &patients[case.shape];
            let shape = &shapes[case.shape];
            let verdict = examine(patient, shape, case, number, &baselines[case.shape]);
            if case.is_deep {
                patient.restore(shape)
            } else {
                patient.restore_touched(shape, case)
            }
            verdict
        },
    );
    let mut tally: BTreeMap<Verdict, u64> = BTreeMap::new();
    verdicts.iter().for_each(|verdict| *tally.entry(*verdict).or_default() += 1);
    for (verdict, count) in &tally {
        println!("damage: {count:6} {verdict:?}");
    }
    let harmless = tally.keys().filter(|verdict| matches!(verdict, Verdict::Harmless(_))).count();
    assert_eq!(harmless, HARMLESS, "not every kind of harmless damage occurs, or there are more");
    let detected = tally[&Verdict::Detected];
    println!(
        "damage: {} damages, {detected} detected, {} harmless, {} s, 0 violations",
        cases.len(),
        cases.len() as u64 - detected,
        start.elapsed().as_secs()
    );
}

/// Two or three damages to different files of one store. Files that would be well-formed in their
/// new place are left out: two of them could confirm each other, and the damage could not be told.
fn several(shapes: &[Shape], cases: &[Case], run: u64) -> Vec<Case> {
    let mut random = fastrand::Rng::with_seed(seed().wrapping_mul(1_000_003).wrapping_add(run));
    let shape = random.usize(..shapes.len());
    let names: Vec<&String> =
        shapes[shape].files("").map(|(name, _)| name).filter(|name| !name.starts_with("locks/")).collect();
    let count = random.usize(2..4);
    let chosen: BTreeSet<&String> = (0..count).map(|_| names[random.usize(..names.len())]).collect();
    let is_rubbish =
        |harm: &Harm| !matches!(harm, Harm::Bytes(whose, _) if whose != "NUL bytes" && whose != "nothing");
    let harms_of = |name: &str| -> Vec<&Case> {
        cases
            .iter()
            .filter(|case| case.shape == shape && case.name == name && is_rubbish(&case.harm))
            .collect()
    };
    chosen
        .into_iter()
        .map(|name| {
            let harms = harms_of(name);
            Case { is_deep: true, ..harms[random.usize(..harms.len())].clone() }
        })
        .collect()
}

#[test]
fn several_damages_at_once_leave_what_the_rules_of_recovery_say() {
    let start = Instant::now();
    let shapes = shapes();
    let cases = cases(&shapes, false);
    let baselines = baselines(&shapes);
    let runs = runs(400);
    drive::each(
        runs as usize,
        || patients(&shapes),
        |run| {
            let several = several(&shapes, &cases, run as u64);
            let names: Vec<String> = several.iter().map(|case| name(&shapes, case)).collect();
            format!("seed {}, run {run}: {}", seed(), names.join(" and "))
        },
        |patients, run| {
            let several = several(&shapes, &cases, run as u64);
            let patient = &patients[several[0].shape];
            let shape = &shapes[several[0].shape];
            let mut ruins = intact(shape);
            let did: Vec<bool> = several.iter().map(|case| patient.harm(shape, case, &mut ruins)).collect();
            if did.contains(&true) {
                let mut named: Vec<&str> = ruins.broken.iter().map(String::as_str).collect();
                named.extend(several.iter().map(|case| case.name.as_str()));
                judge(patient, &shape.model, &ruins, &several[0], run, &baselines[several[0].shape], &named);
            }
            patient.restore(shape);
        },
    );
    let seconds = start.elapsed().as_secs();
    println!("damage: {runs} runs of two or three damages, {seconds} s, 0 violations, seed {}", seed());
}
