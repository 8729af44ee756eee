//! LMDB. A commit is durable by default: neither `MDB_NOSYNC` nor `MDB_NOMETASYNC` is set.

use std::path::Path;

use heed::types::{Bytes, Str};
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions};

use super::{Files, Peer};
use crate::Result;

/// The most that a database can grow to. It takes addresses, not memory.
const MAP_BYTES: usize = 16 << 30;

/// An environment of LMDB with one database.
#[derive(Debug)]
pub struct Lmdb {
    env: Env,
    files: Database<'static, Str, Bytes>,
}

impl Lmdb {
    /// Creates an environment in this directory.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(dir: &Path) -> Result<Self> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        // SAFETY: only this program knows the directory, so nothing changes the mapped file but
        // LMDB, which opens it once.
        #[expect(unsafe_code, reason = "LMDB maps its file into memory")]
        let env = unsafe { options.open(dir) }?;
        let files = env.create_databases_and_commit(env.write_txn()?, |opener, tx| {
            opener.create_database(tx, None).map(CommitOrAbort::<_, ()>::Commit)
        })?;
        let files = files.unwrap_commit();
        Ok(Self { env, files })
    }
}

impl Peer for Lmdb {
    fn commit(&mut self, files: Files) -> Result<()> {
        let mut tx = self.env.write_txn()?;
        for (path, bytes) in &files {
            self.files.put(&mut tx, path, bytes)?;
        }
        Ok(tx.commit()?)
    }
}
