//! genstore and its peers, all rows, in one command.
//!
//! README.md has the options.

use std::path::Path;
use std::time::Duration;

use genstore_benches::Result;
use genstore_benches::args::Args;
use genstore_benches::bench::Bench;
use genstore_benches::commands::repository;
use genstore_benches::contest::SEED;
use genstore_benches::disk::Disk;
use genstore_benches::draw::draw;
use genstore_benches::machine::{Machine, versions};
use genstore_benches::results::{Results, print};
use genstore_benches::row::Row;
use genstore_benches::rows::{ALL, Run, child};

fn main() -> Result<()> {
    let args = Args::of_process();
    match args.words().as_slice() {
        [child::OPEN, store, path] => child::open(store, path),
        [child::HASH, files @ ..] => child::hash(files),
        ["rows"] => {
            ALL.iter().for_each(|(name, _)| println!("{name}"));
            Ok(())
        }
        ["draw", results, "--into", into] => {
            for path in draw(&Results::read(Path::new(results))?, Path::new(into))? {
                println!("{}", path.display());
            }
            Ok(())
        }
        ["draw", ..] => Err("usage: draw RESULTS.json --into DIR".into()),
        _ => compare(&args),
    }
}

fn compare(args: &Args) -> Result<()> {
    let dir = args.dir()?;
    let quick = args.flag("--quick");
    let rounds = args.option("--rounds", 0)?;
    let limit = Duration::from_secs(args.option("--seconds", 120)?);
    let rows = chosen(&args.option("--only", String::new())?)?;
    std::fs::create_dir_all(&dir)?;
    let disk = Disk::under(&dir)?;
    disk.refuse_memory()?;

    let mut run_dir = tempfile::Builder::new().prefix("genstore-benches-").tempdir_in(&dir)?;
    run_dir.disable_cleanup(args.flag("--keep"));
    let path = std::path::absolute(run_dir.path())?;
    let machine = Machine::with(&disk);
    let bench = Bench::new(&path, disk, (rounds > 0).then_some(rounds), limit, quick)?;
    let mut results = Results {
        date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        quick,
        seed: SEED,
        machine,
        versions: versions(&bench.commands),
        skipped: Vec::new(),
        rows: Vec::new(),
    };
    println!("{}all files are under {}", results.head(), path.display());

    let mut failed = false;
    for (name, run) in rows {
        match run(&bench) {
            Ok(mut rows) => {
                if quick {
                    rows = rows.into_iter().map(Row::quick).collect();
                }
                rows.iter().for_each(|row| print!("{}", print(row)));
                results.rows.extend(rows);
            }
            Err(error) => {
                failed = true;
                bench.skip(&format!("the row {name}, which failed: {error}"));
            }
        }
        // After each row, so that a run which is stopped leaves what it has measured.
        results.skipped = bench.skipped();
        results.write(&repository().join("benches/results"))?;
    }
    let file = results.write(&repository().join("benches/results"))?;
    println!("\nwritten: {}", file.canonicalize()?.display());
    if failed { Err("a row failed".into()) } else { Ok(()) }
}

/// The rows with these names, separated by commas, or all.
fn chosen(only: &str) -> Result<Vec<(&'static str, Run)>> {
    if only.is_empty() {
        return Ok(ALL.to_vec());
    }
    let find = |name: &str| ALL.iter().find(|(own, _)| *own == name).copied();
    let unknown = |name: &str| {
        let all: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        format!("no row {name}; the rows are {}", all.join(", "))
    };
    only.split(',').map(|name| find(name).ok_or_else(|| unknown(name).into())).collect()
}
