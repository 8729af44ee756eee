//! The peers. Each commits files durably: when `commit` returns, a power cut takes nothing back.

pub mod each_renamed;
pub mod fjall;
pub mod floor;
pub mod genstore;
pub mod git;
pub mod lmdb;
pub mod redb;
pub mod sqlite;

use crate::Result;
use crate::bench::Bench;

/// The files of one commit.
pub type Files = Vec<(String, Vec<u8>)>;

/// This library.
pub const GENSTORE: &str = "genstore";
/// SQLite, where every version of every file is a row.
pub const SQLITE_HISTORY: &str = "SQLite, history";
/// SQLite, where a new version replaces the old one.
pub const SQLITE: &str = "SQLite";
/// redb, without history.
pub const REDB: &str = "redb";
/// LMDB, without history.
pub const LMDB: &str = "LMDB";
/// fjall, without history.
pub const FJALL: &str = "fjall";
/// Each file is replaced for itself.
pub const EACH_RENAMED: &str = "replace each file";
/// git: the index and a commit.
pub const GIT: &str = "git";
/// The bytes and one fsync.
pub const FLOOR: &str = "bare floor";

/// One way to commit files.
pub trait Peer {
    /// Commits files. They are durable when this returns. The peer gets the bytes to keep, so that
    /// none has to copy what its caller no longer needs.
    ///
    /// # Errors
    /// Those of the peer.
    fn commit(&mut self, files: Files) -> Result<()>;
}

/// The databases, the floor and genstore: all that takes a commit within this process.
///
/// # Errors
/// One cannot be created.
pub fn in_process(bench: &Bench, row: &str) -> Result<Vec<(&'static str, Box<dyn Peer>)>> {
    let dir = |name: &str| bench.directory(&format!("{row}/{name}"));
    Ok(vec![
        (GENSTORE, Box::new(genstore::Genstore::create(&dir("genstore")?)?)),
        (SQLITE_HISTORY, Box::new(sqlite::History::create(&dir("sqlite-history")?)?)),
        (SQLITE, Box::new(sqlite::Plain::create(&dir("sqlite")?)?)),
        (REDB, Box::new(redb::Redb::create(&dir("redb")?)?)),
        (LMDB, Box::new(lmdb::Lmdb::create(&dir("lmdb")?)?)),
        (FJALL, Box::new(fjall::Fjall::create(&dir("fjall")?)?)),
        (FLOOR, Box::new(floor::Floor::create(&dir("floor")?)?)),
    ])
}

/// All peers.
///
/// # Errors
/// One cannot be created.
pub fn all(bench: &Bench, row: &str) -> Result<Vec<(&'static str, Box<dyn Peer>)>> {
    let mut peers = in_process(bench, row)?;
    let dir = bench.directory(&format!("{row}/each-renamed"))?;
    peers.push((EACH_RENAMED, Box::new(each_renamed::EachRenamed::create(&dir)?)));
    if bench.commands.git.is_some() {
        peers.push((GIT, Box::new(git::Git::create(&bench.directory(&format!("{row}/git"))?)?)));
    } else {
        bench.skip("the peer git: not installed");
    }
    Ok(peers)
}
