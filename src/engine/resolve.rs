//! Which generation a revision names.

use super::chain::Chain;
use super::read::{self, LoadError};
use crate::error::{ErrorRepr, Result};
use crate::format::names::Name;
use crate::format::pointer::ManifestRef;
use crate::hash::StoreId;
use crate::revision::{Generation, Revision};
use crate::storage::Storage;

/// Finds the generation that a revision names in the history of `head`.
pub(crate) fn find(
    storage: &dyn Storage,
    store: StoreId,
    head: ManifestRef,
    revision: Revision,
) -> Result<ManifestRef> {
    let missing =
        |detail: String| ErrorRepr::NoSuchRevision { revision: revision.to_string(), detail }.into();
    if let Revision::Latest | Revision::Back(0) = revision {
        return Ok(head);
    }
    if let Revision::Generation(wanted) = revision {
        if wanted == head.generation {
            return Ok(head);
        }
        if wanted > head.generation {
            let newest = format!("the newest is generation {}", head.generation);
            let is_hidden = read::pointer(storage).is_ok_and(|pointer| pointer.head.generation >= wanted);
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
            Err(LoadError::Fatal(error)) => return Err(error),
            // Counting steps across a gap would find the wrong generation.
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
            // The gap may hide a newer generation that matches too.
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
            "its number was never used or its commit was never finished".into(),
        ),
        Revision::At(_) => "every generation is later".into(),
        _ => "the history is not that long".into(),
    }))
}

/// Adds to `detail` if the number is that of an interrupted commit.
fn with_interrupted(storage: &dyn Storage, wanted: Generation, detail: String) -> String {
    match storage.bytes(&Name::Manifest(wanted)) {
        Ok(Some(_)) => format!("it is an interrupted commit, which never became a generation; {detail}"),
        _ => detail,
    }
}
