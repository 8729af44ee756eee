//! Whether what other writers committed since the base of a request conflicts with it.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Chain;
use super::changeset::CommitRequest;
use super::handle::Engine;
use super::head::Head;
use super::table::Table;
use crate::error::{ConflictingPath, ErrorRepr, Result};
use crate::format::manifest::Change;
use crate::path::StorePath;
use crate::revision::Generation;

impl Engine {
    /// Fails when other writers changed, since the base, what the request wrote or read.
    pub(crate) fn check_conflicts(&self, request: &CommitRequest<'_>, head: &Head) -> Result<()> {
        let base = &request.base.table;
        let now = &head.table;
        // Two writers of the same bytes leave the same state, so only a difference is a conflict.
        let written =
            request.change_set.changes.iter().filter(|(path, pending)| pending.makes_a_difference(now, path));
        let touched = written.map(|(path, _)| path).chain(&request.read_set);
        let mut paths: BTreeSet<StorePath> =
            touched.filter(|path| base.get(path) != now.get(path)).cloned().collect();
        for prefix in &request.scan_set {
            let missing = |one: &Table, two: &Table| -> Vec<StorePath> {
                let missing = one.list(prefix).filter(|entry| two.get(&entry.path).is_none());
                missing.map(|entry| entry.path.clone()).collect()
            };
            paths.extend(missing(base, now));
            paths.extend(missing(now, base));
        }
        if paths.is_empty() {
            return Ok(());
        }
        let paths = self.last_changes(paths, request.base, head);
        Err(ErrorRepr::Conflict { base: request.base.link.generation, paths }.into())
    }

    /// For each path, the newest generation since the base that changed it.
    fn last_changes(&self, paths: BTreeSet<StorePath>, base: &Head, head: &Head) -> Vec<ConflictingPath> {
        let mut found: BTreeMap<StorePath, Generation> = BTreeMap::new();
        let since = Chain::new(self.storage(), self.id(), head.link).map_while(Result::ok);
        for (link, manifest) in since.take_while(|(link, _)| link.generation > base.link.generation) {
            for path in manifest.changes.iter().map(Change::path).filter(|path| paths.contains(*path)) {
                found.entry(path.clone()).or_insert(link.generation);
            }
        }
        let newest = |path: &StorePath| found.get(path).copied().unwrap_or(head.link.generation);
        paths.iter().map(|path| ConflictingPath { path: path.clone(), generation: newest(path) }).collect()
    }
}
