//! What a command does, and how that changes the state of a store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use crate::sandbox::Sandbox;

/// Every file of one generation, by path.
pub(crate) type State = BTreeMap<String, Arc<[u8]>>;

/// The most files in a directory.
const FILES_MAX: usize = 24;

/// One command.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Commits a directory, into a directory of the store or over everything.
    Commit { into: Option<String>, prune: bool, files: State },
    /// Commits one file.
    Put { path: String, bytes: Arc<[u8]> },
    /// Rolls back to a generation.
    Rollback { to: u64 },
    /// Exports a generation to a directory that does not exist, or is empty.
    Export { at: u64, into_empty: bool },
    /// Checks every byte of every generation.
    Verify,
}

impl Work {
    /// Chooses what the process `index` does on a store with these generations. Unless a process is
    /// `alone`, it writes only to paths of its own, so no process conflicts with another.
    pub(crate) fn choose(
        random: &mut fastrand::Rng,
        states: &BTreeMap<u64, State>,
        index: usize,
        alone: bool,
    ) -> Self {
        let (_, head) = states.last_key_value().unwrap();
        match random.u32(0..10) {
            0..4 => {
                let into = (!alone || random.bool()).then(|| format!("directory {index}/dir"));
                let prefix = into.as_ref().map_or_else(String::new, |into| format!("{into}/"));
                let before = head.iter().filter_map(|(path, bytes)| {
                    Some((path.strip_prefix(&prefix)?.to_owned(), Arc::clone(bytes)))
                });
                Self::Commit { into, prune: random.u32(0..4) == 0, files: changed(random, before) }
            }
            4..6 => Self::Put {
                path: format!("directory {index}/put/{}", random.u32(0..5)),
                bytes: content(random),
            },
            6 if alone => {
                let other: Vec<u64> =
                    states.iter().filter(|(_, state)| *state != head).map(|(number, _)| *number).collect();
                match random.choice(&other) {
                    Some(to) => Self::Rollback { to: *to },
                    None => Self::Verify,
                }
            }
            6..9 => {
                let all: Vec<u64> = states.keys().copied().collect();
                Self::Export { at: *random.choice(&all).unwrap(), into_empty: random.bool() }
            }
            _ => Self::Verify,
        }
    }

    /// The name of the command.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Commit { .. } => "commit",
            Self::Put { .. } => "put",
            Self::Rollback { .. } => "rollback",
            Self::Export { .. } => "export",
            Self::Verify => "verify",
        }
    }

    /// Whether it commits a generation.
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Commit { .. } | Self::Put { .. } | Self::Rollback { .. })
    }

    /// Creates in the sandbox what the command `index` reads or writes to. Gives its arguments.
    pub(crate) fn prepare(&self, sandbox: &Sandbox, index: usize, message: &str) -> Vec<String> {
        let source = sandbox.path(format!("source-{index}"));
        let _ = fs::remove_dir_all(&source);
        let mut words = vec!["--json".to_owned(), self.name().to_owned()];
        let mut say = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        match self {
            Self::Commit { into, prune, files } => {
                for (path, bytes) in files {
                    let file = source.join(path);
                    fs::create_dir_all(file.parent().unwrap()).unwrap();
                    fs::write(file, bytes).unwrap();
                }
                say(&[source.to_str().unwrap(), "-m", message]);
                into.iter().for_each(|into| say(&["--into", into]));
                prune.then(|| say(&["--prune"]));
            }
            Self::Put { path, bytes } => {
                fs::create_dir_all(&source).unwrap();
                let file = source.join("file");
                fs::write(&file, bytes).unwrap();
                say(&[path, file.to_str().unwrap(), "-m", message]);
            }
            Self::Rollback { to } => say(&[&to.to_string(), "-m", message]),
            Self::Export { at, into_empty } => {
                let target = sandbox.path(format!("target-{index}"));
                if *into_empty {
                    fs::create_dir(&target).unwrap();
                }
                say(&[target.to_str().unwrap(), "--at", &at.to_string()]);
            }
            Self::Verify => say(&["--all"]),
        }
        words
    }

    /// What the store holds afterwards, if it held the last of these before.
    pub(crate) fn apply(&self, states: &BTreeMap<u64, State>) -> State {
        let mut state = states.last_key_value().unwrap().1.clone();
        match self {
            Self::Commit { into, prune, files } => {
                let prefix = into.as_ref().map_or_else(String::new, |into| format!("{into}/"));
                state.retain(|path, _| !prune || !path.starts_with(&prefix));
                state
                    .extend(files.iter().map(|(path, bytes)| (format!("{prefix}{path}"), Arc::clone(bytes))));
            }
            Self::Put { path, bytes } => drop(state.insert(path.clone(), Arc::clone(bytes))),
            Self::Rollback { to } => state.clone_from(&states[to]),
            Self::Export { .. } | Self::Verify => {}
        }
        state
    }

    /// The names that the commit with this number creates, if the store holds `before` and then
    /// `after`. They are a manifest and the files with other bytes. A rollback writes no files.
    pub(crate) fn names(&self, number: u64, before: &State, after: &State) -> BTreeSet<String> {
        let differs = |(path, bytes): &(&String, &Arc<[u8]>)| before.get(*path) != Some(bytes);
        let written = after.iter().filter(|_| !matches!(self, Self::Rollback { .. })).filter(differs);
        let mut names: BTreeSet<String> = written.map(|(path, _)| format!("data/{path}.g{number}")).collect();
        names.insert(format!("manifests/{number:010}.json"));
        names
    }
}

/// A directory with other content: some files stay, change, come or go. One file always changes.
fn changed(random: &mut fastrand::Rng, before: impl Iterator<Item = (String, Arc<[u8]>)>) -> State {
    let mut files = State::new();
    for (path, bytes) in before {
        match random.u32(0..8) {
            0..4 => drop(files.insert(path, bytes)),
            4..7 => drop(files.insert(path, content(random))),
            _ => {}
        }
    }
    for _ in 0..random.usize(0..FILES_MAX) {
        let path = format!("sub {}/{}", random.u32(0..4), random.u32(0..30));
        files.insert(path, content(random));
    }
    while files.len() >= FILES_MAX {
        files.pop_last();
    }
    files.insert("always".into(), content(random));
    files
}

/// Unique bytes, usually few.
fn content(random: &mut fastrand::Rng) -> Arc<[u8]> {
    let length = if random.u32(0..20) == 0 { random.usize(0..200_000) } else { random.usize(0..2_000) };
    let mut bytes = vec![0; 16 + length];
    random.fill(&mut bytes);
    bytes.into()
}
