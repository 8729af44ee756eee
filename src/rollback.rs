//! Bringing an earlier state back, as a new generation.

use std::sync::Arc;

use crate::engine::changeset::PendingChange;
use crate::engine::content;
use crate::engine::validate::compile;
use crate::error::{ErrorRepr, Result};
use crate::format::entry::Entry;
use crate::path::StorePath;
use crate::revision::IntoRevision;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::transaction::{Commit, Transaction};

impl Store {
    /// Brings the whole state of an earlier generation back, as a new generation of kind `rollback`. No bytes are
    /// copied. When that state holds already, no generation is made.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let good = store.update("open", |tx| tx.put("hours", "9-17"))?.generation;
    /// store.update("a mistake", |tx| tx.put("hours", "9-71"))?;
    /// let back = store.rollback(good, "the hours were wrong")?;
    /// assert_eq!((back.generation.get(), back.bytes), (4, 0));
    /// assert_eq!(store.snapshot()?.get("hours")?, b"9-17");
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`snapshot_at`](Store::snapshot_at), [`Transaction::restore`] and [`Transaction::commit`].
    pub fn rollback(&self, revision: impl IntoRevision, message: &str) -> Result<Commit> {
        let mut tx = self.begin()?;
        tx.restore(&self.snapshot_at(revision)?, &[])?;
        tx.commit(message)
    }
}

impl Transaction {
    /// Brings paths back to what they are in a snapshot: those that it has are put as they are there, those that it
    /// does not have are removed. The generation will be of kind `rollback`.
    ///
    /// Each pattern is a path, a directory, or a glob in which `*` stays within one part of a path and `**` does not.
    /// No pattern means everything. Every file that is brought back is read and checked first.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let good = store.update("open", |tx| tx.put("stores/downtown.json", "{}"))?.generation;
    /// store.update("a mistake", |tx| tx.remove("stores/downtown.json"))?;
    /// store.update("prices", |tx| tx.put("prices", "{}"))?;
    ///
    /// let mut tx = store.begin()?;
    /// tx.restore(&store.snapshot_at(good)?, &["stores"])?;
    /// tx.commit("the stores as they were")?;
    /// assert_eq!(store.snapshot()?.len(), 2);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when a pattern is malformed or the snapshot is of another store; `NotFound` when a pattern matches
    /// no path of either state; `Corrupt` when a file that would be brought back is damaged.
    pub fn restore(&mut self, from: &Snapshot, patterns: &[&str]) -> Result<()> {
        if from.engine.id() != self.base.engine.id() {
            let rule = "only a snapshot of the same store can be brought back".to_owned();
            return Err(ErrorRepr::Limit {
                what: format!("the snapshot of store {}", from.engine.id()),
                rule,
            }
            .into());
        }
        let engine = Arc::clone(&self.base.engine);
        let (now, then) = (&self.base.head.table, &from.head.table);
        let both = || now.iter().chain(then.iter()).map(|entry| &entry.path);
        let patterns: Vec<Pattern> =
            patterns.iter().map(|text| Pattern::new(text, both())).collect::<Result<_>>()?;
        let wanted =
            |path: &StorePath| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(path));
        for pattern in &patterns {
            if !both().any(|path| pattern.matches(path)) {
                let (pattern, generation) = (pattern.text.clone(), from.generation());
                return Err(ErrorRepr::NoMatch { pattern, generation }.into());
            }
        }
        // The same content in another file stands in for a damaged one.
        let stands_in = |live: &Entry, entry: &Entry| {
            !live.is_same_file(entry) && content::is_damaged(engine.storage(), live)
        };
        let differs = |entry: &&Entry| {
            now.get(&entry.path).is_none_or(|live| live.blake3 != entry.blake3 || stands_in(live, entry))
        };
        let back: Vec<&Entry> = then.iter().filter(|entry| wanted(&entry.path)).filter(differs).collect();
        let gone: Vec<&Entry> =
            now.iter().filter(|entry| wanted(&entry.path) && then.get(&entry.path).is_none()).collect();
        self.base.engine.check_links(back.iter().copied())?;
        // What others change, add to or take from the part that is brought back would make it another state.
        self.read_set.extend(both().filter(|path| wanted(path)).cloned());
        let back = back.into_iter().map(|entry| (entry.path.clone(), PendingChange::Link(entry.clone())));
        let gone = gone.into_iter().map(|entry| (entry.path.clone(), PendingChange::Remove));
        self.changes.extend(back.chain(gone));
        if patterns.is_empty() {
            self.scan_set.insert(String::new());
        }
        self.scan_set.extend(patterns.into_iter().map(|pattern| pattern.begins));
        self.restores = Some(from.generation());
        Ok(())
    }
}

/// What a person writes to name some paths.
struct Pattern {
    text: String,
    /// The text as a directory.
    directory: String,
    /// How every path that it can match begins, beside the text itself.
    begins: String,
    /// `None` when the text is a path or a directory as it stands.
    glob: Option<globset::GlobMatcher>,
}

impl Pattern {
    fn new<'a>(text: &str, mut paths: impl Iterator<Item = &'a StorePath>) -> Result<Self> {
        let text = text.trim_end_matches('/').to_owned();
        let directory = format!("{text}/");
        if paths.any(|path| path.as_str() == text || path.as_str().starts_with(&directory)) {
            return Ok(Self { begins: directory.clone(), directory, glob: None, text });
        }
        let literal = text.find(['*', '?', '[', '{', '\\']).and_then(|end| text.get(..end));
        let begins = literal.map_or_else(|| directory.clone(), str::to_owned);
        Ok(Self { begins, directory, glob: Some(compile(&text)?.compile_matcher()), text })
    }

    fn matches(&self, path: &StorePath) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(path.as_str()),
            None => path.as_str() == self.text || path.as_str().starts_with(&self.directory),
        }
    }
}
