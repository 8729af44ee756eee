//! From the request of a transaction to a published generation: validation, rebase, and which
//! changes make a difference.

use std::collections::BTreeSet;
use std::io::Read;

use super::changeset::{ChangeSet, CommitRequest, Content, PendingChange};
use super::content;
use super::finding::Finding;
use super::handle::Engine;
use super::head::Head;
use super::publish::{self, publish};
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::format::entry::Entry;
use crate::format::names::Name;
use crate::path::StorePath;
use crate::revision::Generation;

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The generation that now holds the requested state.
    pub(crate) generation: Generation,
    /// The size of its changes; `None` when the store was in that state already.
    pub(crate) made: Option<Made>,
}

/// The size of a new generation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    pub(crate) put: u64,
    pub(crate) removed: u64,
    /// The length of the file content that was written, in bytes.
    pub(crate) bytes: u64,
}

impl Engine {
    /// Commits a request as the next generation.
    ///
    /// # Errors
    /// Those of [`publish()`]; `Conflict` when another writer changed what the request wrote or
    /// read; `Invalid` when a validator or a rule refuses it; `Corrupt` when the store is damaged
    /// and has to be repaired first.
    pub(crate) fn commit(&self, mut request: CommitRequest<'_>) -> Result<Outcome> {
        self.poison().check()?;
        self.validate(&request.change_set)?;
        let rewrites_damaged = self.rewrites_damaged(&request);
        let writer = self.lock_writer()?;
        // Another thread may have poisoned the handle while this one waited.
        self.poison().check()?;
        let head = self.refresh()?;
        check_healthy(&head)?;
        // The head must be durable before a commit reports it as there or builds on it. Else a
        // crash could leave a generation without its parent, which would look like damage.
        if !writer.is_head_synced(head.link.generation) {
            self.or_poison(publish::sync_head(self.storage(), self.options(), &writer, &head))?;
            writer.note_head_synced(self.storage(), head.link.generation);
        }
        if head.link != request.base.link && !request.overwrite {
            self.check_conflicts(&request, &head)?;
        }
        request.change_set.changes.retain(|path, pending| {
            rewrites_damaged.contains(path) || pending.makes_a_difference(&head.table, path)
        });
        if request.change_set.changes.is_empty() {
            return Ok(Outcome { generation: head.link.generation, made: None });
        }
        let published =
            publish(self.storage(), self.options(), &writer, self.id(), Some(&head), &request.change_set);
        let published = self.or_poison(published)?;
        drop(writer);
        let made = size(&request.change_set);
        let head = self.checkpoint_if_due(published);
        Ok(Outcome { generation: self.remember(head).link.generation, made: Some(made) })
    }

    /// The paths at which the request replaces damaged bytes with the content that they should
    /// have. Such a change makes a difference although the hash is the same. This reads the files,
    /// so it runs before the lock is taken.
    fn rewrites_damaged(&self, request: &CommitRequest<'_>) -> BTreeSet<StorePath> {
        let rewritten = |(path, pending): (&StorePath, &PendingChange)| {
            let live = request.base.table.get(path)?;
            let is_candidate = match pending {
                PendingChange::Write { blake3, .. } => *blake3 == live.blake3,
                PendingChange::Link(entry) => entry.blake3 == live.blake3 && !entry.is_same_file(live),
                PendingChange::Remove => false,
            };
            (is_candidate && content::is_damaged(self.storage(), live)).then(|| path.clone())
        };
        request.change_set.changes.iter().filter_map(rewritten).collect()
    }

    fn validate(&self, change_set: &ChangeSet) -> Result<()> {
        let validators = &self.options().validators;
        for (path, pending) in change_set.changes.iter().filter(|(path, _)| validators.concern(path)) {
            // A removal has no content to judge.
            if !matches!(pending, PendingChange::Remove) {
                validators.check(path, || self.pending_content(path, pending))?;
            }
        }
        Ok(())
    }

    fn pending_content(&self, path: &StorePath, pending: &PendingChange) -> Result<Box<dyn Read>> {
        let cannot_read = |error| Error::io(Operation::Read, path.as_str(), error);
        match pending {
            PendingChange::Write { content: Content::Inline(bytes), .. } => {
                Ok(Box::new(std::io::Cursor::new(bytes.clone())))
            }
            PendingChange::Write { content: Content::Staged(name), .. } => {
                Ok(Box::new(self.storage().open(name).map_err(cannot_read)?))
            }
            PendingChange::Link(entry) => {
                let name = Name::Data(entry.stored_path().clone(), entry.generation);
                Ok(Box::new(self.storage().open(&name).map_err(cannot_read)?))
            }
            PendingChange::Remove => Ok(Box::new(std::io::empty())),
        }
    }

    /// Checks every byte that a transaction takes over from earlier generations, so that no damaged
    /// file becomes live again.
    pub(crate) fn check_links<'a>(&self, links: impl Iterator<Item = &'a Entry>) -> Result<()> {
        for entry in links {
            content::retry_once(|| content::copy(self.storage(), entry, &mut std::io::sink()))
                .map_err(|failed| self.failed(entry, self.known().link, failed))?;
            self.check_cancel()?;
        }
        Ok(())
    }
}

/// Fails when the head may be older than the last acknowledged generation: nothing may be committed
/// on top of it.
fn check_healthy(head: &Head) -> Result<()> {
    match &head.recovery {
        Some(report) if report.degraded => {
            let told = |finding: &Finding| {
                format!("{}: {}", finding.path.as_deref().unwrap_or("the history"), finding.detail)
            };
            let detail = report.findings.first().map(told).unwrap_or_default();
            Err(ErrorRepr::Degraded { detail, serving: report.serving }.into())
        }
        _ => Ok(()),
    }
}

fn size(change_set: &ChangeSet) -> Made {
    let mut made = Made::default();
    for pending in change_set.changes.values() {
        match pending {
            PendingChange::Remove => made.removed += 1,
            PendingChange::Link(_) => made.put += 1,
            PendingChange::Write { bytes, .. } => {
                made.put += 1;
                made.bytes += bytes;
            }
        }
    }
    made
}
