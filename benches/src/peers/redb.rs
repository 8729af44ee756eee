//! redb. A commit is durable by default (`Durability::Immediate`).

use std::path::Path;

use redb::{Database, TableDefinition};

use super::{Files, Peer};
use crate::Result;

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("files");

/// A database of redb.
#[derive(Debug)]
pub struct Redb(Database);

impl Redb {
    /// Creates a database in this directory.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(dir: &Path) -> Result<Self> {
        Ok(Self(Database::create(dir.join("db"))?))
    }
}

impl Peer for Redb {
    fn commit(&mut self, files: Files) -> Result<()> {
        let tx = self.0.begin_write()?;
        {
            let mut table = tx.open_table(TABLE)?;
            for (path, bytes) in &files {
                table.insert(path.as_str(), bytes.as_slice())?;
            }
        }
        Ok(tx.commit()?)
    }
}
