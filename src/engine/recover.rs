//! Opening a store whose pointer or newest manifest is damaged. Chooses the newest generation whose
//! chain verifies, reports it, and changes nothing.

use std::collections::HashSet;
use std::path::Path;

use super::content::{self, Check};
use super::finding::{Finding, RecoveryReport};
use super::head::Head;
use super::read::{self, LoadError};
use super::replay::{self, Loaded};
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::format::json::Extra;
use crate::format::manifest::Manifest;
use crate::format::names::{MANIFESTS, Name};
use crate::format::pointer::ManifestRef;
use crate::fs::{is_transient, retry_once};
use crate::hash::StoreId;
use crate::revision::Generation;
use crate::storage::Storage;

/// Chooses the generation to serve after loading the newest state failed with `fault`.
pub(crate) fn recover(storage: &dyn Storage, dir: &Path, fault: LoadError) -> Result<(StoreId, Head)> {
    let scanned = match retry_once(|| storage.scan(MANIFESTS)) {
        Err(error) if is_transient(&error) => return Err(Error::io(Operation::List, MANIFESTS, error)),
        // If something other than a directory stands there, no manifest is left. That is damage
        // like any other.
        scanned => scanned.unwrap_or_default(),
    };
    let mut numbers: Vec<Generation> =
        scanned.iter().filter_map(|found| found.name.as_ref()?.generation()).collect();
    numbers.sort_unstable();
    // A damaged pointer, or one that is older than the history, says nothing.
    let pointer = read::pointer(storage).ok().filter(|_| !fault.is_of_pointer());
    let mut search = Search {
        storage,
        findings: Finding::of(&fault).into_iter().collect(),
        parents: HashSet::new(),
        second_best: None,
        broken_at: None,
    };
    search.parents.extend(pointer.iter().flat_map(|pointer| [Some(pointer.head), pointer.parent]).flatten());
    // With an intact pointer, nothing above its head was committed, and nothing between the head
    // and its parent.
    let may_be = |number: &Generation| match &pointer {
        None => true,
        Some(pointer) if *number == pointer.head.generation => true,
        Some(pointer) => pointer.parent.is_some_and(|parent| *number <= parent.generation),
    };
    for number in numbers.into_iter().rev().filter(may_be) {
        if let Some(chosen) = search.consider(number)? {
            return Ok(search.serve(chosen));
        }
    }
    match search.second_best.take() {
        Some(chosen) => Ok(search.serve(chosen)),
        None => {
            Err(ErrorRepr::NothingIntact { dir: dir.into(), detail: fault.into_error().to_string() }.into())
        }
    }
}

struct Candidate {
    link: ManifestRef,
    manifest: Manifest,
    loaded: Loaded,
}

struct Search<'a> {
    storage: &'a dyn Storage,
    findings: Vec<Finding>,
    /// What the pointer names, and the parents of intact manifests: only a committed generation has
    /// a child.
    parents: HashSet<ManifestRef>,
    /// The newest generation whose chain verifies although its own files do not.
    second_best: Option<Candidate>,
    /// Where the chain of a candidate broke. The chain of every generation between the two breaks
    /// there too.
    broken_at: Option<Generation>,
}

impl Search<'_> {
    /// Looks at one generation; called newest first. Returns it if it is the one to serve.
    fn consider(&mut self, number: Generation) -> Result<Option<Candidate>> {
        if self.broken_at.is_some_and(|broken| number > broken) {
            return Ok(None);
        }
        let (link, manifest) = match read::manifest_alone(self.storage, number) {
            Ok(found) => found,
            Err(LoadError::Fatal(error)) => return Err(error),
            Err(fault) => {
                self.note(&fault);
                return Ok(None);
            }
        };
        // A number that was committed under one hash is refused under another.
        if let Some(known) = self.parents.iter().find(|known| known.generation == number && **known != link) {
            self.note(&LoadError::OtherHash {
                generation: number,
                expected: known.manifest,
                found: link.manifest,
            });
            return Ok(None);
        }
        self.parents.extend(manifest.parent);
        let loaded = match replay::table(self.storage, link, &manifest, None) {
            Ok(loaded) => loaded,
            Err(LoadError::Fatal(error)) => return Err(error),
            Err(fault) => {
                if let LoadError::OtherHash { generation, expected, .. } = fault {
                    // The chain says which hash this number has, so another one is refused when its
                    // turn comes.
                    self.parents.insert(ManifestRef { generation, manifest: expected });
                }
                self.note(&fault);
                self.broken_at = fault.generation();
                return Ok(None);
            }
        };
        let was_committed = self.parents.contains(&link);
        let candidate = Candidate { link, manifest, loaded };
        if was_committed || self.is_whole(&candidate.manifest)? {
            return Ok(Some(candidate));
        }
        // It may be an interrupted commit, some of whose files never reached the disk.
        self.second_best.get_or_insert(candidate);
        Ok(None)
    }

    /// Whether every file that the generation wrote is intact.
    fn is_whole(&self, manifest: &Manifest) -> Result<bool> {
        for (entry, _) in read::puts(manifest).filter(|(_, own)| *own) {
            match content::check(self.storage, entry) {
                Check::Intact => {}
                Check::Damaged(_) => return Ok(false),
                Check::Unknown(error) => {
                    return Err(Error::io(
                        Operation::Read,
                        Name::Data(entry.path.clone(), entry.generation).to_string(),
                        error,
                    ));
                }
            }
        }
        Ok(true)
    }

    fn note(&mut self, fault: &LoadError) {
        let finding = Finding::of(fault);
        self.findings.extend(finding.filter(|finding| !self.findings.contains(finding)));
    }

    fn serve(mut self, chosen: Candidate) -> (StoreId, Head) {
        for fault in &chosen.loaded.damaged_checkpoints {
            self.note(fault);
        }
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let serving = chosen.link.generation;
        let head = Head {
            link: chosen.link,
            time: chosen.manifest.time,
            message: chosen.manifest.message,
            table: chosen.loaded.table,
            cost: chosen.loaded.cost,
            checkpoint: chosen.loaded.checkpoint,
            pointer_extra: Extra::new(),
            recovery: Some(RecoveryReport { findings: self.findings, serving, degraded: true }),
        };
        (chosen.manifest.store, head)
    }
}
