//! What a power cut can leave on a disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use imbl::OrdMap;

use super::disk::{Data, Disk, Names, Node, ROOT, apply};
use super::outcome::{FileOutcome, outcomes};
use super::random::Random;

/// How many outcomes of the files are tried with each sample of the names.
const OUTCOMES_PER_SAMPLE: usize = 16;

/// One choice of an outcome for each undecided thing: first the changes of names, then the files.
pub(crate) type Choice = Vec<u8>;
type Content = (Arc<Vec<u8>>, [u8; 32]);

/// The moment of a power cut: what is undecided on a disk then.
#[derive(Debug)]
pub(crate) struct CrashPoint<'a> {
    disk: &'a Disk,
    seed: u64,
    /// The changes of names that may be lost, by their index in the list.
    changes: Vec<usize>,
    files: Vec<(Node, Vec<FileOutcome>)>,
    /// The places where each file and directory has, had or may have a name.
    places: HashMap<Node, Vec<(Node, Arc<str>)>>,
    contents: RefCell<BTreeMap<(Node, FileOutcome), Content>>,
}

/// What a power cut left on a disk.
#[derive(Clone, Debug)]
pub(crate) struct CrashImage {
    pub(crate) disk: Disk,
    /// Equal for two images with the same names and bytes. Notes in locks do not count.
    pub(crate) hash: [u8; 32],
}

impl<'a> CrashPoint<'a> {
    /// Cuts the power. The seed decides what garbage holds.
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

    /// The choice that loses everything that no fsync has promised.
    pub(crate) fn nothing_kept(&self) -> Choice {
        vec![0; self.changes.len() + self.files.len()]
    }

    /// All choices if there are at most `limit`, else `limit` samples. Among the samples are the
    /// choices that lose or keep everything, or all but one thing. The seed picks the rest. No two
    /// choices leave the same files under the same names.
    pub(crate) fn choices(&self, limit: u64) -> Vec<Choice> {
        self.every_way(limit).unwrap_or_else(|| self.samples(limit))
    }

    /// All choices if there are at most `limit`.
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

    /// The number of outcomes of each file, given which changes of names are kept. A file without a
    /// name has only one.
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

    /// Whether a directory is below the root, in at most `steps` steps. The bound is needed: when
    /// some renames of directories are kept and others are lost, two can be in each other.
    fn is_reached(&self, names: &OrdMap<Node, Names>, dir: Node, steps: usize) -> bool {
        let mut places = self.places.get(&dir).into_iter().flatten();
        let is_in = |(above, name): &(Node, Arc<str>)| {
            refers(names, *above, name, dir) && self.is_reached(names, *above, steps - 1)
        };
        dir == ROOT || (steps > 0 && places.any(is_in))
    }

    /// The names, given which changes are kept. The names of locks are not part of the choice.
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

    /// At most `limit` choices: those that lose or keep everything, or all but one thing, and
    /// others that the seed picks.
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
        // If these are too many, each is equally likely to be left out.
        while choices.len() > limit {
            let place = random.below(choices.len() as u64);
            choices.swap_remove(usize::try_from(place).unwrap_or(0));
        }
        let mut known: HashSet<Choice> = choices.iter().cloned().collect();
        for _ in 0..limit {
            if choices.len() >= limit {
                break;
            }
            // Mostly lost, mixed, or mostly kept.
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
            // The same names with several outcomes of the files.
            for _ in 0..OUTCOMES_PER_SAMPLE {
                let outcomes: Choice = radices.iter().map(&mut outcome).collect();
                let choice = [&*kept, &*outcomes].concat();
                if choices.len() < limit && known.insert(choice.clone()) {
                    choices.push(choice);
                }
            }
        }
        choices
    }

    /// The same choice, with the only outcome for files that have no name.
    fn canonical(&self, mut choice: Choice) -> Choice {
        let (kept, outcomes) = choice.split_at_mut(self.changes.len());
        for (outcome, radix) in outcomes.iter_mut().zip(self.radices(kept)) {
            *outcome = (*outcome).min(radix - 1);
        }
        choice
    }

    /// What the power cut leaves with this choice.
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
            crash_point: self,
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

    /// What an older file had in the blocks of a new one: the older file of the same length, or the
    /// next longer one.
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

/// What is left, as far as it can be reached from the root.
struct Left<'a> {
    crash_point: &'a CrashPoint<'a>,
    names: OrdMap<Node, Names>,
    outcomes: BTreeMap<Node, FileOutcome>,
    /// The outcome of the notes in locks. It is not part of the choice, as they mean nothing after
    /// a start.
    note: FileOutcome,
    files: OrdMap<Node, Data>,
    dirs: OrdMap<Node, Names>,
    hasher: blake3::Hasher,
}

impl Left<'_> {
    fn directory(&mut self, dir: Node) {
        let names = self.names.get(&dir).cloned().unwrap_or_default();
        for (name, node) in &names {
            if self.crash_point.disk.files.get(node).is_some_and(|data| data.is_note) {
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
        let (bytes, hash) = self.crash_point.content(node, outcome);
        if !is_note {
            self.hasher.update(b"f").update(&hash);
        }
        self.files.insert(node, Data::durable(bytes, is_note));
    }
}
