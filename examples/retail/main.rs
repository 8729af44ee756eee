//! A day of an operator's work on 60 shops, as a tour of genstore.
//!
//! ```text
//! cargo run --example retail               # in a temporary directory
//! cargo run --example retail -- my-store   # in a directory that stays
//! ```
//!
//! Each step checks its claims, and the program fails if a claim does not hold.

// An example prints, uses plain files, and has no callers.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, unreachable_pub)]

mod check;
mod damage;
mod edits;
mod model;
mod sharing;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use genstore::{Generation, PutDirOptions, Snapshot, Store};

use check::Catalog;

/// Errors of this program: those of genstore, and claims that did not hold.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("retail: {error}");
            if let Some(error) = error.downcast_ref::<genstore::Error>() {
                eprintln!("{}; {}", error.consequence(), error.advice());
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    // Dropping it removes the directory.
    let scratch = tempfile::tempdir()?;
    let dir = match std::env::args_os().nth(1) {
        Some(dir) => PathBuf::from(dir),
        None => scratch.path().join("retail-store"),
    };

    let (store, start) = first_commit(&dir)?;

    heading("A shop's delivery moves from Thursday to Friday");
    edits::move_delivery(&store, "downtown", model::Weekday::Friday)?;
    expect_healthy(&store.snapshot()?)?;

    heading("A bad edit, and a good one after it");
    let bad = edits::clear_delivery_days(&store, "harbour")?;
    edits::open_on_sunday(&store, "larkrise")?;

    heading("The check notices it");
    let problems = Catalog::load(&store.snapshot()?)?.problems();
    println!(
        "The check of generation {} finds {} contradictions, such as:",
        store.resolve("latest")?,
        problems.len()
    );
    for problem in problems.iter().take(3) {
        println!("  {problem}");
    }
    expect(!problems.is_empty(), "the check notices the bad edit")?;

    heading("Who changed what, and why");
    history_and_diff(&store, bad)?;

    heading("Taking back the bad edit, and nothing else");
    edits::take_back(&store, bad, "larkrise")?;
    expect_healthy(&store.snapshot()?)?;

    heading("Two operators commit the same file");
    sharing::conflict_and_retry(&store)?;

    heading("Reading during commits");
    sharing::read_during_commits(&store)?;

    heading("A guard against broken files");
    edits::refuse_broken_json(&dir)?;

    heading("A byte goes bad");
    damage::damage_a_copy(&store, &scratch.path().join("copy"))?;

    heading("Back to how the day began");
    end_of_day(&store, start)
}

/// Commits the shipped files as one generation.
fn first_commit(dir: &Path) -> Outcome<(Store, Generation)> {
    heading("The first commit");
    let store = Store::open_or_create(dir)?;
    println!("Store {} in {}", store.id(), store.dir().display());
    for warning in store.probe_report().map_or(&[][..], |report| &report.warnings) {
        println!("  note: {warning}");
    }
    let found = store.snapshot()?;
    // The commit below prunes, so it must not run on a store with other data.
    if !found.is_empty() && found.metadata(model::INDEX).is_none() {
        return Err("this store holds other data; name another directory".into());
    }

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/retail/data");
    let mut tx = store.begin()?;
    tx.author("importer");
    let read = tx.put_dir(&source, &PutDirOptions::new().prune(true))?;
    let commit = tx.commit("import the shops, the schedule and the index")?;
    println!("Generation {} holds {} files, {} bytes.", commit.generation, read.files, read.bytes);

    let snapshot = store.snapshot()?;
    expect(snapshot.len() == read.files, "the store holds what the directory holds")?;
    expect_healthy(&snapshot)?;
    Ok((store, commit.generation))
}

fn history_and_diff(store: &Store, bad: Generation) -> Outcome {
    println!("History, newest first:");
    for entry in store.history()?.take(4) {
        println!("  {}", entry?);
    }
    let culprit = store.show(bad)?;
    println!("Generation {bad} is by {}: \"{}\"", culprit.author, culprit.message);

    let before = culprit.parent.ok_or("the bad edit has nothing before it")?;
    let differences = store.diff(before, bad)?;
    println!("Between {before} and {bad}, {} files differ:", differences.len());
    for difference in differences.iter().take(3) {
        println!("  {:?} {}", difference.change, difference.path);
    }
    expect(differences.len() == culprit.put.len(), "diff and history name the same files")
}

fn end_of_day(store: &Store, start: Generation) -> Outcome {
    let commit = store.rollback(start, "end of the exercise: the state of the first commit")?;
    println!(
        "Generation {} is generation {start} again; {} bytes were written for it.",
        commit.generation, commit.bytes
    );
    expect(store.diff(start, commit.generation)?.is_empty(), "the rollback restores the first state")?;
    expect_healthy(&store.snapshot()?)?;

    let again = store.rollback(start, "once more")?;
    expect(!again.changed, "a rollback to the present state creates no generation")?;

    let report = store.verify(&genstore::VerifyOptions::new().scope(genstore::VerifyScope::All))?;
    println!(
        "Verified {} generations, {} files, {} bytes: {}.",
        report.generations,
        report.files,
        report.bytes,
        if report.ok { "all intact" } else { "damage" }
    );
    expect(report.ok, "every byte of every generation is intact")
}

fn heading(title: &str) {
    println!("\n== {title}");
}

/// Returns an error if a claim of the tour does not hold.
pub fn expect(holds: bool, claim: &str) -> Outcome {
    if holds { Ok(()) } else { Err(format!("this should hold and does not: {claim}").into()) }
}

fn expect_healthy(snapshot: &Snapshot) -> Outcome {
    let catalog = Catalog::load(snapshot)?;
    match catalog.problems().first() {
        None => {
            println!(
                "Check of generation {}: {} shops, schedule and index agree.",
                snapshot.generation(),
                catalog.shops.len()
            );
            Ok(())
        }
        Some(problem) => Err(format!("generation {}: {problem}", snapshot.generation()).into()),
    }
}
