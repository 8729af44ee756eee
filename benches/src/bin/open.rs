//! The cost of opening a store of few generations, and of many.
//!
//! README.md has the options. Each generation puts one of ten files, so only the number of
//! generations grows and the file table stays the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use genstore::Store;
use genstore_benches::disk::{Disk, machine};
use genstore_benches::stats::Samples;
use genstore_benches::{Args, Result};

/// The generations that a store gets beyond the wanted number. It is opened after each. They cover
/// the distance between two checkpoints.
const CYCLE: usize = 48;
const FILES: usize = 10;

fn main() -> Result<()> {
    let args = Args::of_process();
    let dir = args.dir()?;
    let sizes = args.list("--generations", "10,1000,10000")?;
    let opens: usize = args.option("--opens", 15)?;
    println!("{}; {}", machine(), Disk::under(&dir)?.name);
    println!(
        "{:>11} {:>11} | {:>9} {:>9} {:>9} | {:>9} {:>9} | {:>11}",
        "generations", "checkpoints", "best ms", "median ms", "worst ms", "bare ms", "to bare", "to fewest"
    );
    let mut fewest = None;
    for generations in sizes {
        let scratch = tempfile::Builder::new().prefix("genstore-open-").tempdir_in(&dir)?;
        let path = scratch.path().join("store");
        let store = Store::create(&path)?;
        (0..generations).try_for_each(|number| commit(&store, number))?;
        // The drop waits for the thread that writes checkpoints.
        drop(store);
        let mut times = Samples::default();
        let mut bare = Samples::default();
        for number in generations..generations + CYCLE {
            commit(&Store::open(&path)?, number)?;
            let least = least(&path)?;
            let mut here = Samples::default();
            for _ in 0..opens {
                let start = Instant::now();
                let opened = Store::open(&path)?;
                here.push_time(start.elapsed());
                drop(opened);
                let start = Instant::now();
                least.iter().try_for_each(|path| fs::read(path).map(drop))?;
                bare.push_time(start.elapsed());
            }
            times.push(here.median());
        }
        let (median, floor) = (times.median(), bare.median());
        println!(
            "{generations:>11} {:>11} | {:>9.3} {median:>9.3} {:>9.3} | {floor:>9.3} {:>9.2} | {:>11.2}",
            fs::read_dir(path.join("checkpoints"))?.count(),
            times.quantile(0.0),
            times.quantile(1.0),
            median / floor,
            median / *fewest.get_or_insert(median),
        );
    }
    println!("bare: only reads the bytes of the pointer, the newest manifest and the newest checkpoint");
    Ok(())
}

fn commit(store: &Store, number: usize) -> Result<()> {
    let mut tx = store.begin()?;
    tx.put(format!("stores/{}.json", number % FILES), format!("{{\"number\":{number}}}"))?;
    tx.commit("commit")?;
    Ok(())
}

/// The files that every opening must read: the pointer, the newest manifest and the newest
/// checkpoint.
fn least(store: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = vec![store.join("CURRENT")];
    for directory in ["manifests", "checkpoints"] {
        let names: std::io::Result<Vec<_>> =
            fs::read_dir(store.join(directory))?.map(|entry| Ok(entry?.path())).collect();
        // Names sort as their numbers do.
        paths.extend(names?.into_iter().max());
    }
    Ok(paths)
}
