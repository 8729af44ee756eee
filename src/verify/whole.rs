//! The check of the whole store: the chain of manifests, the table of each generation, every
//! checkpoint, and every name that belongs to none of them.

use std::collections::{BTreeMap, BTreeSet};

use super::work::Work;
use crate::engine::chain::Chain;
use crate::engine::finding::{Finding, FindingKind, Severity};
use crate::engine::read::{self, LoadError};
use crate::engine::replay;
use crate::engine::table::Table;
use crate::error::{Error, Operation, Result};
use crate::format::names::{CHECKPOINTS, DATA, DIRECTORIES, LOCKS, MANIFESTS, Name, STAGING};
use crate::format::pointer::ManifestRef;
use crate::revision::Generation;
use crate::snapshot::Snapshot;
use crate::storage::{FoundName, Storage};
use crate::store::Store;

/// How many names of an interrupted commit a finding shows.
const NAMES_SHOWN: usize = 5;

/// The part of the chain that could be followed, oldest first.
struct Followed {
    links: BTreeMap<Generation, ManifestRef>,
    /// The ranges of numbers that damaged manifests hide. Both ends of a range are exclusive.
    hidden: Vec<(u64, u64)>,
}

impl Followed {
    fn hides(&self, generation: Generation) -> bool {
        self.hidden.iter().any(|(low, high)| (*low + 1..*high).contains(&generation.get()))
    }
}

pub(super) fn collect(store: &Store, head: &Snapshot, work: &mut Work) -> Result<()> {
    let storage = store.engine.storage();
    head.head.table.iter().for_each(|entry| work.add(entry));
    let mut followed = follow(store, head.head.link, work)?;
    if let Some(pointed_at) = store.engine.pointed_at().filter(|_| head.head.is_degraded()) {
        // These generations were committed, but cannot be read.
        followed.hidden.push((head.generation().get(), pointed_at.get() + 1));
    }
    let tables = replay(store, &followed, work)?;
    work.generations = followed.links.len() as u64;
    checkpoints(store, &followed, tables, work)?;
    let unnamed = unnamed(storage, &followed, work)?;
    // A commit that another writer has finished since the head was read is not an interrupted one.
    let now = store.engine.refresh()?.link.generation;
    let is_new = |generation: Generation| generation > head.generation() && generation <= now;
    let older = unnamed.into_iter().filter(|finding| !finding.generation.is_some_and(is_new));
    work.findings.extend(older);
    Ok(())
}

/// Follows the chain back from the head, and notes where it is broken.
fn follow(store: &Store, head: ManifestRef, work: &mut Work) -> Result<Followed> {
    let mut followed = Followed { links: BTreeMap::new(), hidden: Vec::new() };
    let mut broken_at = None;
    for found in Chain::new(store.engine.storage(), store.id(), head) {
        match found {
            Ok((link, _)) => {
                if let Some(high) = broken_at.take() {
                    followed.hidden.push((link.generation.get(), high));
                }
                followed.links.insert(link.generation, link);
            }
            Err(fault) => {
                broken_at = followed.links.keys().next().map(|lowest| lowest.get());
                work.note(fault)?;
            }
        }
    }
    followed.hidden.extend(broken_at.map(|high| (0, high)));
    for (low, high) in &followed.hidden {
        work.findings.push(Finding {
            severity: Severity::Error,
            kind: FindingKind::ChainBroken,
            path: None,
            generation: Generation::new(*high).ok(),
            detail: format!("generations above {low} and below {high} cannot be reached from the newest"),
        });
    }
    Ok(followed)
}

/// Builds the table of each generation in turn and collects its files. Returns the tables that have
/// a checkpoint.
fn replay(store: &Store, followed: &Followed, work: &mut Work) -> Result<BTreeMap<Generation, Table>> {
    let storage = store.engine.storage();
    let wanted: BTreeSet<Generation> =
        scan(storage, CHECKPOINTS)?.into_iter().filter_map(checkpoint_of).collect();
    let mut tables = BTreeMap::new();
    let mut current: Option<(ManifestRef, Table)> = None;
    for link in followed.links.values() {
        let manifest = match read::manifest(storage, *link) {
            Ok(manifest) => manifest,
            Err(fault) => {
                work.note(fault)?;
                continue;
            }
        };
        read::puts(&manifest).for_each(|(entry, _)| work.add(entry));
        let before = match (manifest.parent, current.take()) {
            (None, _) => Some(Table::default()),
            (Some(parent), Some((at, table))) if parent == at => Some(table),
            // The table at the end of a gap can still be read if it has a checkpoint.
            (Some(parent), _) => checkpoint_above_a_gap(store, parent, work)?,
        };
        let table = match before {
            Some(mut table) => replay::advance(&mut table, &manifest).map(|()| Some(table)),
            // Above a gap the chain goes on at a checkpoint. That lists files of the hidden
            // generations.
            None => Ok(checkpoint_above_a_gap(store, *link, work)?),
        };
        match table {
            Ok(Some(table)) => {
                if wanted.contains(&link.generation) {
                    tables.insert(link.generation, table.clone());
                }
                current = Some((*link, table));
            }
            Ok(None) => {}
            Err(fault) => work.note(fault)?,
        }
    }
    Ok(tables)
}

/// The table of an intact checkpoint, if there is one. Collects its files.
fn checkpoint_above_a_gap(store: &Store, link: ManifestRef, work: &mut Work) -> Result<Option<Table>> {
    match read::checkpoint(store.engine.storage(), store.id(), link) {
        Ok(found) => {
            found.iter().flat_map(Table::iter).for_each(|entry| work.add(entry));
            Ok(found)
        }
        Err(fault) => work.note(fault).map(|()| None),
    }
}

fn checkpoint_of(scanned: FoundName) -> Option<Generation> {
    match scanned.name {
        Some(Name::Checkpoint(generation)) => Some(generation),
        _ => None,
    }
}

/// Compares every checkpoint with the table that results from the manifests.
fn checkpoints(
    store: &Store,
    followed: &Followed,
    tables: BTreeMap<Generation, Table>,
    work: &mut Work,
) -> Result<()> {
    for (generation, table) in tables {
        let Some(link) = followed.links.get(&generation) else { continue };
        match read::checkpoint(store.engine.storage(), store.id(), *link) {
            Ok(Some(found)) if found.iter().eq(table.iter()) => {}
            Ok(Some(_)) => {
                let name = Name::Checkpoint(generation);
                let detail = "it differs from the table that results from the manifests";
                let mut finding =
                    Finding::new(Severity::Warning, FindingKind::CheckpointDamaged, &name, detail);
                finding.generation = Some(generation);
                work.findings.push(finding);
            }
            Ok(None) => {}
            Err(LoadError::Fatal(error)) => return Err(error),
            Err(fault) => work.note(fault)?,
        }
    }
    Ok(())
}

/// Finds every name in the store that the chain does not explain.
fn unnamed(storage: &dyn Storage, followed: &Followed, work: &Work) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut unfinished: BTreeMap<Generation, Vec<String>> = BTreeMap::new();
    for directory in [MANIFESTS, CHECKPOINTS, DATA, STAGING, LOCKS] {
        for found in scan(storage, directory)? {
            let detail = match &found.name {
                Some(Name::Manifest(generation)) if followed.links.contains_key(generation) => continue,
                Some(Name::Checkpoint(generation))
                    if followed.links.contains_key(generation) || followed.hides(*generation) =>
                {
                    continue;
                }
                Some(name @ Name::Data(..)) if work.files.contains_key(name) => continue,
                Some(Name::WriterLock | Name::Pin(_) | Name::Used(_)) => continue,
                Some(Name::Manifest(generation) | Name::Data(_, generation))
                    if followed.hides(*generation) || is_damaged(work, *generation) =>
                {
                    continue;
                }
                Some(Name::Manifest(generation) | Name::Data(_, generation))
                    if !followed.links.contains_key(generation) =>
                {
                    unfinished.entry(*generation).or_default().push(found.path);
                    continue;
                }
                Some(Name::Manifest(_) | Name::Data(..) | Name::Checkpoint(_)) => "no generation names it",
                Some(Name::Staged(_)) => {
                    "it is staged content of a transaction that is still running or was interrupted"
                }
                _ => "the store uses no such name",
            };
            findings.push(orphan(found.path, found.name.and_then(|name| name.generation()), detail));
        }
    }
    for listed in storage.list_root().map_err(|error| Error::io(Operation::List, "the store", error))? {
        let detail = match listed.name.as_str() {
            "CURRENT" => continue,
            name if DIRECTORIES.contains(&name) && listed.is_directory => continue,
            "CURRENT.next" => "it is the pointer of a commit that is still running or was interrupted",
            _ => "the store uses no such name",
        };
        findings.push(orphan(listed.name, None, detail));
    }
    for (generation, names) in unfinished {
        let mut finding = Finding::interrupted(generation);
        let more = names.len().saturating_sub(NAMES_SHOWN);
        let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        finding.detail = format!("{}: {shown}{more}", finding.detail);
        findings.push(finding);
    }
    Ok(findings)
}

/// Whether the manifest of this number was found damaged. The files of the generation are then no
/// orphans.
fn is_damaged(work: &Work, generation: Generation) -> bool {
    let is_manifest = |kind| matches!(kind, FindingKind::ManifestDamaged | FindingKind::ManifestMissing);
    work.findings.iter().any(|finding| is_manifest(finding.kind) && finding.generation == Some(generation))
}

fn orphan(path: String, generation: Option<Generation>, detail: &str) -> Finding {
    Finding {
        severity: Severity::Note,
        kind: FindingKind::Orphan,
        path: Some(path),
        generation,
        detail: detail.into(),
    }
}

fn scan(storage: &dyn Storage, directory: &str) -> Result<Vec<FoundName>> {
    storage.scan(directory).map_err(|error| Error::io(Operation::List, directory, error))
}
