//! The history of a store, from a generation back along the hashes of its parents.

use crate::error::{Problem, Result};
use crate::format::manifest::Manifest;
use crate::format::names::{CHECKPOINTS, Name};
use crate::format::pointer::Link;
use crate::hash::StoreId;
use crate::revision::{Generation, Revision};
use crate::storage::Storage;

use super::load::{self, Fault};

/// Goes back from a link, newest first.
///
/// At a manifest that is damaged it gives the fault once and goes on at the newest intact checkpoint below it, which
/// knows the hash of its own manifest. Generations in between cannot be reached.
pub(crate) struct Chain<'a> {
    storage: &'a dyn Storage,
    store: StoreId,
    next: Step,
}

enum Step {
    At(Link),
    /// The chain is broken at this generation.
    Below(Generation),
    End,
}

impl<'a> Chain<'a> {
    pub(crate) const fn new(storage: &'a dyn Storage, store: StoreId, from: Link) -> Self {
        Self { storage, store, next: Step::At(from) }
    }

    fn read(&self, link: Link) -> Result<Manifest, Fault> {
        let manifest = load::manifest(self.storage, link)?;
        load::check_store(&manifest, self.store)?;
        Ok(manifest)
    }

    /// The newest checkpoint below a generation that is intact and whose manifest is.
    fn anchor(&self, below: Generation) -> Option<(Link, Manifest)> {
        let found = self.storage.scan(CHECKPOINTS).ok()?;
        let generations = found.iter().rev().filter_map(|scanned| match scanned.name {
            Some(Name::Checkpoint(generation)) if generation < below => Some(generation),
            _ => None,
        });
        for generation in generations {
            let Ok((link, manifest)) = load::manifest_alone(self.storage, generation) else { continue };
            if load::check_store(&manifest, self.store).is_ok()
                && matches!(load::checkpoint(self.storage, self.store, link), Ok(Some(_)))
            {
                return Some((link, manifest));
            }
        }
        None
    }
}

impl Iterator for Chain<'_> {
    type Item = Result<(Link, Manifest), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let (link, manifest) = match self.next {
            Step::End => return None,
            Step::At(link) => match self.read(link) {
                Ok(manifest) => (link, manifest),
                Err(fault) => {
                    self.next = if matches!(fault, Fault::Fatal(_)) {
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

/// Finds the generation that a revision names, in the history of `head`.
pub(crate) fn find(storage: &dyn Storage, store: StoreId, head: Link, revision: Revision) -> Result<Link> {
    let missing = |detail: String| Problem::NoSuchRevision { revision: revision.to_string(), detail }.into();
    if let Revision::Latest | Revision::Back(0) = revision {
        return Ok(head);
    }
    if let Revision::Generation(wanted) = revision {
        if wanted == head.generation {
            return Ok(head);
        }
        if wanted > head.generation {
            let newest = format!("the newest is generation {}", head.generation);
            let is_hidden = load::pointer(storage).is_ok_and(|pointer| pointer.head.generation >= wanted);
            return Err(missing(if is_hidden {
                format!(
                    "it is hidden by damage; generation {} is the newest that can be read",
                    head.generation
                )
            } else {
                with_interrupted(storage, wanted, newest)
            }));
        }
    }
    let mut broken = None;
    for (steps, found) in Chain::new(storage, store, head).enumerate() {
        let (link, manifest) = match found {
            Ok(found) => found,
            Err(Fault::Fatal(error)) => return Err(error),
            // Counting steps across a gap would name another generation than was meant.
            Err(fault) if matches!(revision, Revision::Back(_)) => return Err(fault.into_error()),
            Err(fault) => {
                broken = Some(fault);
                continue;
            }
        };
        let is_it = match revision {
            Revision::Back(wanted) => steps as u64 == wanted,
            Revision::Generation(wanted) => link.generation == wanted,
            Revision::At(time) => manifest.time <= time,
            Revision::Latest => true,
        };
        if is_it {
            // A newer one that is not later may lie in the gap.
            return match (revision, broken) {
                (Revision::At(_), Some(fault)) => Err(fault.into_error()),
                _ => Ok(link),
            };
        }
        if matches!(revision, Revision::Generation(wanted) if link.generation < wanted) {
            break;
        }
    }
    if let Some(fault) = broken {
        return Err(fault.into_error());
    }
    Err(missing(match revision {
        Revision::Generation(wanted) => with_interrupted(
            storage,
            wanted,
            "its number was never used or its save was never finished".into(),
        ),
        Revision::At(_) => "every generation is later".into(),
        _ => "the history is not that long".into(),
    }))
}

/// Says so when the number is that of a save that was begun and never committed.
fn with_interrupted(storage: &dyn Storage, wanted: Generation, detail: String) -> String {
    match storage.bytes(&Name::Manifest(wanted)) {
        Ok(Some(_)) => format!("it is an interrupted save, which was never committed; {detail}"),
        _ => detail,
    }
}
