//! What a power cut can leave of a disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use imbl::OrdMap;

use super::disk::{Data, Disk, Names, Node, ROOT, apply};
use super::outcome::{FileOutcome, outcomes};
use super::random::Random;

/// How many ways in which files can be left are tried with each sample of what names are left.
const FATES: usize = 16;

/// One choice of what becomes of each thing that is undecided.
pub(crate) type Choice = Vec<u8>;
type Content = (Arc<Vec<u8>>, [u8; 32]);

/// The undecided things on a disk when the power is cut.
#[derive(Debug)]
pub(crate) struct CrashPoint<'a> {
    disk: &'a Disk,
    seed: u64,
    /// The changes of names that may be lost, by their place in the list.
    changes: Vec<usize>,
    files: Vec<(Node, Vec<FileOutcome>)>,
    /// Where each file and directory has, had or may have a name.
    places: HashMap<Node, Vec<(Node, Arc<str>)>>,
    contents: RefCell<BTreeMap<(Node, FileOutcome), Content>>,
}

/// What a power cut left.
#[derive(Clone, Debug)]
pub(crate) struct CrashImage {
    pub(crate) disk: Disk,
    /// Equal for two images that hold the same names and bytes, notes in locks left aside.
    pub(crate) hash: [u8; 32],
}

impl<'a> CrashPoint<'a> {
    /// Cuts the power. The seed decides what garbage is.
    pub(crate) fn new(disk: &'a Disk, seed: u64) -> Self {
        let undecided =
            disk.changes.iter().enumerate().filter(|(_, change)| !change.is_promised() && !change.is_note);
        let dirty = disk.files.iter().filter(|(_, data)| !data.written.is_empty() && !data.is_note);
        Self {
            disk,
            seed,
            changes: undecided.map(|(place, _)| place).collect(),
            files: dirty.map(|(node, data)| (*node, outcomes(data))).collect(),
            places: places(disk),
            contents: RefCell::default(),
        }
    }

    /// The way in which everything that no fsync has promised is lost.
    pub(crate) fn nothing_kept(&self) -> Choice {
        vec![0; self.changes.len() + self.files.len()]
    }

    /// All ways when there are at most `limit`; else that many, among them those in which everything or all but one
    /// thing is lost or kept, and the rest chosen by the seed. No two leave the same files under the same names.
    pub(crate) fn choices(&self, limit: u64) -> Vec<Choice> {
        self.every_way(limit).unwrap_or_else(|| self.samples(limit))
    }

    /// All ways when there are at most `limit`.
    pub(crate) fn every_way(&self, limit: u64) -> Option<Vec<Choice>> {
        let subsets =
            1_u64.checked_shl(u32::try_from(self.changes.len()).ok()?).filter(|all| *all <= limit)?;
        let mut choices = Vec::new();
        for subset in 0..subsets {
            let kept: Choice = (0..self.changes.len()).map(|bit| u8::from(subset >> bit & 1 == 1)).collect();
            let radices = self.radices(&kept);
            let ways = radices.iter().fold(1, |ways: u64, radix| ways.saturating_mul(u64::from(*radix)));
            if ways.saturating_add(choices.len() as u64) > limit {
                return None;
            }
            choices.extend((0..ways).map(|way| [&*kept, &*digits(way, &radices)].concat()));
        }
        Some(choices)
    }

    /// What can become of each file, given which changes of names are kept: of one that has no name, nothing.
    fn radices(&self, kept: &[u8]) -> Vec<u8> {
        let names = self.names(kept);
        let has_name = |node: Node| {
            let mut places = self.places.get(&node).into_iter().flatten();
            places.any(|(dir, name)| {
                refers(&names, *dir, name, node) && self.is_reached(&names, *dir, names.len())
            })
        };
        let radix = |(node, outcomes): &(Node, Vec<FileOutcome>)| {
            if has_name(*node) { u8::try_from(outcomes.len()).unwrap_or(u8::MAX) } else { 1 }
        };
        self.files.iter().map(radix).collect()
    }

    /// Whether a directory is below the root, in so many steps: where some renames of directories are kept and others are
    /// lost, two can be in each other.
    fn is_reached(&self, names: &OrdMap<Node, Names>, dir: Node, steps: usize) -> bool {
        let mut places = self.places.get(&dir).into_iter().flatten();
        let is_in = |(above, name): &(Node, Arc<str>)| {
            refers(names, *above, name, dir) && self.is_reached(names, *above, steps - 1)
        };
        dir == ROOT || (steps > 0 && places.any(is_in))
    }

    /// The names, given which changes of them are kept. Those of locks are no choice of their own.
    fn names(&self, kept: &[u8]) -> OrdMap<Node, Names> {
        let mut notes = Random::new(self.seed);
        let mut lost = self.changes.iter().zip(kept).filter(|(_, kept)| **kept == 0).map(|(place, _)| *place);
        let mut next_lost = lost.next();
        let mut names = self.disk.durable_dirs.clone();
        for (place, change) in self.disk.changes.iter().enumerate() {
            if next_lost == Some(place) {
                next_lost = lost.next();
            } else if !change.is_note || change.is_promised() || notes.below(2) == 0 {
                apply(&mut names, &change.sets);
            }
        }
        names
    }

    /// So many ways that the seed chooses, and those in which everything or all but one thing is lost or kept.
    pub(crate) fn samples(&self, limit: u64) -> Vec<Choice> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut random = Random::new(self.seed);
        let mut choices = HashSet::new();
        for base in 0..2 {
            let kept = vec![base; self.changes.len()];
            let digit = |radix: &u8| base.min(radix - 1);
            let all: Choice = kept.iter().copied().chain(self.radices(&kept).iter().map(digit)).collect();
            for place in 0..all.len() {
                let mut choice = all.clone();
                if let Some(digit) = choice.get_mut(place) {
                    *digit = 1 - *digit;
                }
                choices.insert(self.canonical(choice));
            }
            choices.insert(all);
        }
        let mut choices: Vec<Choice> = choices.into_iter().collect();
        choices.sort_unstable();
        // Where there are more of those than are wanted, each is as likely to be left out.
        while choices.len() > limit {
            let place = random.below(choices.len() as u64);
            choices.swap_remove(usize::try_from(place).unwrap_or(0));
        }
        let mut known: HashSet<Choice> = choices.iter().cloned().collect();
        for _ in 0..limit {
            if choices.len() >= limit {
                break;
            }
            // Mostly lost, mostly kept, and mixed.
            let weight = match random.below(3) {
                0 => 20,
                1 => 128,
                _ => 235,
            };
            let kept: Choice = self.changes.iter().map(|_| u8::from(random.below(256) < weight)).collect();
            let radices = self.radices(&kept);
            let mut outcome = |radix: &u8| match random.below(256) {
                _ if *radix == 1 => 0,
                roll if roll < weight => 1,
                _ => u8::try_from(random.below(u64::from(*radix))).unwrap_or(0),
            };
            // The same names with files in several states.
            for _ in 0..FATES {
                let outcomes: Choice = radices.iter().map(&mut outcome).collect();
                let choice = [&*kept, &*outcomes].concat();
                if choices.len() < limit && known.insert(choice.clone()) {
                    choices.push(choice);
                }
            }
        }
        choices
    }

    /// The same with nothing decided about files that have no name.
    fn canonical(&self, mut choice: Choice) -> Choice {
        let (kept, outcomes) = choice.split_at_mut(self.changes.len());
        for (outcome, radix) in outcomes.iter_mut().zip(self.radices(kept)) {
            *outcome = (*outcome).min(radix - 1);
        }
        choice
    }

    /// What the power cut leaves when everything is decided like this.
    pub(crate) fn image(&self, choice: &Choice) -> CrashImage {
        let (kept, outcomes) = choice.split_at(self.changes.len().min(choice.len()));
        let names = self.names(kept);
        let outcomes: BTreeMap<Node, FileOutcome> = self
            .files
            .iter()
            .zip(outcomes)
            .filter_map(|((node, outcomes), outcome)| Some((*node, *outcomes.get(usize::from(*outcome))?)))
            .collect();
        let note = match Random::new(self.seed).below(4) {
            0 => FileOutcome::Kept,
            1 => FileOutcome::Garbage,
            _ => FileOutcome::Dropped,
        };
        let mut left = Left {
            cut: self,
            names,
            outcomes,
            note,
            files: OrdMap::new(),
            dirs: OrdMap::new(),
            hasher: blake3::Hasher::new(),
        };
        left.directory(ROOT);
        let hash = left.hasher.finalize();
        CrashImage { disk: Disk::durable(left.files, left.dirs, self.disk.next()), hash: *hash.as_bytes() }
    }

    fn content(&self, node: Node, outcome: FileOutcome) -> Content {
        let mut contents = self.contents.borrow_mut();
        let content = contents.entry((node, outcome)).or_insert_with(|| {
            let bytes =
                self.disk.files.get(&node).map(|data| self.bytes(node, data, outcome)).unwrap_or_default();
            let hash = *blake3::hash(&bytes).as_bytes();
            (bytes, hash)
        });
        content.clone()
    }

    fn bytes(&self, node: Node, data: &Data, outcome: FileOutcome) -> Arc<Vec<u8>> {
        let seed = if data.is_note { 0 } else { self.seed ^ node.rotate_left(32) };
        outcome.bytes(data, self.older(node, data.now.len()).as_deref(), [seed, self.seed])
    }

    /// What an older file had in the blocks of a new one: that of the same length or the next longer one.
    fn older(&self, than: Node, length: usize) -> Option<Vec<u8>> {
        let older = self.disk.files.iter().filter(|(node, data)| **node < than && data.now.len() >= length);
        let nearest = older.min_by_key(|(node, data)| (data.now.len(), std::cmp::Reverse(**node)));
        Some(nearest?.1.now.get(..length)?.to_vec())
    }
}

fn refers(names: &OrdMap<Node, Names>, dir: Node, name: &str, node: Node) -> bool {
    names.get(&dir).and_then(|names| names.get(name)) == Some(&node)
}

fn places(disk: &Disk) -> HashMap<Node, Vec<(Node, Arc<str>)>> {
    let mut places: HashMap<Node, Vec<(Node, Arc<str>)>> = HashMap::new();
    for (dir, names) in &disk.durable_dirs {
        for (name, node) in names {
            places.entry(*node).or_default().push((*dir, Arc::clone(name)));
        }
    }
    for (dir, name, node) in disk.changes.iter().flat_map(|change| &change.sets) {
        if let Some(node) = node {
            places.entry(*node).or_default().push((*dir, Arc::clone(name)));
        }
    }
    places
}

fn digits(mut number: u64, radices: &[u8]) -> Choice {
    let digit = |radix: &u8| {
        let digit = number % u64::from(*radix);
        number /= u64::from(*radix);
        u8::try_from(digit).unwrap_or(0)
    };
    radices.iter().map(digit).collect()
}

/// What can be reached from the root.
struct Left<'a> {
    cut: &'a CrashPoint<'a>,
    names: OrdMap<Node, Names>,
    outcomes: BTreeMap<Node, FileOutcome>,
    /// What becomes of the notes in locks: not a choice of its own, as they mean nothing after a start.
    note: FileOutcome,
    files: OrdMap<Node, Data>,
    dirs: OrdMap<Node, Names>,
    hasher: blake3::Hasher,
}

impl Left<'_> {
    fn directory(&mut self, dir: Node) {
        let names = self.names.get(&dir).cloned().unwrap_or_default();
        for (name, node) in &names {
            if self.cut.disk.files.get(node).is_some_and(|data| data.is_note) {
                self.file(*node, true);
                continue;
            }
            self.hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            if self.names.contains_key(node) {
                self.hasher.update(b"d");
                self.directory(*node);
            } else {
                self.file(*node, false);
            }
        }
        self.hasher.update(&[0; 8]);
        self.dirs.insert(dir, names);
    }

    fn file(&mut self, node: Node, is_note: bool) {
        let outcome = if is_note {
            self.note
        } else {
            self.outcomes.get(&node).copied().unwrap_or(FileOutcome::Dropped)
        };
        let (bytes, hash) = self.cut.content(node, outcome);
        if !is_note {
            self.hasher.update(b"f").update(&hash);
        }
        self.files.insert(node, Data::durable(bytes, is_note));
    }
}
