//! The cost of reading one manifest, in entries of a checkpoint.
//!
//! README.md has the options. `MANIFEST_COST` in `src/engine/replay.rs` comes from these figures.
//! Each figure is the difference between a large store and a small one, so the fixed cost of an
//! opening cancels out.

use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

use genstore::Store;
use genstore_benches::Result;
use genstore_benches::args::Args;
use genstore_benches::disk::Disk;
use genstore_benches::machine::machine;
use genstore_benches::stats::Samples;
use tempfile::TempDir;

/// A store, and the times to open it.
struct Case {
    dir: TempDir,
    warm: Samples,
    cold: Samples,
}

impl Case {
    /// A store of `generations` generations, each of which puts the same `changes` files.
    ///
    /// With `checkpoint` it has one of the generation before the last, as is usual. Without, it has
    /// none.
    fn new(parent: &Path, generations: usize, changes: usize, checkpoint: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("genstore-manifest-").tempdir_in(parent)?;
        let path = dir.path().join("store");
        let store = Store::create(&path)?;
        for generation in 0..generations {
            let mut tx = store.begin()?;
            for number in 0..changes {
                tx.put(format!("stores/{number:06}.json"), format!("{generation} {number}"))?;
            }
            tx.commit("commit")?;
        }
        // The drop waits for the thread that writes the checkpoint.
        drop(store);
        if checkpoint {
            let store = Store::open(&path)?;
            let mut tx = store.begin()?;
            tx.put("stores/000000.json", "the last")?;
            tx.commit("commit")?;
        }
        let mut checkpoints = 0;
        for entry in fs::read_dir(path.join("checkpoints"))? {
            checkpoints += 1;
            if !checkpoint {
                fs::remove_file(entry?.path())?;
            }
        }
        if checkpoint && checkpoints != 1 {
            return Err(
                format!("{checkpoints} checkpoints of {changes} files, not one: take other numbers").into()
            );
        }
        // Only pages that are on the disk can be dropped from memory.
        rustix::fs::syncfs(File::open(&path)?)?;
        Ok(Self { dir, warm: Samples::default(), cold: Samples::default() })
    }

    fn open(&mut self, cold: bool) -> Result<()> {
        let path = self.dir.path().join("store");
        if cold {
            forget(&path)?;
        }
        let start = Instant::now();
        let store = Store::open(&path)?;
        let took = start.elapsed();
        if let Some(found) = store.recovery() {
            return Err(format!("the store is damaged: {found:?}").into());
        }
        if cold {
            self.cold.push_time(took)
        } else {
            self.warm.push_time(took)
        }
        Ok(())
    }
}

/// Asks the system to forget the contents of the files that an opening reads. It still knows where
/// they are.
fn forget(store: &Path) -> Result<()> {
    for directory in ["manifests", "checkpoints"] {
        for entry in fs::read_dir(store.join(directory))? {
            rustix::fs::fadvise(File::open(entry?.path())?, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn main() -> Result<()> {
    let args = Args::of_process();
    let dir = args.dir()?;
    let rounds: usize = args.option("--rounds", 31)?;
    let generations: usize = args.option("--generations", 1000)?;
    let entries: usize = args.option("--entries", 20_000)?;
    let changes: usize = args.option("--changes", 100)?;
    println!("{}; {}", machine(), Disk::under(&dir)?.name);
    let fewer_generations = generations / 10;
    let fewer_entries = entries / 10;
    let many = generations / 10;
    let mut few_manifests = Case::new(&dir, fewer_generations, 1, false)?;
    let mut manifests = Case::new(&dir, generations, 1, false)?;
    let mut small_table = Case::new(&dir, 1, fewer_entries, true)?;
    let mut table = Case::new(&dir, 1, entries, true)?;
    let mut wide = Case::new(&dir, many, changes, false)?;
    for _ in 0..rounds {
        for case in [&mut few_manifests, &mut manifests, &mut small_table, &mut table, &mut wide] {
            case.open(false)?;
            case.open(true)?;
        }
    }
    println!(
        "{:<12} {:>14} {:>14} {:>14} | {:>12}",
        "cache", "entry us", "manifest us", "change us", "MANIFEST_COST"
    );
    for (cache, of) in [("warm", warm as fn(&Case) -> &Samples), ("cold", cold)] {
        // Other programs have disturbed the best measurement least.
        for (share, name) in [(0.5, "median"), (0.0, "best")] {
            let [few, all, small, large, wide] = [&few_manifests, &manifests, &small_table, &table, &wide]
                .map(|case| of(case).quantile(share) * 1e3);
            let entry = (large - small) / (entries - fewer_entries) as f64;
            // This is a manifest with its one change.
            let manifest = (all - few) / (generations - fewer_generations) as f64;
            let change = (wide - few) / (many * (changes - 1)) as f64;
            let cost = (manifest - change) / entry;
            println!("{cache} {name:<7} {entry:>14.3} {manifest:>14.3} {change:>14.3} | {cost:>12.1}");
        }
    }
    println!("change: each further change in the same manifest, instead of an entry of the checkpoint");
    Ok(())
}

const fn warm(case: &Case) -> &Samples {
    &case.warm
}

const fn cold(case: &Case) -> &Samples {
    &case.cold
}
