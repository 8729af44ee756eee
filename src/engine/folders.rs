//! Folders that are there and may not last.
//!
//! The system may take the name of a folder for written that a failed flush has dropped. Whoever made it may have been killed,
//! or may be somebody else. So a save believes only folders in which files of a committed generation are: these were all
//! there when it was acknowledged. Others that it writes into it makes anew.

use std::collections::BTreeSet;
use std::io;

use super::Head;
use super::chain;
use super::publish::{Draft, Planned};
use crate::error::{Error, ErrorKind, Result};
use crate::format::names::DATA;
use crate::hash::StoreId;
use crate::path::folders;
use crate::revision::{Generation, Revision};
use crate::storage::{Round, Storage};

/// Makes the folders anew that this save writes into and that nothing committed is in.
///
/// # Errors
/// Of kind `Io`, naming the folder.
pub(super) fn renew(
    storage: &dyn Storage,
    id: StoreId,
    head: &Head,
    draft: &Draft,
    round: &mut dyn Round,
) -> Result<()> {
    let mut missing = BTreeSet::new();
    for folder in in_doubt(head, draft) {
        let failed = |error| Error::io("cannot make anew", &folder, error);
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        if missing.contains(above) || !storage.has_folder(&folder).map_err(failed)? {
            missing.insert(folder);
        } else if !is_to_be_kept(storage, id, head, &folder).map_err(failed)? {
            round.renew_folder(&folder).map_err(failed)?;
        }
    }
    Ok(())
}

/// The folders that a save writes into and that the table tells nothing of, those above others first.
fn in_doubt(head: &Head, draft: &Draft) -> BTreeSet<String> {
    let written = draft.changes.iter().filter(|(_, planned)| matches!(planned, Planned::Write { .. }));
    let above: BTreeSet<&str> =
        written.flat_map(|(path, _)| [""].into_iter().chain(folders(path.as_str()))).collect();
    let unknown = above.into_iter().filter(|folder| !head.table.keeps_in(folder));
    unknown
        .map(|folder| if folder.is_empty() { DATA.to_owned() } else { format!("{DATA}/{folder}") })
        .collect()
}

/// Whether a folder must not get another name, not even for a moment.
fn is_to_be_kept(storage: &dyn Storage, id: StoreId, head: &Head, folder: &str) -> io::Result<bool> {
    let found = match storage.scan(folder) {
        // What cannot be seen may be committed.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(true),
        other => other?,
    };
    let numbers: BTreeSet<Generation> =
        found.iter().filter_map(|scanned| scanned.name.as_ref()?.generation()).collect();
    // It was durable before anything got into it, and whoever looks for numbers must find those in it.
    let is_known = folder == DATA && !numbers.is_empty();
    Ok(is_known || numbers.into_iter().rev().any(|number| is_committed(storage, id, head, number)))
}

/// Whether a number is that of a committed generation, or may be as the history cannot be read.
fn is_committed(storage: &dyn Storage, id: StoreId, head: &Head, number: Generation) -> bool {
    number <= head.link.generation
        && !chain::find(storage, id, head.link, Revision::Generation(number))
            .is_err_and(|error| error.kind() == ErrorKind::NotFound)
}
