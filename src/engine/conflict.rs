//! What others have committed since the base of a proposal, and whether it matters to it.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Chain;
use super::changeset::Proposal;
use super::handle::Engine;
use super::head::Head;
use crate::error::{ConflictingPath, Problem, Result};
use crate::format::entry::Entry;
use crate::format::manifest::Change;
use crate::path::StorePath;
use crate::revision::Generation;

impl Engine {
    /// Compares what the proposal wrote and read with what others have changed since its base.
    pub(crate) fn check_conflicts(&self, proposal: &Proposal<'_>, head: &Head) -> Result<()> {
        let (base, now) = (&proposal.base.table, &head.table);
        // Two that write the same leave the same: only a difference is a conflict.
        let written =
            proposal.draft.changes.iter().filter(|(path, planned)| planned.makes_a_difference(now, path));
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
}
