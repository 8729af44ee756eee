//! fjall, with an fsync in every commit.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Files, Peer};
use crate::Result;

/// A database of fjall with one keyspace.
pub struct Fjall {
    db: Database,
    files: Keyspace,
}

impl Fjall {
    /// Creates a database in this directory.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(dir: &Path) -> Result<Self> {
        let db = Database::builder(dir).open()?;
        let files = db.keyspace("files", KeyspaceCreateOptions::default)?;
        Ok(Self { db, files })
    }
}

impl Peer for Fjall {
    fn commit(&mut self, files: Files) -> Result<()> {
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        for (path, bytes) in &files {
            batch.insert(&self.files, path.as_str(), bytes.as_slice());
        }
        Ok(batch.commit()?)
    }
}
