//! The file table: which bytes are live at which path.

use std::iter;
use std::ops::Bound;
use std::sync::Arc;
use std::vec;

use imbl::OrdMap;

use crate::error::{Error, ErrorRepr};
use crate::format::FormatError;
use crate::format::entry::Entry;
use crate::format::manifest::Change;
use crate::path::{StorePath, directories};

/// How many entries a [`Listing`] reads in one batch.
const BATCH: usize = 256;

/// A file table. A clone is cheap and shares its entries with the original.
///
/// The key is the path with its case folded. So a path that differs from a live one only in case is
/// found as quickly as the path itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    entries: OrdMap<Arc<str>, Entry>,
    /// The entries whose path is not their key, by path. Without them, the order of the keys is the
    /// order of the paths.
    cased: OrdMap<StorePath, Entry>,
    bytes: u64,
}

impl Table {
    /// The number of files.
    pub(crate) fn files(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The length of all files, in bytes.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The live entry at exactly this path.
    pub(crate) fn get(&self, path: &StorePath) -> Option<&Entry> {
        self.entries.get(&path.key()).filter(|entry| entry.path == *path)
    }

    /// Every entry, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entries whose path begins with `prefix`, sorted by path.
    pub(crate) fn list<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.list_from(prefix, Bound::Included(prefix))
    }

    /// Like [`list`](Self::list), but starts at `from`, a path that begins with `prefix`.
    fn list_from<'a>(
        &'a self,
        prefix: &'a str,
        from: Bound<&str>,
    ) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let range = (from, Bound::Unbounded);
        let mut plain = self
            .entries
            .range::<_, str>(range)
            .take_while(move |(key, _)| key.starts_with(prefix))
            .filter(|(key, entry)| entry.path.as_str() == &***key)
            .map(|(_, entry)| entry)
            .peekable();
        let mut cased = self
            .cased
            .range::<_, str>(range)
            .take_while(move |(path, _)| path.as_str().starts_with(prefix))
            .map(|(_, entry)| entry)
            .peekable();
        iter::from_fn(move || match (plain.peek(), cased.peek()) {
            (Some(one), Some(two)) if two.path < one.path => cased.next(),
            (Some(_), _) => plain.next(),
            (None, _) => cased.next(),
        })
    }

    /// Puts an entry, and gives what had its key. If that is a twin, the table is of no more use.
    fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let key = entry.path.key();
        if *key != *entry.path.as_str() {
            self.cased.insert(entry.path.clone(), entry.clone());
        }
        self.entries.insert(key, entry)
    }

    fn remove(&mut self, path: &StorePath) -> Option<Entry> {
        let old = self.entries.remove(&path.key())?;
        self.cased.remove(&old.path);
        Some(old)
    }

    /// Adds an entry that was read from a checkpoint.
    pub(crate) fn load(&mut self, entry: Entry) -> Result<(), FormatError> {
        self.bytes = self.bytes.checked_add(entry.bytes).ok_or_else(too_long)?;
        match self.insert(entry) {
            None => Ok(()),
            Some(twin) => {
                Err(FormatError::rule(format!("{} differs from another path only in case", twin.path)))
            }
        }
    }

    /// Applies the changes of one generation. Removals come first, as a put may take the place of a
    /// removed file.
    pub(crate) fn apply<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change> + Clone,
    ) -> Result<(), FormatError> {
        for change in changes.clone() {
            if let Change::Remove(path) = change {
                match self.remove(path) {
                    Some(entry) if entry.path == *path => self.bytes -= entry.bytes,
                    _ => return Err(FormatError::rule(format!("{path} is removed but was not there"))),
                }
            }
        }
        for change in changes {
            if let Change::Put(entry) = change {
                let old = self.insert(entry.clone());
                if let Some(twin) = old.as_ref().filter(|old| old.path != entry.path) {
                    return Err(FormatError::rule(format!(
                        "{} and {} differ only in case",
                        twin.path, entry.path
                    )));
                }
                self.bytes -= old.map_or(0, |old| old.bytes);
                self.bytes = self.bytes.checked_add(entry.bytes).ok_or_else(too_long)?;
            }
        }
        Ok(())
    }

    /// Fails when a file stands where a directory is. This program commits no such table.
    pub(crate) fn check_all_directories(&self) -> Result<(), Error> {
        self.iter().try_for_each(|entry| self.check_directories(&entry.path))
    }

    /// Checks that these changes may be applied, and returns the table after them. A new path must
    /// not differ from a live one only in case. Neither may be a directory of the other.
    pub(crate) fn check(&self, changes: &[Change]) -> Result<Self, Error> {
        let mut after = self.clone();
        for change in changes {
            if let Change::Remove(path) = change {
                after.remove(path);
            }
        }
        for change in changes {
            let Change::Put(entry) = change else { continue };
            if let Some(twin) = after.entries.get(&entry.path.key()).filter(|twin| twin.path != entry.path) {
                return Err(collide(
                    &entry.path,
                    &twin.path,
                    "paths that differ only in case are one file on many systems",
                ));
            }
            after.insert(entry.clone());
        }
        for change in changes {
            if let Change::Put(entry) = change {
                after.check_directories(&entry.path)?;
            }
        }
        let mut result = self.clone();
        match result.apply(changes.iter()) {
            Ok(()) => Ok(result),
            Err(error) => {
                Err(ErrorRepr::Limit { what: "this commit".into(), rule: error.to_string() }.into())
            }
        }
    }

    fn check_directories(&self, path: &StorePath) -> Result<(), Error> {
        let rule = "a file cannot stand where a directory is";
        let key = path.key();
        if let Some(above) = directories(&key).find_map(|directory| self.entries.get(directory)) {
            return Err(collide(path, &above.path, rule));
        }
        let below: Arc<str> = format!("{key}/").into();
        match self.entries.range(Arc::clone(&below)..).next() {
            Some((found, entry)) if found.starts_with(&*below) => Err(collide(path, &entry.path, rule)),
            _ => Ok(()),
        }
    }
}

/// The entries of a table whose path begins with a prefix, sorted by path. Borrows nothing, and
/// reads the table in batches.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    table: Table,
    prefix: String,
    batch: vec::IntoIter<Entry>,
    /// The last path of the batch.
    last: Option<StorePath>,
    is_last_batch: bool,
}

impl Listing {
    pub(crate) fn new(table: &Table, prefix: &str) -> Self {
        Self {
            table: table.clone(),
            prefix: prefix.to_owned(),
            batch: Vec::new().into_iter(),
            last: None,
            is_last_batch: false,
        }
    }
}

impl Iterator for Listing {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(entry) = self.batch.next() {
            return Some(entry);
        }
        if self.is_last_batch {
            return None;
        }
        let from = match &self.last {
            Some(last) => Bound::Excluded(last.as_str()),
            None => Bound::Included(self.prefix.as_str()),
        };
        let batch: Vec<Entry> = self.table.list_from(&self.prefix, from).take(BATCH).cloned().collect();
        self.is_last_batch = batch.len() < BATCH;
        self.last = batch.last().map(|entry| entry.path.clone());
        self.batch = batch.into_iter();
        self.batch.next()
    }
}

fn collide(path: &StorePath, other: &StorePath, rule: &'static str) -> Error {
    ErrorRepr::PathsCollide { path: path.clone(), other: other.to_string(), rule }.into()
}

fn too_long() -> FormatError {
    FormatError::rule("the lengths of the files add up to more than 2^64 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Blake3;
    use crate::revision::Generation;

    fn put(path: &str) -> Change {
        let path = StorePath::new(path).unwrap();
        Change::Put(Entry {
            path,
            generation: Generation::FIRST,
            bytes: 2,
            blake3: Blake3::of(b"ab"),
            stored_as: None,
        })
    }

    fn remove(path: &str) -> Change {
        Change::Remove(StorePath::new(path).unwrap())
    }

    fn table(paths: &[&str]) -> Table {
        let changes: Vec<Change> = paths.iter().map(|path| put(path)).collect();
        Table::default().check(&changes).unwrap()
    }

    #[test]
    fn what_could_not_be_exported_everywhere_is_refused() {
        let table = table(&["Stores/a.json", "x"]);
        for (changes, other) in [
            (vec![put("stores/A.json")], "Stores/a.json"),
            (vec![put("Stores")], "Stores/a.json"),
            (vec![put("STORES")], "Stores/a.json"),
            (vec![put("x/y")], "x"),
            (vec![put("X/y")], "x"),
            (vec![put("new"), put("new/deep/file")], "new"),
            (vec![put("n"), put("N")], "n"),
        ] {
            let error = table.check(&changes).expect_err(other);
            assert_eq!(error.kind(), crate::ErrorKind::Invalid);
            assert!(error.to_string().contains(other), "{error}");
        }
        assert_eq!(table.files(), 2);
    }

    #[test]
    fn a_place_that_is_cleared_in_the_same_generation_is_free() {
        let after = table(&["a", "b/c"]).check(&[put("A"), put("b"), remove("a"), remove("b/c")]).unwrap();
        let paths: Vec<String> = after.list("").map(|entry| entry.path.to_string()).collect();
        assert_eq!(paths, ["A", "b"]);
        assert_eq!((after.files(), after.bytes()), (2, 4));
    }

    #[test]
    fn lists_are_sorted_by_path_and_exact_in_case() {
        let table = table(&["b", "B2", "a/x", "a/Y", "ab", "á"]);
        let list = |prefix: &str| {
            let found: Vec<String> = table.list(prefix).map(|entry| entry.path.to_string()).collect();
            let batches: Vec<String> =
                Listing::new(&table, prefix).map(|entry| entry.path.to_string()).collect();
            assert_eq!(found, batches);
            found
        };
        assert_eq!(list(""), ["B2", "a/Y", "a/x", "ab", "b", "á"]);
        assert_eq!(list("a"), ["a/Y", "a/x", "ab"]);
        assert_eq!(list("a/"), ["a/Y", "a/x"]);
        assert_eq!(list("B"), ["B2"]);
        assert_eq!(list("c"), Vec::<String>::new());
    }

    #[test]
    fn a_listing_of_many_batches_is_sorted_whatever_the_case() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut table = Table::default();
        let mut expected = std::collections::BTreeSet::new();
        // Puts, removals and changes of case, so that everything moves between the two maps.
        for _ in 0..8 * BATCH {
            let text: String = (0..4).map(|_| *random.choice(b"abcABC__").unwrap() as char).collect();
            let Ok(path) = StorePath::new(&text) else { continue };
            let twin = expected.iter().find(|other: &&StorePath| other.key() == path.key()).cloned();
            let mut changes = Vec::new();
            if let Some(twin) = twin {
                changes.push(Change::Remove(twin.clone()));
                expected.remove(&twin);
            }
            if random.u8(..) < 200 {
                changes.push(put(path.as_str()));
                expected.insert(path);
            }
            table.apply(changes.iter()).unwrap();
        }
        assert!(expected.len() > 100);
        for n in 0..3 * BATCH {
            let path = format!("{}/{n}", if n % 3 == 0 { "Many" } else { "many" });
            table.apply([put(&path)].iter()).unwrap();
            expected.insert(StorePath::new(&path).unwrap());
        }
        for prefix in ["", "a", "A", "aB", "m", "M", "many/", "Many/1", "z", "\u{10FFFF}"] {
            let wanted: Vec<&StorePath> =
                expected.iter().filter(|path| path.as_str().starts_with(prefix)).collect();
            let listing: Vec<Entry> = Listing::new(&table, prefix).collect();
            assert_eq!(listing.iter().map(|entry| &entry.path).collect::<Vec<_>>(), wanted, "{prefix}");
            assert!(table.list(prefix).eq(&listing), "{prefix}");
        }
        assert_eq!(table.list("").count() as u64, table.files());
    }

    #[test]
    fn a_manifest_that_does_not_fit_is_found() {
        let mut table = table(&["a"]);
        assert!(table.clone().apply([remove("b")].iter()).is_err());
        assert!(table.clone().apply([put("A")].iter()).is_err());
        let Change::Put(mut entry) = put("z") else { unreachable!() };
        entry.bytes = u64::MAX;
        assert!(table.apply([Change::Put(entry)].iter()).is_err());
    }
}
