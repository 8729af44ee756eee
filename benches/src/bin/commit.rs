//! Durable commits of 1, 3 and 100 files of 4 KiB: genstore and its peers.
//!
//! README.md has the options.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use genstore::Store;
use genstore_benches::disk::{Disk, machine};
use genstore_benches::stats::Samples;
use genstore_benches::{Args, Contents, Result};
use redb::{Database, TableDefinition};
use rusqlite::{Connection, params};

/// The files of one commit.
type Files = [(String, Vec<u8>)];

/// One way to commit files.
trait Peer {
    fn commit(&mut self, files: &Files) -> Result<()>;
}

struct Genstore(Store);

impl Peer for Genstore {
    fn commit(&mut self, files: &Files) -> Result<()> {
        let mut tx = self.0.begin()?;
        for (path, bytes) in files {
            tx.put(path, bytes.clone())?;
        }
        tx.commit("commit")?;
        Ok(())
    }
}

/// Overwrites without an fsync, as many programs do. A power cut leaves the files in pieces.
struct Naive(PathBuf);

impl Peer for Naive {
    fn commit(&mut self, files: &Files) -> Result<()> {
        for (path, bytes) in files {
            fs::write(self.0.join(path), bytes)?;
        }
        Ok(())
    }
}

/// Each file is whole after a power cut, but the files may be of different times.
struct EachRenamed(PathBuf);

impl Peer for EachRenamed {
    fn commit(&mut self, files: &Files) -> Result<()> {
        for (path, bytes) in files {
            let path = self.0.join(path);
            let temporary = path.with_extension("tmp");
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}

struct Sqlite(Connection);

impl Sqlite {
    fn new(dir: &Path) -> Result<Self> {
        let db = Connection::open(dir.join("db"))?;
        db.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             CREATE TABLE files (path TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;",
        )?;
        // A setting that SQLite did not accept would make it another peer.
        let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        if (mode.as_str(), synchronous) != ("wal", 2) {
            return Err(format!("SQLite runs with journal {mode} and synchronous {synchronous}").into());
        }
        Ok(Self(db))
    }
}

impl Peer for Sqlite {
    fn commit(&mut self, files: &Files) -> Result<()> {
        let tx = self.0.transaction()?;
        {
            let mut put = tx.prepare_cached("INSERT OR REPLACE INTO files (path, bytes) VALUES (?1, ?2)")?;
            for (path, bytes) in files {
                put.execute(params![path, bytes])?;
            }
        }
        Ok(tx.commit()?)
    }
}

struct Redb(Database);

const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("files");

impl Peer for Redb {
    fn commit(&mut self, files: &Files) -> Result<()> {
        // Durable by default: `Durability::Immediate`.
        let tx = self.0.begin_write()?;
        {
            let mut table = tx.open_table(TABLE)?;
            for (path, bytes) in files {
                table.insert(path.as_str(), bytes.as_slice())?;
            }
        }
        Ok(tx.commit()?)
    }
}

fn peers(dir: &Path) -> Result<Vec<(&'static str, Box<dyn Peer>)>> {
    let directory = |name: &str| -> Result<PathBuf> {
        let path = dir.join(name);
        fs::create_dir_all(path.join("stores"))?;
        Ok(path)
    };
    Ok(vec![
        ("genstore", Box::new(Genstore(Store::create(dir.join("genstore"))?))),
        ("overwrite, no fsync", Box::new(Naive(directory("naive")?))),
        ("temp+fsync+rename each", Box::new(EachRenamed(directory("each")?))),
        ("SQLite WAL FULL", Box::new(Sqlite::new(&directory("sqlite")?)?)),
        ("redb", Box::new(Redb(Database::create(directory("redb")?.join("db"))?))),
    ])
}

fn main() -> Result<()> {
    let args = Args::of_process();
    let dir = args.dir()?;
    let sizes = args.list("--sizes", "1,3,100")?;
    let rounds: usize = args.option("--rounds", 200)?;
    let limit = Duration::from_secs(args.option("--seconds", 40)?);
    let disk = Disk::under(&dir)?;
    println!("{}; {}", machine(), disk.name);
    println!(
        "{:>5} {:<24} {:>6} | {:>9} {:>9} {:>9} | {:>9} {:>9} | {:>7}",
        "files", "peer", "rounds", "ms", "p90 ms", "commits/s", "to gen.", "gen. to", "flushes"
    );
    for files in sizes {
        let scratch = tempfile::Builder::new().prefix("genstore-commit-").tempdir_in(&dir)?;
        let mut peers = peers(scratch.path())?;
        let mut measured = vec![(Samples::default(), Samples::default()); peers.len()];
        let mut contents = Contents::default();
        // The first commit creates files and tables, which is not measured.
        let first = contents.next_files(files);
        peers.iter_mut().try_for_each(|(_, peer)| peer.commit(&first))?;
        let whole = File::open(scratch.path())?;
        rustix::fs::syncfs(&whole)?;
        let begin = Instant::now();
        for _ in 0..rounds {
            if begin.elapsed() > limit {
                break;
            }
            // All peers commit the same bytes in one round.
            let new = contents.next_files(files);
            for ((_, peer), (times, flushes)) in peers.iter_mut().zip(&mut measured) {
                let before = disk.flushes();
                let start = Instant::now();
                peer.commit(&new)?;
                times.push_time(start.elapsed());
                if let (Some(before), Some(after)) = (before, disk.flushes()) {
                    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                    flushes.push((after - before) as f64);
                }
                // No peer pays for the unwritten data of another.
                rustix::fs::syncfs(&whole)?;
            }
        }
        let ours = measured.first().map_or(f64::NAN, |(times, _)| times.median());
        for ((name, _), (times, flushes)) in peers.iter().zip(&measured) {
            let ms = times.median();
            println!(
                "{files:>5} {name:<24} {:>6} | {ms:>9.3} {:>9.3} {:>9.0} | {:>9.3} {:>9.3} | {:>7}",
                times.count(),
                times.quantile(0.9),
                1e3 / ms,
                ms / ours,
                ours / ms,
                flushes.median()
            );
        }
    }
    println!("to gen.: the peer's time / genstore's time; gen. to: genstore's time / the peer's time");
    Ok(())
}
