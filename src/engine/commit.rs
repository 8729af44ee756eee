//! From what a transaction wants to what is published: conflicts, rebase, what really changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::chain::Chain;
use super::content;
use super::finding::Finding;
use super::publish::{self, Content, Draft, Planned, publish};
use super::table::Table;
use super::{Engine, Head};
use crate::error::{ConflictingPath, Error, Problem, Result};
use crate::format::entry::Entry;
use crate::format::manifest::Change;
use crate::format::names::Name;
use crate::path::StorePath;
use crate::revision::Generation;

/// What a transaction wants to become a generation.
#[derive(Debug)]
pub(crate) struct Proposal<'a> {
    /// The state that it was made on.
    pub(crate) base: &'a Head,
    pub(crate) draft: Draft,
    /// The paths that were read through it.
    pub(crate) reads: BTreeSet<StorePath>,
    /// The prefixes that were listed through it.
    pub(crate) lists: BTreeSet<String>,
    /// Whether to win over what others have saved since the base.
    pub(crate) overwrite: bool,
}

/// What became of it.
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
    /// As [`publish`]; `Conflict` when somebody else changed what it wrote or read; `Invalid` when a validator or a
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
            publish::settle(self, &writer, &head)?;
            writer.note_settled(self.storage(), head.link.generation);
        }
        if head.link != proposal.base.link && !proposal.overwrite {
            self.check_conflicts(&proposal, &head)?;
        }
        proposal
            .draft
            .changes
            .retain(|path, planned| mended.contains(path) || changes(&head.table, path, planned));
        if proposal.draft.changes.is_empty() {
            return Ok(Outcome { generation: head.link.generation, made: None });
        }
        let published = publish(self, &writer, self.id(), Some(&head), &proposal.draft)?;
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
        let cannot_read = |error| Error::io("cannot read", path.as_str(), error);
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

    /// Compares what the proposal wrote and read with what others have changed since its base.
    fn check_conflicts(&self, proposal: &Proposal<'_>, head: &Head) -> Result<()> {
        let (base, now) = (&proposal.base.table, &head.table);
        // Two that write the same leave the same: only a difference is a conflict.
        let written = proposal.draft.changes.iter().filter(|(path, planned)| changes(now, path, planned));
        let touched = written.map(|(path, _)| path).chain(&proposal.reads);
        let mut paths: BTreeSet<StorePath> =
            touched.filter(|path| base.get(path) != now.get(path)).cloned().collect();
        for prefix in &proposal.lists {
            let (before, after) = (base.list(prefix), now.list(prefix));
            let set =
                |entries: &[&Entry]| entries.iter().map(|entry| entry.path.clone()).collect::<BTreeSet<_>>();
            paths.extend(set(&before).symmetric_difference(&set(&after)).cloned());
        }
        if paths.is_empty() {
            return Ok(());
        }
        let paths = self.who_changed(paths, proposal.base, head);
        Err(Problem::Conflict { base: proposal.base.link.generation, paths }.into())
    }

    /// The newest generation since the base that changed each path.
    fn who_changed(&self, paths: BTreeSet<StorePath>, base: &Head, head: &Head) -> Vec<ConflictingPath> {
        let mut found: BTreeMap<StorePath, Generation> = BTreeMap::new();
        let since = Chain::new(self.storage(), self.id(), head.link).map_while(Result::ok);
        for (link, manifest) in since.take_while(|(link, _)| link.generation > base.link.generation) {
            for path in manifest.changes.iter().map(Change::path).filter(|path| paths.contains(path)) {
                found.entry(path.clone()).or_insert(link.generation);
            }
        }
        let newest = |path: &StorePath| found.get(path).copied().unwrap_or(head.link.generation);
        paths.iter().map(|path| ConflictingPath { path: path.clone(), generation: newest(path) }).collect()
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

/// Whether a planned change makes a difference to a table.
fn changes(table: &Table, path: &StorePath, planned: &Planned) -> bool {
    let live = table.get(path);
    match planned {
        Planned::Write { blake3, .. } => live.is_none_or(|live| live.blake3 != *blake3),
        Planned::Link(entry) => live.is_none_or(|live| live.blake3 != entry.blake3),
        Planned::Remove => live.is_some(),
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

/// The paths that a manifest put and removed.
pub(crate) fn paths(changes: &[Change]) -> (Vec<StorePath>, Vec<StorePath>) {
    let (put, removed): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| matches!(change, Change::Put(_)));
    let own = |changes: Vec<&Change>| changes.into_iter().map(|change| change.path().clone()).collect();
    (own(put), own(removed))
}
