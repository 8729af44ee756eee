//! SQLite with a write-ahead log, and an fsync in every commit.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{Files, Peer};
use crate::Result;

/// A table of the newest versions.
const PLAIN: &str = "CREATE TABLE files (path TEXT PRIMARY KEY, bytes BLOB NOT NULL);";

/// Every version of every file, and a message for each generation, as genstore keeps them. `WITHOUT
/// ROWID` would write a tenth more for files of 10 KB.
pub const HISTORY: &str = "
    CREATE TABLE versions (path TEXT, generation INTEGER, bytes BLOB NOT NULL, PRIMARY KEY (path, generation));
    CREATE TABLE generations (generation INTEGER PRIMARY KEY, message TEXT NOT NULL);";

/// SQLite, where a new version replaces the old one.
#[derive(Debug)]
pub struct Plain(Connection);

impl Plain {
    /// Creates a database in this directory.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(dir: &Path) -> Result<Self> {
        Ok(Self(create(dir, PLAIN)?))
    }
}

impl Peer for Plain {
    fn commit(&mut self, files: Files) -> Result<()> {
        let tx = self.0.transaction()?;
        {
            let mut put = tx.prepare_cached("INSERT OR REPLACE INTO files (path, bytes) VALUES (?1, ?2)")?;
            for (path, bytes) in &files {
                put.execute(params![path, bytes])?;
            }
        }
        Ok(tx.commit()?)
    }
}

/// SQLite, where every version of every file is a row.
#[derive(Debug)]
pub struct History(Connection);

impl History {
    /// Creates a database in this directory.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(dir: &Path) -> Result<Self> {
        Ok(Self(create(dir, HISTORY)?))
    }

    /// Opens the database in this directory once more, for another thread.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self(open(dir)?))
    }
}

impl Peer for History {
    fn commit(&mut self, files: Files) -> Result<()> {
        // The number of a generation is taken under the lock of the writer.
        let tx = self.0.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            tx.prepare_cached("INSERT INTO generations (message) VALUES ('commit')")?.execute([])?;
            let generation = tx.last_insert_rowid();
            let mut put =
                tx.prepare_cached("INSERT INTO versions (path, generation, bytes) VALUES (?1, ?2, ?3)")?;
            for (path, bytes) in &files {
                put.execute(params![path, generation, bytes])?;
            }
        }
        Ok(tx.commit()?)
    }
}

fn create(dir: &Path, tables: &str) -> Result<Connection> {
    let db = open(dir)?;
    db.execute_batch(tables)?;
    Ok(db)
}

fn open(dir: &Path) -> Result<Connection> {
    let db = Connection::open(dir.join("db"))?;
    db.busy_timeout(std::time::Duration::from_secs(30))?;
    db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")?;
    // A setting that SQLite did not accept would make it another peer.
    let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    if (mode.as_str(), synchronous) != ("wal", 2) {
        return Err(format!("SQLite runs with journal {mode} and synchronous {synchronous}").into());
    }
    Ok(db)
}
