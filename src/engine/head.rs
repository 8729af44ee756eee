//! One committed state in memory.

use super::finding::RecoveryReport;
use super::table::Table;
use crate::format::json::Extra;
use crate::format::pointer::ManifestRef;
use crate::revision::Generation;
use crate::time::Timestamp;

/// One committed state, as it was read or published.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) link: ManifestRef,
    pub(crate) time: Timestamp,
    pub(crate) message: String,
    pub(crate) table: Table,
    /// The cost of replaying the table from the last checkpoint, in units of one table entry.
    pub(crate) cost: u64,
    /// The last checkpoint that this handle knows.
    pub(crate) checkpoint: Option<Generation>,
    pub(crate) pointer_extra: Extra,
    pub(crate) recovery: Option<RecoveryReport>,
}

impl Head {
    /// Whether the state may be older than the last acknowledged generation.
    pub(crate) fn is_degraded(&self) -> bool {
        self.recovery.as_ref().is_some_and(|report| report.degraded)
    }
}
