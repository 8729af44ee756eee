//! The file table at a generation, replayed from the last checkpoint and the manifests since.

use super::chain::{Chain, check_not_behind};
use super::finding::{Finding, RecoveryReport};
use super::head::Head;
use super::read::{self, LoadError};
use super::table::Table;
use crate::error::{Error, ErrorRepr, Result};
use crate::format::FormatError;
use crate::format::manifest::Manifest;
use crate::format::names::Name;
use crate::format::pointer::{ManifestRef, Pointer};
use crate::hash::StoreId;
use crate::revision::Generation;
use crate::storage::Storage;

/// What reading one manifest costs besides its changes, in units of one table entry. Measured: 12
/// to 26 when manifests are in memory, 80 to some hundreds when each is read from the disk. See
/// `benches/README.md`.
const MANIFEST_COST: u64 = 32;
/// The most manifests that are kept in memory on the way back to a known state.
const LAG_MAX: usize = 1024;

/// The cost of reading a manifest with this many changes, in units of one table entry.
pub(crate) const fn cost(changes: usize) -> u64 {
    MANIFEST_COST + changes as u64
}

/// A table, the cost of its replay, and the damaged checkpoints that the replay did without.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) table: Table,
    /// The cost of reading the manifests since the last checkpoint, in units of one table entry.
    pub(crate) cost: u64,
    /// The checkpoint at which the replay began.
    pub(crate) checkpoint: Option<Generation>,
    pub(crate) damaged_checkpoints: Vec<LoadError>,
}

impl Loaded {
    /// The state that a pointer leads to, given its manifest.
    pub(crate) fn into_head(self, pointer: Pointer, manifest: Manifest) -> Head {
        let findings: Vec<Finding> = self.damaged_checkpoints.iter().filter_map(Finding::of).collect();
        let serving = pointer.head.generation;
        let recovery =
            (!findings.is_empty()).then_some(RecoveryReport { findings, serving, degraded: false });
        Head {
            link: pointer.head,
            time: manifest.time,
            message: manifest.message,
            table: self.table,
            cost: self.cost,
            checkpoint: self.checkpoint,
            pointer_extra: pointer.extra,
            recovery,
        }
    }
}

/// Loads the state that an intact pointer leads to: the manifest and the table. Also checks that
/// the pointer is not an older copy of itself.
///
/// `is_ours` judges the store to which the manifest belongs. `known` is the newest state that the
/// caller has read. The pointer names another state; if that one is not above `known`, the history
/// was replaced.
pub(crate) fn head(
    storage: &dyn Storage,
    pointer: Pointer,
    known: Option<&Head>,
    is_ours: impl FnOnce(StoreId) -> Result<()>,
) -> Result<(StoreId, Head), LoadError> {
    let link = pointer.head;
    let found = read::manifest(storage, link);
    if let Ok(manifest) = &found {
        is_ours(manifest.store)?;
    }
    if let Some(known) = known.filter(|known| link.generation <= known.link.generation)
        && !matches!(found, Err(LoadError::Fatal(_)))
    {
        return Err(Error::from(ErrorRepr::HistoryReplaced { known: known.link.generation }).into());
    }
    let manifest = found?;
    check_not_behind(storage, link)?;
    let loaded = match table(storage, link, &manifest, known) {
        // A manifest on the way to the known state is damaged. A checkpoint above it may do.
        Err(fault) if known.is_some() && !matches!(fault, LoadError::Fatal(_)) => {
            table(storage, link, &manifest, None)
        }
        other => other,
    }?;
    let store = manifest.store;
    Ok((store, loaded.into_head(pointer, manifest)))
}

/// Replays the table at `link`, whose manifest is `head`: back along the chain to a known table or
/// a checkpoint, then forward again.
///
/// `known` is an earlier state that the caller already has. It must be part of the same history.
pub(crate) fn table(
    storage: &dyn Storage,
    link: ManifestRef,
    head: &Manifest,
    known: Option<&Head>,
) -> Result<Loaded, LoadError> {
    let mut loaded =
        Loaded { table: Table::default(), cost: 0, checkpoint: None, damaged_checkpoints: Vec::new() };
    let mut between = Vec::new();
    let mut next = Some(link);
    while let Some(at) = next {
        if let Some(known) = known {
            if known.link == at {
                loaded.table = known.table.clone();
                loaded.cost = known.cost;
                loaded.checkpoint = known.checkpoint;
                break;
            }
            if at.generation <= known.link.generation {
                return Err(Error::from(ErrorRepr::HistoryReplaced { known: known.link.generation }).into());
            }
            if between.len() > LAG_MAX {
                check_descends(storage, head.store, at, known.link)?;
                return table(storage, link, head, None);
            }
        }
        // On the way to a known state no checkpoint is a short cut: the chain has to show that it
        // leads there.
        match if known.is_some() { Ok(None) } else { read::checkpoint(storage, head.store, at) } {
            Ok(Some(found)) => {
                loaded.table = found;
                loaded.checkpoint = Some(at.generation);
                break;
            }
            Ok(None) => {}
            Err(LoadError::Fatal(error)) => return Err(error.into()),
            Err(fault) => loaded.damaged_checkpoints.push(fault),
        }
        if at == link {
            next = head.parent;
            continue;
        }
        let manifest = read::manifest(storage, at)?;
        read::check_store(&manifest, head.store)?;
        next = manifest.parent;
        between.push(manifest);
    }
    let is_at_link =
        loaded.checkpoint == Some(link.generation) || known.is_some_and(|known| known.link == link);
    let forward = between.iter().rev().chain((!is_at_link).then_some(head));
    for manifest in forward {
        loaded.cost += cost(manifest.changes.len());
        advance(&mut loaded.table, manifest)?;
    }
    Ok(loaded)
}

/// Fails unless `ancestor` lies on the chain at or below `from`.
fn check_descends(
    storage: &dyn Storage,
    store: StoreId,
    from: ManifestRef,
    ancestor: ManifestRef,
) -> Result<(), LoadError> {
    for found in Chain::new(storage, store, from) {
        let (at, _) = found?;
        if at == ancestor {
            return Ok(());
        }
        if at.generation <= ancestor.generation {
            break;
        }
    }
    Err(Error::from(ErrorRepr::HistoryReplaced { known: ancestor.generation }).into())
}

/// Applies one manifest to the table before it and checks the totals.
pub(crate) fn advance(table: &mut Table, manifest: &Manifest) -> Result<(), LoadError> {
    let wrong = |why| LoadError::Damaged { name: Name::Manifest(manifest.generation), why };
    table.apply(manifest.changes.iter()).map_err(wrong)?;
    if (table.files(), table.bytes()) != (manifest.files, manifest.bytes) {
        return Err(wrong(FormatError::rule(format!(
            "it states {} files and {} bytes, and its changes give {} and {}",
            manifest.files,
            manifest.bytes,
            table.files(),
            table.bytes()
        ))));
    }
    Ok(())
}
