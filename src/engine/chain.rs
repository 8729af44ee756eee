//! The history of a store: from one generation back along the hashes of the parents.

use super::read::{self, LoadError};
use crate::format::FormatError;
use crate::format::manifest::Manifest;
use crate::format::names::{CHECKPOINTS, Name};
use crate::format::pointer::ManifestRef;
use crate::hash::StoreId;
use crate::revision::Generation;
use crate::storage::Storage;

/// How many numbers above the head are looked at.
const ABOVE_MAX: usize = 1000;
/// How many missing numbers in a row end the search. Each failed commit can leave one.
const GAP_MAX: usize = 16;

/// Walks back from a link, newest first.
///
/// At a damaged manifest it yields the fault once. Then it goes on at the newest intact checkpoint
/// below, which knows the hash of its own manifest. The generations in between cannot be reached.
pub(crate) struct Chain<'a> {
    storage: &'a dyn Storage,
    store: StoreId,
    next: Step,
}

enum Step {
    At(ManifestRef),
    /// The chain is broken at this generation: look for a checkpoint below it.
    Below(Generation),
    End,
}

impl<'a> Chain<'a> {
    pub(crate) const fn new(storage: &'a dyn Storage, store: StoreId, from: ManifestRef) -> Self {
        Self { storage, store, next: Step::At(from) }
    }

    fn read(&self, link: ManifestRef) -> Result<Manifest, LoadError> {
        let manifest = read::manifest(self.storage, link)?;
        read::check_store(&manifest, self.store)?;
        Ok(manifest)
    }

    /// The newest intact checkpoint below a generation whose manifest is intact too.
    fn anchor(&self, below: Generation) -> Option<(ManifestRef, Manifest)> {
        let found = self.storage.scan(CHECKPOINTS).ok()?;
        let generations = found.iter().rev().filter_map(|scanned| match scanned.name {
            Some(Name::Checkpoint(generation)) if generation < below => Some(generation),
            _ => None,
        });
        for generation in generations {
            let Ok((link, manifest)) = read::manifest_alone(self.storage, generation) else { continue };
            if read::check_store(&manifest, self.store).is_ok()
                && matches!(read::checkpoint(self.storage, self.store, link), Ok(Some(_)))
            {
                return Some((link, manifest));
            }
        }
        None
    }
}

impl Iterator for Chain<'_> {
    type Item = Result<(ManifestRef, Manifest), LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (link, manifest) = match self.next {
            Step::End => return None,
            Step::At(link) => match self.read(link) {
                Ok(manifest) => (link, manifest),
                Err(fault) => {
                    self.next = if matches!(fault, LoadError::Fatal(_)) {
                        Step::End
                    } else {
                        Step::Below(link.generation)
                    };
                    return Some(Err(fault));
                }
            },
            Step::Below(generation) => match self.anchor(generation) {
                Some(found) => found,
                None => {
                    self.next = Step::End;
                    return None;
                }
            },
        };
        self.next = manifest.parent.map_or(Step::End, Step::At);
        Some(Ok((link, manifest)))
    }
}

/// Fails when the pointer is an older copy of itself. Then a manifest above the head has a parent
/// that is above the head too, and only a committed generation gets a child.
pub(crate) fn check_not_behind(storage: &dyn Storage, head: ManifestRef) -> Result<(), LoadError> {
    let above = std::iter::successors(head.generation.next(), |generation| generation.next());
    let mut missing = 0;
    for generation in above.take(ABOVE_MAX) {
        let found = read::manifest_alone(storage, generation);
        missing = if matches!(found, Err(LoadError::Missing(_))) { missing + 1 } else { 0 };
        let manifest = match found {
            Ok((_, manifest)) => manifest,
            Err(LoadError::Fatal(error)) => return Err(error.into()),
            Err(_) if missing > GAP_MAX => return Ok(()),
            Err(_) => continue,
        };
        let Some(parent) = manifest.parent.filter(|parent| parent.generation > head.generation) else {
            continue;
        };
        // Another writer may have swapped the pointer since it was read.
        if read::pointer(storage).is_ok_and(|now| now.head == head) {
            let rule = format!(
                "it names generation {}, and generation {generation} follows {}: it is an older copy of itself",
                head.generation, parent.generation
            );
            return Err(LoadError::Damaged { name: Name::Pointer, why: FormatError::rule(rule) });
        }
        return Ok(());
    }
    Ok(())
}
