//! Three ways to make n new files durable: one by one, together, or with the whole file system.
//!
//! README.md has the options. `SYNCFS_FROM` in `src/storage/batch.rs` comes from these figures.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use genstore_benches::Result;
use genstore_benches::args::Args;
use genstore_benches::contents::Contents;
use genstore_benches::disk::Disk;
use genstore_benches::machine::machine;
use genstore_benches::stats::Samples;

/// The least number of rounds, however long they take. Fewer would say nothing.
const ROUNDS_MIN: usize = 7;

#[derive(Clone, Copy)]
enum Way {
    /// (a) Each file is fsynced after it is written.
    Each,
    /// (b) All files are written and their writeback is started. Then each is fsynced.
    Together,
    /// (c) All files are written. Then one `syncfs` syncs the whole file system.
    Whole,
}

const WAYS: [Way; 3] = [Way::Each, Way::Together, Way::Whole];

/// The times of one way, and the cache flushes of the disk meanwhile.
#[derive(Default)]
struct Measured {
    times: Samples,
    flushes: Samples,
}

fn main() -> Result<()> {
    let args = Args::of_process();
    let dir = args.dir()?;
    let sizes = args.list("--sizes", "1,2,4,8,16,32,64,128,256,1000")?;
    let rounds: usize = args.option("--rounds", 41)?;
    let seconds: u64 = args.option("--seconds", 20)?;
    let settle = !args.flag("--unsettled");
    // (b) has all files open at once.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised)?;
    let disk = Disk::under(&dir)?;
    println!("{}; {}; {}", machine(), disk.name, if settle { "settled" } else { "unsettled" });
    println!("(a) fsync each as written; (b) write all, start writeback, fsync each; (c) write all, syncfs");
    println!(
        "{:>5} {:>5} {:>5} {:>6} | {:>8} {:>8} {:>8} | {:>6} {:>6} {:>6} {:>8} | {:>7} {:>7} {:>7}",
        "files",
        "dirs",
        "both",
        "rounds",
        "a ms",
        "b ms",
        "c ms",
        "a/b",
        "c/b",
        "p90c/b",
        "c<=b",
        "flush a",
        "flush b",
        "flush c"
    );
    for files in sizes {
        let measured = measure(&dir, files, rounds, Duration::from_secs(seconds), settle, &disk)?;
        print(files, &measured);
    }
    Ok(())
}

fn directories(files: usize) -> usize {
    files / 4 + 1
}

/// Runs the three ways in turn. Each round has another order.
fn measure(
    dir: &Path,
    files: usize,
    rounds: usize,
    limit: Duration,
    settle: bool,
    disk: &Disk,
) -> Result<[Measured; 3]> {
    let scratch = tempfile::Builder::new().prefix("genstore-fsync-").tempdir_in(dir)?;
    let whole = File::open(scratch.path())?;
    let directories: Vec<PathBuf> =
        (0..directories(files)).map(|number| scratch.path().join(number.to_string())).collect();
    directories.iter().try_for_each(fs::create_dir)?;
    rustix::fs::syncfs(&whole)?;
    let mut measured: [Measured; 3] = Default::default();
    let mut contents = Contents::default();
    let begin = Instant::now();
    for round in 0..rounds {
        if round >= ROUNDS_MIN && begin.elapsed() > limit {
            break;
        }
        for turn in 0..WAYS.len() {
            let at = (round + turn) % WAYS.len();
            let (Some(way), Some(measured)) = (WAYS.get(at), measured.get_mut(at)) else { continue };
            let new: Vec<(PathBuf, Vec<u8>)> = (0..files)
                .zip(directories.iter().cycle())
                .map(|(number, directory)| {
                    (directory.join(format!("{number}.{round}.{at}")), contents.next_file())
                })
                .collect();
            if settle {
                // `syncfs` also writes what the earlier ways have only put into the log of the file
                // system. No way pays for another.
                rustix::fs::syncfs(&whole)?;
            }
            let before = disk.flushes();
            let start = Instant::now();
            make_durable(*way, &whole, &new, &directories)?;
            measured.times.push_time(start.elapsed());
            if let (Some(before), Some(after)) = (before, disk.flushes()) {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                measured.flushes.push((after - before) as f64);
            }
        }
    }
    Ok(measured)
}

fn make_durable(way: Way, whole: &File, files: &[(PathBuf, Vec<u8>)], directories: &[PathBuf]) -> Result<()> {
    let mut open = Vec::with_capacity(files.len());
    for (path, bytes) in files {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        match way {
            Way::Each => file.sync_all()?,
            // As in the library: this starts the writeback of dirty pages and needs no unsafe code.
            Way::Together => rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?,
            Way::Whole => {}
        }
        open.push(file);
    }
    match way {
        Way::Whole => rustix::fs::syncfs(whole)?,
        Way::Each => directories.iter().try_for_each(|directory| File::open(directory)?.sync_all())?,
        Way::Together => {
            open.iter().try_for_each(File::sync_all)?;
            directories.iter().try_for_each(|directory| File::open(directory)?.sync_all())?;
        }
    }
    Ok(())
}

fn print(files: usize, [each, together, whole]: &[Measured; 3]) {
    let a = each.times.median();
    let b = together.times.median();
    let c = whole.times.median();
    println!(
        "{files:>5} {:>5} {:>5} {:>6} | {a:>8.2} {b:>8.2} {c:>8.2} | {:>6.2} {:>6.2} {:>6.2} {:>7.0}% | {:>7} {:>7} {:>7}",
        directories(files),
        files + directories(files),
        each.times.count(),
        a / b,
        c / b,
        whole.times.quantile(0.9) / together.times.quantile(0.9),
        whole.times.not_above(&together.times),
        each.flushes.median(),
        together.flushes.median(),
        whole.flushes.median(),
    );
}
