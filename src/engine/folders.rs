//! Folders that are there and may not last.
//!
//! The system may take the name of a folder for written that a failed flush has dropped. Whoever made it may have been killed,
//! or may be somebody else. So once a save has failed or was killed, those after it believe only folders in or below which a file
//! of a committed generation is: these were there when that was acknowledged. Others that they write into they make
//! anew. `docs/durability.md`, *When a flush fails*, has what is believed besides.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::load::{self, Fault};
use super::publish::{Draft, Planned};
use super::{Engine, Head};
use crate::error::{Error, Operation, Result};
use crate::format::names::DATA;
use crate::path::folders;
use crate::revision::Generation;
use crate::storage::Round;

/// The most numbers above another one that are looked at to see whether that was committed.
const ABOVE_MAX: usize = 1000;

/// Makes the folders anew that this save writes into and that nothing committed is in.
///
/// # Errors
/// Of kind `Io`, naming the folder or the manifest; `is_interrupted`, once the handle is told to stop.
pub(super) fn renew(engine: &Engine, head: &Head, draft: &Draft, round: &mut dyn Round) -> Result<()> {
    let mut look = Look { engine, head, committed: BTreeMap::new() };
    let mut missing = BTreeSet::new();
    for folder in in_doubt(head, draft) {
        engine.check_cancel()?;
        let failed = |error| Error::io(Operation::Renew, &folder, error);
        let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
        if missing.contains(above) || !engine.storage().has_folder(&folder).map_err(failed)? {
            missing.insert(folder);
        } else if !look.is_to_be_kept(&folder)? {
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

struct Look<'a> {
    engine: &'a Engine,
    head: &'a Head,
    committed: BTreeMap<Generation, bool>,
}

impl Look<'_> {
    /// Whether a folder must not get another name, not even for a moment.
    fn is_to_be_kept(&mut self, folder: &str) -> Result<bool> {
        let found = match self.engine.storage().scan(folder) {
            // What cannot be seen may be committed.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(true),
            other => other.map_err(|error| Error::io(Operation::List, folder, error))?,
        };
        let numbers: BTreeSet<Generation> =
            found.iter().filter_map(|scanned| scanned.name.as_ref()?.generation()).collect();
        if folder == DATA && !numbers.is_empty() {
            // It was made durable before it got any, and whoever looks for numbers must find those in it.
            return Ok(true);
        }
        for number in numbers.into_iter().rev() {
            if self.is_committed(number)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a number is that of a committed generation, or may be as a manifest is damaged.
    fn is_committed(&mut self, number: Generation) -> Result<bool> {
        let head = self.head.link.generation;
        if number >= head {
            return Ok(number == head);
        }
        if let Some(known) = self.committed.get(&number) {
            return Ok(*known);
        }
        let is_committed = self.has_child(number)?;
        self.committed.insert(number, is_committed);
        Ok(is_committed)
    }

    /// Whether the next manifest above a number has it as its parent. Every save, whether it was committed or not, names the head
    /// that it found, and that is a committed one.
    fn has_child(&self, number: Generation) -> Result<bool> {
        let above = std::iter::successors(number.next(), |above| above.next());
        for above in above.take(ABOVE_MAX) {
            match load::manifest_alone(self.engine.storage(), above) {
                Ok((_, manifest)) => {
                    return Ok(manifest.parent.is_some_and(|parent| parent.generation == number));
                }
                Err(Fault::Missing(_)) => {}
                Err(Fault::Fatal(error)) => return Err(error),
                Err(Fault::Damaged { .. } | Fault::OtherHash { .. }) => break,
            }
        }
        Ok(true)
    }
}
