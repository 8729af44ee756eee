//! The state of a store, at a glance.

use serde::Serialize;

use crate::engine::finding::Finding;
use crate::error::{Error, Operation, Result};
use crate::format::names::{DATA, MANIFESTS};
use crate::hash::StoreId;
use crate::revision::Generation;
use crate::store::Store;
use crate::time::Timestamp;

/// The state of a store. See [`Store::status`](crate::Store::status).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The id of the store.
    pub store: StoreId,
    /// The newest generation.
    pub generation: Generation,
    /// When that generation was committed.
    pub time: Timestamp,
    /// The message of its commit.
    pub message: String,
    /// The number of its files.
    pub files: u64,
    /// The length of its files together, in bytes.
    pub bytes: u64,
    /// Whether that generation is the last one that was committed.
    pub health: Health,
    /// The numbers of commits above the newest generation that were begun and not finished. A crash
    /// interrupted them, or they are still running.
    pub interrupted: Vec<Generation>,
    /// The damage on the way to the newest generation.
    pub findings: Vec<Finding>,
}

/// Whether a store serves the generation that was committed last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// The store serves it.
    Ok,
    /// The pointer or the newest manifest is damaged. The store serves the newest generation that
    /// verifies, and takes no commits.
    Degraded,
}

impl Status {
    /// The [interrupted](Status::interrupted) commits as findings, to show together with others.
    #[must_use]
    pub fn interrupted_findings(&self) -> Vec<Finding> {
        self.interrupted.iter().map(|generation| Finding::interrupted(*generation)).collect()
    }
}

impl Store {
    /// The state of the store: its newest generation, its health, and the interrupted commits above
    /// that generation. To find the older ones too, [`verify`](Store::verify) with
    /// [`VerifyScope::All`](crate::VerifyScope::All).
    ///
    /// This lists the names of all manifests and stored files, and reads no content.
    /// [`verify`](Store::verify) reads content.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let status = store.status()?;
    /// assert_eq!((status.health, status.files), (genstore::Health::Ok, 0));
    /// assert!(status.interrupted.is_empty() && status.interrupted_findings().is_empty());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`snapshot`](Store::snapshot). `Io` also when the store cannot be listed.
    pub fn status(&self) -> Result<Status> {
        let head = self.engine.refresh()?;
        let (findings, degraded) = match &head.recovery {
            Some(report) => (report.findings.clone(), report.degraded),
            None => (Vec::new(), false),
        };
        let mut status = Status {
            store: self.id(),
            generation: head.link.generation,
            time: head.time,
            message: head.message.clone(),
            files: head.table.files(),
            bytes: head.table.bytes(),
            health: if degraded { Health::Degraded } else { Health::Ok },
            interrupted: Vec::new(),
            findings,
        };
        for directory in [MANIFESTS, DATA] {
            let found = self
                .engine
                .storage()
                .scan(directory)
                .map_err(|error| Error::io(Operation::List, directory, error))?;
            let generations = found.iter().filter_map(|scanned| scanned.name.as_ref()?.generation());
            status.interrupted.extend(generations.filter(|generation| *generation > head.link.generation));
        }
        status.interrupted.sort_unstable();
        status.interrupted.dedup();
        // Another writer may have finished one of them since the pointer was read. And a generation
        // that an intact pointer names was committed, even if it cannot be read.
        let now =
            self.engine.refresh()?.link.generation.max(self.engine.pointed_at().unwrap_or(Generation::FIRST));
        status.interrupted.retain(|generation| *generation > now);
        Ok(status)
    }
}
