//! What must be served, and what must be readable, when some files of a store are damaged. These
//! are the rules of `docs/internals/design.md`, *Recovery*, applied to the model instead of the
//! disk.

use std::collections::{BTreeSet, HashSet};

use crate::shape::Model;
use crate::support::manifest_name;

/// What the pointer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pointer {
    Good,
    /// Intact, but it names this other generation.
    At(u64),
    Damaged,
    Missing,
}

/// Which files of a store are not what they were.
#[derive(Clone, Debug)]
pub(crate) struct Ruins {
    pub(crate) pointer: Pointer,
    pub(crate) broken: BTreeSet<String>,
    /// The generations that have a checkpoint, good or damaged.
    pub(crate) checkpoints: BTreeSet<u64>,
}

/// What must be seen of a store.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The generation that is served, `None` if none can be.
    pub(crate) serving: Option<u64>,
    pub(crate) degraded: bool,
    pub(crate) readable: BTreeSet<u64>,
    /// The generations whose manifest can be reached, even if their table cannot be built.
    pub(crate) reachable: BTreeSet<u64>,
}

pub(crate) fn checkpoint_name(generation: u64) -> String {
    format!("checkpoints/{generation:010}.jsonl")
}

struct Rules<'a> {
    model: &'a Model,
    ruins: &'a Ruins,
}

impl Rules<'_> {
    fn manifest(&self, generation: u64) -> bool {
        !self.ruins.broken.contains(&manifest_name(generation))
    }

    fn checkpoint(&self, generation: u64) -> bool {
        self.ruins.checkpoints.contains(&generation)
            && !self.ruins.broken.contains(&checkpoint_name(generation))
    }

    fn parent(&self, generation: u64) -> Option<u64> {
        self.model.parents.get(&generation).copied()
    }

    /// Whether the table of a generation can be built.
    fn loads(&self, generation: u64) -> bool {
        if !self.manifest(generation) {
            return false;
        }
        let mut at = generation;
        while !self.checkpoint(at) {
            match self.parent(at) {
                None => return true,
                Some(parent) => at = parent,
            }
            if !self.checkpoint(at) && !self.manifest(at) {
                return false;
            }
        }
        true
    }

    /// Whether every file that a generation wrote itself is good.
    fn is_whole(&self, generation: u64) -> bool {
        let own = self.model.states[&generation].values().filter(|stored| stored.generation == generation);
        own.into_iter().all(|stored| !self.ruins.broken.contains(&stored.file))
    }

    fn recovered(&self, pointed_at: Option<u64>) -> Option<u64> {
        let parent = pointed_at.and_then(|head| self.parent(head));
        let may_be = |number: u64| match pointed_at {
            None => true,
            Some(head) => number == head || parent.is_some_and(|parent| number <= parent),
        };
        let mut committed: HashSet<u64> = pointed_at.into_iter().chain(parent).collect();
        let mut second_best = None;
        for number in self.model.states.keys().rev().copied().filter(|number| may_be(*number)) {
            if !self.manifest(number) {
                continue;
            }
            committed.extend(self.parent(number));
            if !self.loads(number) {
                continue;
            }
            if committed.contains(&number) || self.is_whole(number) {
                return Some(number);
            }
            second_best = second_best.or(Some(number));
        }
        second_best
    }

    /// The generations whose manifest can be reached from the one that is served.
    fn reachable(&self, serving: u64) -> BTreeSet<u64> {
        let mut reachable = BTreeSet::from([serving]);
        let mut next = Some(serving);
        while let Some(at) = next {
            if self.manifest(at) {
                reachable.insert(at);
                next = self.parent(at);
                continue;
            }
            let below = self.ruins.checkpoints.range(..at).rev();
            next = below.copied().find(|below| self.checkpoint(*below) && self.manifest(*below));
        }
        reachable
    }
}

impl Expected {
    pub(crate) fn of(model: &Model, ruins: &Ruins) -> Self {
        let rules = Rules { model, ruins };
        let is_followed = |at: u64| {
            let numbers = model.states.keys().filter(|number| rules.manifest(**number));
            numbers.into_iter().any(|number| rules.parent(*number).is_some_and(|parent| parent > at))
        };
        let (serving, degraded) = match ruins.pointer {
            // Nothing was ever committed. It counts as a store whose creation was interrupted.
            Pointer::Missing if model.states.len() == 1 => (None, false),
            Pointer::Good if rules.loads(model.head) => (Some(model.head), false),
            Pointer::Good => (rules.recovered(Some(model.head)), true),
            Pointer::At(at) if !is_followed(at) && rules.loads(at) => (Some(at), false),
            Pointer::At(_) | Pointer::Damaged | Pointer::Missing => (rules.recovered(None), true),
        };
        let reachable = serving.map_or_else(BTreeSet::new, |serving| rules.reachable(serving));
        let readable = reachable.iter().copied().filter(|number| rules.loads(*number)).collect();
        Self { serving, degraded, readable, reachable }
    }
}
