//! From what a transaction wants to what is published: rebase, what really changes.

use std::collections::BTreeSet;
use std::io::Read;

use super::changeset::{Content, Draft, Planned, Proposal};
use super::content;
use super::finding::Finding;
use super::handle::Engine;
use super::head::Head;
use super::publish::{self, publish};
use crate::error::{Error, Operation, Problem, Result};
use crate::format::entry::Entry;
use crate::format::names::Name;
use crate::path::StorePath;
use crate::revision::Generation;

/// What became of a proposal.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The generation that holds the wanted state now.
    pub(crate) generation: Generation,
    /// The changes of it; `None` when it was there already.
    pub(crate) made: Option<Made>,
}

/// The size of a generation that was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    pub(crate) put: u64,
    pub(crate) removed: u64,
    /// The bytes of file content that were written.
    pub(crate) bytes: u64,
}

impl Engine {
    /// Makes a proposal the next generation.
    ///
    /// # Errors
    /// As [`publish()`]; `Conflict` when somebody else changed what it wrote or read; `Invalid` when a validator or a
    /// rule refuses it; `Corrupt` when the store is damaged, as it must be repaired first.
    pub(crate) fn commit(&self, mut proposal: Proposal<'_>) -> Result<Outcome> {
        self.poison().check()?;
        self.validate(&proposal.draft)?;
        let mended = self.mended(&proposal);
        let writer = self.lock_writer()?;
        // Another thread may have poisoned the handle while this one waited.
        self.poison().check()?;
        let head = self.refresh()?;
        check_healthy(&head)?;
        // Nothing is acknowledged as being there, and nothing follows it, before it is durable: after a crash a
        // generation whose parent is not to be found would look like damage.
        if !writer.is_settled(head.link.generation) {
            self.or_poison(publish::settle(self.storage(), self.options(), &writer, &head))?;
            writer.note_settled(self.storage(), head.link.generation);
        }
        if head.link != proposal.base.link && !proposal.overwrite {
            self.check_conflicts(&proposal, &head)?;
        }
        proposal
            .draft
            .changes
            .retain(|path, planned| mended.contains(path) || planned.makes_a_difference(&head.table, path));
        if proposal.draft.changes.is_empty() {
            return Ok(Outcome { generation: head.link.generation, made: None });
        }
        let published =
            publish(self.storage(), self.options(), &writer, self.id(), Some(&head), &proposal.draft);
        let published = self.or_poison(published)?;
        drop(writer);
        let made = size(&proposal.draft);
        let head = self.checkpoint_if_due(published);
        Ok(Outcome { generation: self.remember(head).link.generation, made: Some(made) })
    }

    /// The paths under which the proposal puts the content that they should have, in place of damaged bytes: that
    /// makes a difference although the hash is the same. Found before the lock is taken, as the files are read.
    fn mended(&self, proposal: &Proposal<'_>) -> BTreeSet<StorePath> {
        let is_mended = |(path, planned): (&StorePath, &Planned)| {
            let live = proposal.base.table.get(path)?;
            let is_candidate = match planned {
                Planned::Write { blake3, .. } => *blake3 == live.blake3,
                Planned::Link(entry) => entry.blake3 == live.blake3 && !entry.is_same_file(live),
                Planned::Remove => false,
            };
            (is_candidate && content::is_damaged(self.storage(), live)).then(|| path.clone())
        };
        proposal.draft.changes.iter().filter_map(is_mended).collect()
    }

    fn validate(&self, draft: &Draft) -> Result<()> {
        let validators = &self.options().validators;
        for (path, planned) in draft.changes.iter().filter(|(path, _)| validators.concern(path)) {
            validators.check(path, || self.planned_content(path, planned))?;
        }
        Ok(())
    }

    fn planned_content(&self, path: &StorePath, planned: &Planned) -> Result<Box<dyn Read>> {
        let cannot_read = |error| Error::io(Operation::Read, path.as_str(), error);
        match planned {
            Planned::Write { content: Content::Inline(bytes), .. } => {
                Ok(Box::new(std::io::Cursor::new(bytes.clone())))
            }
            Planned::Write { content: Content::Staged(name), .. } => {
                Ok(Box::new(self.storage().open(name).map_err(cannot_read)?))
            }
            Planned::Link(entry) => {
                let name = Name::Data(entry.stored_path().clone(), entry.generation);
                Ok(Box::new(self.storage().open(&name).map_err(cannot_read)?))
            }
            Planned::Remove => Ok(Box::new(std::io::empty())),
        }
    }

    /// Checks every byte that a draft takes over from earlier generations: a damaged file is not made live again.
    pub(crate) fn check_links<'a>(&self, links: impl Iterator<Item = &'a Entry>) -> Result<()> {
        for entry in links {
            content::twice(|| content::copy(self.storage(), entry, &mut std::io::sink()))
                .map_err(|failed| self.failed(entry, self.known().link, failed))?;
            self.check_cancel()?;
        }
        Ok(())
    }
}

/// Nothing is saved on top of a state that may be older than the last acknowledged one.
fn check_healthy(head: &Head) -> Result<()> {
    match &head.recovery {
        Some(report) if report.degraded => {
            let told = |finding: &Finding| {
                format!("{}: {}", finding.path.as_deref().unwrap_or("the history"), finding.detail)
            };
            let detail = report.findings.first().map(told).unwrap_or_default();
            Err(Problem::Degraded { detail, serving: report.serving }.into())
        }
        _ => Ok(()),
    }
}

fn size(draft: &Draft) -> Made {
    let mut made = Made::default();
    for planned in draft.changes.values() {
        match planned {
            Planned::Remove => made.removed += 1,
            Planned::Link(_) => made.put += 1,
            Planned::Write { bytes, .. } => {
                made.put += 1;
                made.bytes += bytes;
            }
        }
    }
    made
}
