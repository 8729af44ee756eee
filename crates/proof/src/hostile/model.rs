//! What a store should do, without a disk: a list of generations, each a map from path to bytes. It
//! uses none of the store's own code, and does everything in the simplest way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::operations::{Path, fold_of};

/// A file of a generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct File {
    pub(super) bytes: Arc<[u8]>,
    /// The generation that wrote the bytes, and the path under which it did. Two files are the same
    /// only if both agree.
    pub(super) written: (u64, Path),
}

/// The files of a generation.
pub(super) type Files = BTreeMap<Path, File>;

/// A generation as the history should show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) message: String,
    pub(super) put: Vec<Path>,
    pub(super) removed: Vec<Path>,
    pub(super) restores: Option<u64>,
    pub(super) files: Files,
}

/// Why the store refuses something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    NotFound,
    Invalid,
    /// The paths, each with the generation that changed it.
    Conflict(Vec<(Path, u64)>),
}

/// What a successful commit does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Committed {
    pub(super) generation: u64,
    pub(super) changed: bool,
    pub(super) put: u64,
    pub(super) removed: u64,
    pub(super) bytes: u64,
}

/// A change in a transaction.
#[derive(Clone, Debug)]
enum Plan {
    Write(Arc<[u8]>),
    /// A file that an earlier generation wrote.
    Link(File),
    Remove,
}

/// A transaction.
#[derive(Clone, Debug)]
pub(super) struct ChangeSet {
    base: Generation,
    plans: BTreeMap<Path, Plan>,
    reads: BTreeSet<Path>,
    prefixes: BTreeSet<String>,
    restores: Option<u64>,
    pub(super) overwrite: bool,
}

/// Every generation that was committed.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Oldest first.
    pub(super) generations: Vec<Generation>,
    /// The numbers of commits that a power cut interrupted and whose names it left. None is used
    /// again.
    pub(super) interrupted: BTreeSet<u64>,
}

impl Model {
    /// A new store: generation 1 is empty.
    pub(super) fn new() -> Self {
        let first = Generation {
            number: 1,
            message: "create the store".into(),
            put: Vec::new(),
            removed: Vec::new(),
            restores: None,
            files: Files::new(),
        };
        Self { generations: vec![first], interrupted: BTreeSet::new() }
    }

    pub(super) fn head(&self) -> &Generation {
        self.generations.last().unwrap()
    }

    /// The generation with this number.
    pub(super) fn at(&self, number: u64) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.number == number)
    }

    /// The generation this many steps before the newest.
    pub(super) fn back(&self, steps: u64) -> Option<&Generation> {
        self.generations.iter().rev().nth(usize::try_from(steps).ok()?)
    }

    pub(super) fn begin(&self) -> ChangeSet {
        ChangeSet {
            base: self.head().clone(),
            plans: BTreeMap::new(),
            reads: BTreeSet::new(),
            prefixes: BTreeSet::new(),
            restores: None,
            overwrite: false,
        }
    }

    /// Commits a draft. A new generation becomes the last one. Its number is one above the highest
    /// that has a name. Without power cuts no number is skipped.
    pub(super) fn commit(&mut self, draft: &ChangeSet, message: &str) -> Result<Committed, Refusal> {
        let head = self.head().clone();
        if !draft.overwrite {
            self.check_conflicts(draft, &head)?;
        }
        let number = self.interrupted.last().map_or(head.number, |last| head.number.max(*last)) + 1;
        let mut made = Generation {
            number,
            message: message.to_owned(),
            put: Vec::new(),
            removed: Vec::new(),
            restores: draft.restores,
            files: head.files.clone(),
        };
        let mut written = 0;
        for (path, plan) in &draft.plans {
            let live = head.files.get(path);
            let file = match plan {
                Plan::Remove => {
                    if live.is_some() {
                        made.files.remove(path);
                        made.removed.push(path.clone());
                    }
                    continue;
                }
                Plan::Write(bytes) => File { bytes: Arc::clone(bytes), written: (number, path.clone()) },
                Plan::Link(file) => file.clone(),
            };
            if live.is_some_and(|live| live.bytes == file.bytes) {
                continue;
            }
            if file.written.0 == number {
                written += file.bytes.len() as u64;
            }
            made.files.insert(path.clone(), file);
            made.put.push(path.clone());
        }
        let put = made.put.len() as u64;
        let removed = made.removed.len() as u64;
        if put + removed == 0 {
            return Ok(Committed { generation: head.number, changed: false, put, removed, bytes: 0 });
        }
        if !can_stand_together(made.files.keys()) {
            return Err(Refusal::Invalid);
        }
        self.generations.push(made);
        Ok(Committed { generation: number, changed: true, put, removed, bytes: written })
    }

    fn check_conflicts(&self, draft: &ChangeSet, head: &Generation) -> Result<(), Refusal> {
        let differs = |(path, plan): &(&Path, &Plan)| match (plan, head.files.get(*path)) {
            (Plan::Remove, live) => live.is_some(),
            (Plan::Write(bytes) | Plan::Link(File { bytes, .. }), live) => {
                live.is_none_or(|live| live.bytes != *bytes)
            }
        };
        let written = draft.plans.iter().filter(differs).map(|(path, _)| path);
        let touched = written.chain(&draft.reads);
        let mut paths: BTreeSet<&Path> =
            touched.filter(|path| draft.base.files.get(*path) != head.files.get(*path)).collect();
        for prefix in &draft.prefixes {
            let both =
                draft.base.files.keys().chain(head.files.keys()).filter(|path| path.starts_with(prefix));
            paths.extend(
                both.filter(|path| draft.base.files.contains_key(*path) != head.files.contains_key(*path)),
            );
        }
        if paths.is_empty() {
            return Ok(());
        }
        let who = |path: &Path| {
            let since = self.generations.iter().rev().take_while(|made| made.number > draft.base.number);
            let mut since = since.filter(|made| made.put.contains(path) || made.removed.contains(path));
            since.next().map_or(head.number, |made| made.number)
        };
        Err(Refusal::Conflict(paths.into_iter().map(|path| (path.clone(), who(path))).collect()))
    }
}

/// Whether no path is a twin of another one, or a directory of another one.
fn can_stand_together<'a>(paths: impl Iterator<Item = &'a Path>) -> bool {
    let folds: Vec<String> = paths.map(|path| fold_of(path)).collect();
    let mut pairs =
        folds.iter().enumerate().flat_map(|(at, one)| folds[at + 1..].iter().map(move |two| (one, two)));
    pairs.all(|(one, two)| {
        one != two && !one.starts_with(&format!("{two}/")) && !two.starts_with(&format!("{one}/"))
    })
}

impl ChangeSet {
    pub(super) fn base(&self) -> u64 {
        self.base.number
    }

    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) {
        self.plans.insert(path.clone(), Plan::Write(bytes.into()));
    }

    /// The content of a path as the draft leaves it.
    fn now(&self, path: &Path) -> Option<Plan> {
        match self.plans.get(path) {
            Some(Plan::Remove) => None,
            Some(plan) => Some(plan.clone()),
            None => self.base.files.get(path).cloned().map(Plan::Link),
        }
    }

    fn forget(&mut self, path: &Path) {
        if self.base.files.contains_key(path) {
            self.plans.insert(path.clone(), Plan::Remove);
        } else {
            self.plans.remove(path);
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Refusal> {
        let plan = self.now(from).ok_or(Refusal::NotFound)?;
        if !self.plans.contains_key(from) {
            self.reads.insert(from.clone());
        }
        self.forget(from);
        self.plans.insert(to.clone(), plan);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<(), Refusal> {
        self.now(path).ok_or(Refusal::NotFound)?;
        self.forget(path);
        Ok(())
    }

    /// The bytes of a path. This counts as a read if they come from the base.
    pub(super) fn get(&mut self, path: &Path) -> Result<Arc<[u8]>, Refusal> {
        if !self.plans.contains_key(path) {
            self.reads.insert(path.clone());
        }
        match self.now(path).ok_or(Refusal::NotFound)? {
            Plan::Write(bytes) | Plan::Link(File { bytes, .. }) => Ok(bytes),
            Plan::Remove => Err(Refusal::NotFound),
        }
    }

    pub(super) fn contains(&mut self, path: &Path) -> bool {
        self.get(path).is_ok()
    }

    pub(super) fn list(&mut self, prefix: &str) -> Vec<Path> {
        self.prefixes.insert(prefix.to_owned());
        let paths: BTreeSet<&Path> = self.base.files.keys().chain(self.plans.keys()).collect();
        let wanted = paths.into_iter().filter(|path| path.starts_with(prefix) && self.now(path).is_some());
        wanted.cloned().collect()
    }

    /// Restores what a generation has under a path or in a directory, or everything if none is
    /// given.
    pub(super) fn restore(&mut self, then: &Generation, part: Option<&str>) -> Result<(), Refusal> {
        let directory = part.map(|part| format!("{part}/")).unwrap_or_default();
        let wanted =
            |path: &&Path| part.is_none_or(|part| path.as_str() == part || path.starts_with(&directory));
        let both: BTreeSet<Path> =
            self.base.files.keys().chain(then.files.keys()).filter(wanted).cloned().collect();
        if part.is_some() && both.is_empty() {
            return Err(Refusal::NotFound);
        }
        for path in &both {
            match (self.base.files.get(path), then.files.get(path)) {
                (Some(now), Some(then)) if now.bytes == then.bytes => {}
                (_, Some(then)) => drop(self.plans.insert(path.clone(), Plan::Link(then.clone()))),
                (_, None) => drop(self.plans.insert(path.clone(), Plan::Remove)),
            }
        }
        self.reads.extend(both);
        self.prefixes.insert(directory);
        self.restores = Some(then.number);
        Ok(())
    }
}
