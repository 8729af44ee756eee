//! What a store must hold: every generation with all its bytes, and every name that was ever seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use genstore::{Snapshot, Store};
use serde_json::Value;

use crate::flight::Ended;
use crate::sandbox::Sandbox;
use crate::work::State;

/// Inode, length and time. They differ if a file was replaced or written to.
type Stamp = (u64, u64, (i64, i64));

pub(crate) struct Model {
    /// Every generation that was committed.
    pub(crate) states: BTreeMap<u64, State>,
    /// The files in `manifests/` and `data/`.
    names: BTreeMap<String, Stamp>,
    /// The highest number that any name has had.
    highest: u64,
}

/// What killed commands have left.
#[derive(Default, Debug)]
pub(crate) struct Left {
    /// The commands whose generation is there.
    pub(crate) done: BTreeSet<usize>,
    /// Interrupted commits.
    pub(crate) interrupted: u64,
    /// Generations that are there although no command reported them.
    pub(crate) unacknowledged: u64,
}

impl Model {
    /// The model of a new store.
    pub(crate) fn new(dir: &Path) -> Self {
        let names = look(dir);
        assert_eq!(names.keys().collect::<Vec<_>>(), ["manifests/0000000001.json"]);
        Self { states: BTreeMap::from([(1, State::new())]), names, highest: 1 }
    }

    fn head(&self) -> (u64, &State) {
        let (number, state) = self.states.last_key_value().unwrap();
        (*number, state)
    }

    /// Compares the store with what these commands may have done, and records what they did.
    /// `handle` was opened long before.
    pub(crate) fn check(&mut self, handle: &Store, ended: &[Ended]) -> Left {
        let fresh = Store::open(handle.dir()).unwrap();
        let mut begun = self.new_names(handle.dir());
        let head = self.head().0;
        let mut added: Vec<_> = fresh
            .history()
            .unwrap()
            .map(Result::unwrap)
            .take_while(|entry| entry.generation.get() > head)
            .collect();
        added.reverse();
        let Left { mut done, mut interrupted, mut unacknowledged } = Left::default();
        for entry in added {
            let number = entry.generation.get();
            let by = ended.iter().find(|ended| ended.message == entry.message && ended.work.writes());
            let by = by.unwrap_or_else(|| panic!("no command commits this: {entry:?}"));
            assert!(done.insert(by.index), "committed twice: {entry:?}");
            let before = self.head();
            let state = by.work.apply(&self.states);
            assert_eq!(entry.parent.unwrap().get(), before.0, "{entry:?}");
            let expected = by.work.names(number, before.1, &state);
            assert_eq!(begun.remove(&number), Some(expected), "{entry:?}");
            match by.acknowledged() {
                Some(acknowledged) => assert_eq!(acknowledged, number, "{entry:?}"),
                None => unacknowledged += 1,
            }
            assert_holds(&fresh.snapshot_at(number).unwrap(), &state);
            self.states.insert(number, state);
        }
        for acknowledged in ended.iter().filter(|ended| ended.acknowledged().is_some()) {
            assert!(
                done.contains(&acknowledged.index),
                "an acknowledged generation is gone: {acknowledged:?}"
            );
        }
        for store in [&fresh, handle] {
            assert_eq!(store.recovery(), None);
            let snapshot = store.snapshot().unwrap();
            assert_eq!(snapshot.generation().get(), self.head().0);
            assert_holds(&snapshot, self.head().1);
        }
        // Each other number belongs to one killed command. No two share a number.
        let killed = || ended.iter().filter(|ended| ended.was_killed && !done.contains(&ended.index));
        for (number, names) in &begun {
            let may_be = |ended: &&Ended| {
                let before = self.head();
                let state = ended.work.apply(&self.states);
                ended.work.writes() && names.is_subset(&ended.work.names(*number, before.1, &state))
            };
            assert!(killed().any(|ended| may_be(&ended)), "no command can have left {names:?}: {ended:?}");
            interrupted += 1;
        }
        assert!(begun.len() <= killed().count(), "more numbers than killed commands: {begun:?}");
        Left { done, interrupted, unacknowledged }
    }

    /// The new names, by their number. All other names must be untouched.
    fn new_names(&mut self, dir: &Path) -> BTreeMap<u64, BTreeSet<String>> {
        let names = look(dir);
        let mut new: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for (name, stamp) in &self.names {
            assert_eq!(names.get(name), Some(stamp), "{name} was replaced, written to or removed");
        }
        for name in names.keys().filter(|name| !self.names.contains_key(*name)) {
            assert!(number_of(name) > self.highest, "{name}: number {} was used before", self.highest);
            new.entry(number_of(name)).or_default().insert(name.clone());
        }
        self.highest = new.keys().copied().max().unwrap_or(0).max(self.highest);
        self.names = names;
        new
    }

    /// Every number that was begun and not committed.
    fn unfinished(&self) -> BTreeSet<u64> {
        self.names
            .keys()
            .map(|name| number_of(name))
            .filter(|number| !self.states.contains_key(number))
            .collect()
    }

    /// `status` reports the head, and every commit that was interrupted since.
    pub(crate) fn check_status(&self, sandbox: &Sandbox) {
        let status = sandbox.one_json(&["status"]);
        let (head, state) = self.head();
        let above: Vec<u64> = self.unfinished().into_iter().filter(|number| *number > head).collect();
        assert_eq!(status["interrupted"], serde_json::json!(above), "{status}");
        assert_eq!((&status["generation"], &status["health"]), (&head.into(), &"ok".into()), "{status}");
        assert_eq!(status["files"], state.len(), "{status}");
        assert_eq!(status["findings"], serde_json::json!([]), "{status}");
    }

    /// Every byte of every generation is as it was committed. Everything else is reported as what
    /// it is.
    pub(crate) fn verify(&self, sandbox: &Sandbox) {
        let report = sandbox.one_json(&["verify", "--all"]);
        assert_eq!(report["ok"], true, "{report}");
        assert_eq!(report["generations"], self.states.len(), "{report}");
        let findings = report["findings"].as_array().unwrap();
        let (interrupted, orphans): (Vec<&Value>, Vec<&Value>) =
            findings.iter().partition(|finding| finding["kind"] == "interrupted_commit");
        let interrupted: BTreeSet<u64> =
            interrupted.iter().map(|finding| finding["generation"].as_u64().unwrap()).collect();
        assert_eq!(interrupted, self.unfinished(), "{report}");
        for orphan in orphans {
            let path = orphan["path"].as_str().unwrap();
            assert_eq!(
                (&orphan["kind"], &orphan["severity"]),
                (&"orphan".into(), &"note".into()),
                "{orphan}"
            );
            assert!(path.starts_with("staging/") || path == "CURRENT.next", "{orphan}");
        }
    }

    /// One generation of any age is as it was.
    pub(crate) fn check_any(&self, random: &mut fastrand::Rng, handle: &Store) {
        let numbers: Vec<u64> = self.states.keys().copied().collect();
        let number = *random.choice(&numbers).unwrap();
        assert_holds(&handle.snapshot_at(number).unwrap(), &self.states[&number]);
    }
}

/// Byte for byte.
fn assert_holds(snapshot: &Snapshot, expected: &State) {
    let files = snapshot.list("");
    let read = |path: &str| Arc::from(snapshot.get(path).unwrap());
    let found: State = files.map(|file| (file.path.to_string(), read(file.path.as_str()))).collect();
    assert_same_files(&found, expected, &format!("generation {}", snapshot.generation()));
}

/// Panics with the paths that differ, without all their bytes.
pub(crate) fn assert_same_files(found: &State, expected: &State, what: &str) {
    let paths: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differ: Vec<_> = paths.into_iter().filter(|path| found.get(*path) != expected.get(*path)).collect();
    assert!(differ.is_empty(), "{what}: not as committed: {differ:?}");
}

/// Every file in the directories that use numbers.
fn look(dir: &Path) -> BTreeMap<String, Stamp> {
    let mut found = BTreeMap::new();
    let mut directories = vec!["manifests".to_owned(), "data".to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(dir.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{directory}/{}", entry.file_name().to_str().unwrap());
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                directories.push(name);
            } else {
                found.insert(name, (meta.ino(), meta.len(), (meta.mtime(), meta.mtime_nsec())));
            }
        }
    }
    found
}

/// The number in a name.
fn number_of(name: &str) -> u64 {
    let digits = match name.strip_prefix("manifests/") {
        Some(file) => file.strip_suffix(".json").unwrap(),
        None => name.rsplit_once(".g").unwrap().1,
    };
    digits.parse().unwrap()
}
