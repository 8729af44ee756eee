//! An earlier state, restored as a new generation.

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
    /// Restores the whole state of an earlier generation, as a new generation of kind `rollback`.
    ///
    /// Nothing is removed from the history, so a rollback can itself be rolled back. No file
    /// content is copied. Every file that changes is read and checked first. A file that both
    /// generations share is not read: [`verify`](Store::verify) reads it. If the newest generation
    /// has that state already, no generation is created. The new generation is durable when this
    /// returns `Ok`.
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
    /// As [`snapshot_at`](Store::snapshot_at), [`Transaction::restore`] and
    /// [`Transaction::commit`]. A commit by another writer during the call is a `Conflict`.
    pub fn rollback(&self, revision: impl IntoRevision, message: &str) -> Result<Commit> {
        let mut tx = self.begin()?;
        tx.restore(&self.snapshot_at(revision)?, &[])?;
        tx.commit(message)
    }
}

impl Transaction {
    /// Restores paths to their state in a snapshot, which may be of any generation of the same
    /// store.
    ///
    /// A path that the snapshot has gets its content from there. A path that the snapshot does not
    /// have is removed. The commit creates a generation of kind `rollback`. It conflicts if another
    /// writer changes one of these paths first.
    ///
    /// Each pattern is a path, a directory, or a glob. In a glob, `*` matches within one part of a
    /// path, and `**` matches across parts. No pattern means all paths.
    ///
    /// Every file that a pattern matches is read and checked first, also where nothing changes.
    /// Without a pattern, only the files that change are.
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
    /// * `Invalid` when a pattern is malformed, or the snapshot is of another store.
    /// * `NotFound` when a pattern matches no path of the base and none of the snapshot.
    /// * `Corrupt` when a file to restore is damaged or missing.
    /// * `Io` when a file cannot be read just now, or a [`CancelFlag`](crate::CancelFlag) stopped
    ///   the call.
    pub fn restore(&mut self, from: &Snapshot, patterns: &[&str]) -> Result<()> {
        if from.engine.id() != self.base.engine.id() {
            let rule = "only a snapshot of the same store can be restored".to_owned();
            return Err(ErrorRepr::Limit {
                what: format!("the snapshot of store {}", from.engine.id()),
                rule,
            }
            .into());
        }
        let engine = Arc::clone(&self.base.engine);
        let now = &self.base.head.table;
        let then = &from.head.table;
        let both = || now.iter().chain(then.iter()).map(|entry| &entry.path);
        let patterns: Vec<Pattern> =
            patterns.iter().map(|text| Pattern::new(text, both())).collect::<Result<_>>()?;
        let wanted =
            |path: &StorePath| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(path));
        for pattern in &patterns {
            if !both().any(|path| pattern.matches(path)) {
                let pattern = pattern.text.clone();
                return Err(ErrorRepr::NoMatch { pattern, generation: from.generation() }.into());
            }
        }
        // Another stored file with the same content replaces a damaged one.
        let replaces_damaged = |live: &Entry, entry: &Entry| {
            !live.is_same_file(entry) && content::is_damaged(engine.storage(), live)
        };
        let differs = |entry: &&Entry| {
            now.get(&entry.path)
                .is_none_or(|live| live.blake3 != entry.blake3 || replaces_damaged(live, entry))
        };
        let back: Vec<&Entry> = then.iter().filter(|entry| wanted(&entry.path)).filter(differs).collect();
        let gone: Vec<&Entry> =
            now.iter().filter(|entry| wanted(&entry.path) && then.get(&entry.path).is_none()).collect();
        // Files that do not change are read only where patterns name them, so that the rollback of a
        // whole store costs what it changes.
        let named = then.iter().filter(|entry| !patterns.is_empty() && wanted(&entry.path));
        let kept = named.filter(|entry| now.get(&entry.path).is_some_and(|live| live.is_same_file(entry)));
        self.base.engine.check_links(back.iter().copied().chain(kept))?;
        // If another writer changes, adds or removes a restored path first, the result is not the
        // state of the snapshot.
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

/// A text that names some paths: a path, a directory or a glob.
struct Pattern {
    text: String,
    /// The text with a `/` at the end.
    directory: String,
    /// A prefix of every path that the pattern can match, other than the text itself.
    begins: String,
    /// `None` when the text is a path or a directory.
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
