//! When and how a checkpoint is written.

use std::io::{self, Write as _};
use std::sync::Arc;

use super::chain::Chain;
use super::handle::Engine;
use super::head::Head;
use super::read;
use super::replay::cost;
use super::table::Table;
use crate::format::checkpoint::{self, Header};
use crate::format::names::{CHECKPOINTS, Name};
use crate::format::pointer::ManifestRef;
use crate::hash::StoreId;
use crate::revision::Generation;
use crate::storage::Storage;
use crate::sync::{PoisonError, thread};

/// Below this cost no checkpoint is due: the table is cheap enough to replay from manifests. The
/// value also bounds what one damaged manifest can hide in a small store: everything since the last
/// checkpoint, about 8 commits.
const COST_MIN: u64 = 256;

/// The size rule: a checkpoint is due once reading the manifests since the last one costs as much
/// as reading the table. So opening costs at most about twice as much as reading the table, as long
/// as the manifests are in memory.
fn is_due(cost: u64, files: u64) -> bool {
    cost >= COST_MIN.max(files)
}

impl Engine {
    /// Writes a checkpoint of the head if one is due, in a thread of its own. The commit is durable
    /// by then and the lock is free. After a failure the checkpoint is due again at the next
    /// commit.
    pub(crate) fn checkpoint_if_due(&self, mut head: Head) -> Head {
        if !is_due(head.cost, head.table.files()) {
            return head;
        }
        let mut running = self.checkpointer.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return head;
        }
        if let Some((newest, cost)) = written_since(self.storage(), self.id(), &head) {
            head.checkpoint = Some(newest);
            head.cost = cost;
            if !is_due(cost, head.table.files()) {
                return head;
            }
        }
        let storage = Arc::clone(&self.storage);
        let store = self.id();
        let link = head.link;
        let table = head.table.clone();
        let work = move || {
            let _ = write(&*storage, store, link, &table);
        };
        if self.options().checkpoint_thread {
            *running = thread::Builder::new().name("genstore-checkpoint".into()).spawn(work).ok();
        } else {
            work();
        }
        head
    }
}

/// The newest checkpoint, if it is intact and this handle did not know it, and the cost of the
/// manifests since then. This handle or another process may have written it.
fn written_since(storage: &dyn Storage, store: StoreId, head: &Head) -> Option<(Generation, u64)> {
    let found = storage.scan(CHECKPOINTS).ok()?;
    let newest = found.iter().filter_map(|scanned| match scanned.name {
        Some(Name::Checkpoint(generation)) if generation <= head.link.generation => Some(generation),
        _ => None,
    });
    let newest = newest.max().filter(|newest| head.checkpoint.is_none_or(|known| *newest > known))?;
    let mut total = 0;
    for found in Chain::new(storage, store, head.link) {
        let (link, manifest) = found.ok()?;
        if link.generation <= newest {
            let is_intact = matches!(read::checkpoint(storage, store, link), Ok(Some(_)));
            return is_intact.then_some((newest, total));
        }
        total += cost(manifest.changes.len());
    }
    None
}

/// Writes the checkpoint of a table. The file is fsynced before it gets its name, so that a crash
/// leaves no torn checkpoint.
pub(crate) fn write(
    storage: &dyn Storage,
    store: StoreId,
    link: ManifestRef,
    table: &Table,
) -> io::Result<()> {
    let mut batch = storage.begin_batch()?;
    let (staged, file) = batch.stage()?;
    let header = Header::new(store, link, table.files(), table.bytes());
    let mut out = io::BufWriter::with_capacity(1 << 16, file);
    let written = checkpoint::write(&mut out, &header, table.iter())
        .map_err(io::Error::other)
        .and_then(|()| out.flush())
        .and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error))
        .and_then(|file| batch.staged(file))
        .and_then(|()| batch.sync())
        .and_then(|()| storage.replace_derived(&staged, &Name::Checkpoint(link.generation)));
    if written.is_err() {
        batch.discard(false);
    }
    written
}
