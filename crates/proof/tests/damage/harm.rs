//! The ways to damage a store, one name at a time, and the list of all cases.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use genstore::Blake3;

use crate::expected::{Pointer, Ruins};
use crate::shape::{Disk, Shape, disk};
use crate::support::{Place, clear, contents, fifo, link, manifest_name, overwrite, unseal};

/// What is done to one name in a store.
#[derive(Clone)]
pub(crate) enum Harm {
    Flip {
        at: usize,
        bit: u8,
    },
    Cut(usize),
    Append(Vec<u8>),
    /// Other bytes under the same name. The text says whose they are.
    Bytes(String, Arc<Vec<u8>>),
    Delete,
    Directory,
    Fifo,
    /// Moved out of the store, and replaced by a link to the new place.
    LinkOutside,
    /// A link to something else in the store.
    LinkInside(String),
    LinkToItself,
    LinkNowhere,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip { at, bit } => write!(f, "bit {bit} of byte {at} flipped"),
            Self::Cut(length) => write!(f, "cut to {length} bytes"),
            Self::Append(bytes) => write!(f, "{} bytes appended", bytes.len()),
            Self::Bytes(whose, bytes) => write!(f, "replaced by {whose}, {} bytes", bytes.len()),
            Self::Delete => f.write_str("deleted"),
            Self::Directory => f.write_str("replaced by an empty directory"),
            Self::Fifo => f.write_str("replaced by a FIFO"),
            Self::LinkOutside => f.write_str("moved out and replaced by a link to it"),
            Self::LinkInside(name) => write!(f, "replaced by a link to {name}"),
            Self::LinkToItself => f.write_str("replaced by a link to itself"),
            Self::LinkNowhere => f.write_str("replaced by a link to nothing"),
        }
    }
}

/// One damage to one store.
#[derive(Clone)]
pub(crate) struct Case {
    /// The number of the store among the shapes.
    pub(crate) shape: usize,
    pub(crate) name: String,
    pub(crate) harm: Harm,
    /// Whether everything is checked. Else some checks take turns among cases of the same kind.
    pub(crate) is_deep: bool,
}

/// A copy of a store that is damaged and restored.
pub(crate) struct Patient {
    pub(crate) place: Place,
}

impl Patient {
    pub(crate) fn new(shape: &Shape) -> Self {
        let patient = Self { place: Place::quick() };
        write(&shape.disk, &patient.place.store());
        patient
    }

    /// Restores the whole copy.
    pub(crate) fn restore(&self, shape: &Shape) {
        clear(&self.place.path("outside"));
        let now = contents(&self.place.store());
        let is_as_it_was = !now.values().any(|(kind, _)| !matches!(*kind, "file" | "directory"))
            && disk(&self.place.store()) == shape.disk;
        if !is_as_it_was {
            clear(&self.place.store());
            write(&shape.disk, &self.place.store());
        }
    }

    /// Restores the names that one case touched.
    pub(crate) fn restore_touched(&self, shape: &Shape, case: &Case) {
        clear(&self.place.path("outside"));
        clear(&self.place.inside(&case.name));
        let below = format!("{}/", case.name);
        let touched = shape.disk.iter().filter(|(name, _)| **name == case.name || name.starts_with(&below));
        for (name, bytes) in touched {
            match bytes {
                None => fs::create_dir(self.place.inside(name)).unwrap(),
                Some(bytes) => fs::write(self.place.inside(name), &**bytes).unwrap(),
            }
        }
    }

    /// Does the harm, and notes what it broke. Gives whether it made a difference.
    pub(crate) fn harm(&self, shape: &Shape, case: &Case, ruins: &mut Ruins) -> bool {
        let Case { name, harm, .. } = case;
        let file = self.place.inside(name);
        let was = shape.disk[name].as_deref();
        let new = match (harm, was) {
            (Harm::Flip { at, bit }, Some(was)) => {
                let mut bytes = was.clone();
                bytes[*at] ^= 1 << bit;
                Some(bytes)
            }
            (Harm::Cut(length), Some(was)) => Some(was[..*length].to_vec()),
            (Harm::Append(more), Some(was)) => Some([was.as_slice(), more].concat()),
            (Harm::Bytes(_, bytes), _) => Some(bytes.to_vec()),
            _ => None,
        };
        if new.is_some() && new.as_ref() == was {
            return false;
        }
        if let Some(new) = &new {
            overwrite(&file, new);
        } else {
            self.replace(&file, harm);
        }
        let below = format!("{name}/");
        if was.is_none()
            && matches!(harm, Harm::Directory)
            && !shape.disk.keys().any(|name| name.starts_with(&below))
        {
            return false;
        }
        ruins
            .broken
            .extend(shape.files("").map(|(file, _)| file.clone()).filter(|file| file.starts_with(&below)));
        if was.is_some() {
            ruins.broken.insert(name.clone());
        }
        if name == "CURRENT" {
            note_pointer(shape, harm, new.as_ref(), ruins);
        }
        if name == "checkpoints" || name.starts_with("checkpoints/") {
            note_checkpoints(name, ruins);
        }
        true
    }

    fn replace(&self, file: &std::path::Path, harm: &Harm) {
        match harm {
            Harm::LinkOutside => {
                fs::rename(file, self.place.path("outside")).unwrap();
                link(file, &self.place.path("outside"));
            }
            Harm::LinkInside(other) => link(file, &self.place.inside(other)),
            Harm::LinkToItself => link(file, file),
            Harm::LinkNowhere => link(file, &PathBuf::from("nowhere")),
            Harm::Fifo => fifo(file),
            Harm::Directory => {
                clear(file);
                fs::create_dir(file).unwrap();
            }
            _ => clear(file),
        }
    }
}

fn write(disk: &Disk, dir: &std::path::Path) {
    fs::create_dir(dir).unwrap();
    for (name, bytes) in disk {
        match bytes {
            None => fs::create_dir(dir.join(name)).unwrap(),
            Some(bytes) => fs::write(dir.join(name), &**bytes).unwrap(),
        }
    }
}

/// Notes what the pointer says now.
fn note_pointer(shape: &Shape, harm: &Harm, new: Option<&Vec<u8>>, ruins: &mut Ruins) {
    let older = shape.pointers.iter().find(|(_, bytes)| Some(*bytes) == new).map(|(number, _)| *number);
    let begun = shape.disk.get("CURRENT.next").and_then(|bytes| bytes.as_deref());
    ruins.pointer = match harm {
        Harm::Delete => Pointer::Missing,
        _ if older.is_some() => Pointer::At(older.unwrap()),
        _ if begun.is_some() && begun == new => Pointer::At(shape.model.interrupted.unwrap()),
        Harm::Bytes(whose, bytes) if whose.starts_with("the one of a") => {
            // The pointer is well-formed, but it gives the newest manifests other hashes than they
            // have. It cannot be told which of the two is wrong.
            let stated = unseal(bytes);
            for link in [&stated, &stated["parent"]] {
                let Some(number) = link["generation"].as_u64() else { continue };
                let name = manifest_name(number);
                let own = shape.disk[&name].as_deref().map(|bytes| Blake3::of(bytes).to_string());
                if own.as_deref() != link["manifest"].as_str() {
                    ruins.broken.insert(name);
                }
            }
            Pointer::Good
        }
        _ => Pointer::Damaged,
    };
}

/// A checkpoint that has lost its name is no checkpoint, damaged or not.
fn note_checkpoints(name: &str, ruins: &mut Ruins) {
    ruins.checkpoints.retain(|number| {
        let own = crate::expected::checkpoint_name(*number);
        own != name && !own.starts_with(&format!("{name}/"))
    });
}

/// A store as it should be.
pub(crate) fn intact(shape: &Shape) -> Ruins {
    let numbers = shape.files("checkpoints/").map(|(name, _)| number_in(name));
    Ruins { pointer: Pointer::Good, broken: BTreeSet::new(), checkpoints: numbers.collect() }
}

/// The generation in the name of a manifest or a checkpoint.
pub(crate) fn number_in(name: &str) -> u64 {
    name.split(['/', '.']).nth(1).unwrap().parse().unwrap()
}

/// Why harm may go unnoticed. Harm that is not listed here must be noticed.
pub(crate) fn why_harmless(shape: &Shape, case: &Case, ruins: &Ruins) -> Option<&'static str> {
    let name = case.name.as_str();
    let is_of_interrupted = |number: u64| {
        let end = format!(".g{number}");
        let is_its = |name: &String| {
            *name == manifest_name(number) || (name.starts_with("data/") && name.ends_with(&end))
        };
        !ruins.broken.is_empty() && ruins.broken.iter().all(is_its)
    };
    let is_gone = matches!(case.harm, Harm::Delete | Harm::Directory);
    match ruins.pointer {
        Pointer::At(at) if shape.model.interrupted == Some(at) => {
            return Some(
                "CURRENT is the one of a commit in flight, which is whole: as if its writer had gone one step further",
            );
        }
        Pointer::At(at) if shape.model.parents.get(&shape.model.head) == Some(&at) => {
            return Some("CURRENT is one commit old: it looks like an interrupted commit");
        }
        _ => {}
    }
    if shape.model.interrupted.is_some_and(is_of_interrupted) {
        return Some("part of a commit that was never committed: never read while the pointer is good");
    }
    match name {
        "CURRENT.next" => {
            Some("CURRENT.next of an interrupted commit: never read, replaced by the next commit")
        }
        "locks/writer" => Some("the note in the writer lock: believed only within limits"),
        "locks" | "staging" | "quarantine" | "checkpoints" if is_gone => {
            Some("a directory that is created again when needed")
        }
        "data" if is_gone && ruins.broken.is_empty() => Some("a directory that is created again when needed"),
        "data" | "manifests" | "checkpoints" | "staging" | "quarantine" | "locks" => None,
        _ if name.starts_with("checkpoints/") && matches!(case.harm, Harm::Delete) => {
            Some("a missing checkpoint: it is derived")
        }
        _ => None,
    }
}

/// The metadata, sorted by name.
fn metadata(shape: &Shape) -> Vec<&String> {
    shape
        .files("")
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("data/") && !name.starts_with("locks/"))
        .collect()
}

/// Every damage to every store. With `is_long`, every bit of the newest metadata is flipped. Else
/// one bit stands for its byte.
pub(crate) fn cases(shapes: &[Shape], is_long: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape_number, shape) in shapes.iter().enumerate() {
        let mut add = |name: &str, harm: Harm, is_deep: bool| {
            cases.push(Case { shape: shape_number, name: name.to_owned(), harm, is_deep });
        };
        bits_and_lengths(shape, is_long || shape.is_every_bit, &mut add);
        for (name, bytes) in shape.files("") {
            whole(shape, name, bytes, &mut add);
        }
        directories(shape, &mut add);
    }
    cases
}

/// One in this many light cases checks everything.
const DEEP_EVERY: usize = 97;
/// The length of the line with the checksum.
const SUM_LINE: usize = 25;
/// The distance between damaged places of a data file.
const DATA_STEP: usize = 512;

fn bits_and_lengths(shape: &Shape, is_every: bool, add: &mut dyn FnMut(&str, Harm, bool)) {
    let head = shape.model.head;
    let newest = [
        Some("CURRENT".to_owned()),
        Some(manifest_name(head)),
        shape.model.parents.get(&head).map(|parent| manifest_name(*parent)),
        shape.files("checkpoints/").last().map(|(name, _)| name.clone()),
    ];
    let mut light = 0;
    let mut add_light = |name: &str, harm: Harm| {
        light += 1;
        add(name, harm, light % DEEP_EVERY == 0);
    };
    for name in metadata(shape) {
        let bytes = shape.disk[name].as_ref().unwrap();
        let is_newest = newest.iter().flatten().any(|newest| newest == name);
        let last_line = bytes.len().saturating_sub(SUM_LINE);
        let first_line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let is_frame = |at| name.starts_with("checkpoints/") && (at <= first_line || at >= last_line);
        for at in 0..bytes.len() {
            // If not every bit is tried, one bit stands for one or more bytes. The shape with
            // `is_every_bit` tries their like in full.
            let step = if name.starts_with("checkpoints/") {
                1
            } else if is_newest {
                3
            } else {
                27
            };
            let is_turn = |bit: u8| usize::from(bit) == at / step % 8 && at % step == 0;
            let is_every_bit = is_newest && (is_every || is_frame(at));
            for bit in (0..8_u8).filter(|bit| is_every_bit || is_turn(*bit)) {
                add_light(name, Harm::Flip { at, bit });
            }
            if is_every || is_frame(at) || at % 19 == 0 {
                add_light(name, Harm::Cut(at));
            }
        }
    }
    for (name, bytes) in shape.files("data/") {
        let places = (0..bytes.len()).step_by(DATA_STEP);
        for at in places.clone().chain(bytes.len().checked_sub(1)) {
            add(name, Harm::Flip { at, bit: (at / DATA_STEP % 8) as u8 }, at % (DATA_STEP * 16) == 0);
        }
        for length in places.chain(bytes.len().checked_sub(1)) {
            add(name, Harm::Cut(length), length % (DATA_STEP * 16) == 0);
        }
    }
    for (name, bytes) in shape.files("") {
        for more in [b"\n", b"\0", b"x", bytes.as_slice()] {
            add(name, Harm::Append(more.into()), more == b"\n");
        }
    }
}

/// Everything that can stand in place of a file.
fn whole(shape: &Shape, name: &str, bytes: &[u8], add: &mut dyn FnMut(&str, Harm, bool)) {
    let class = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let others: Vec<_> = shape.files("").filter(|(other, _)| *other != name).collect();
    // The newest of each kind stands for its kind.
    let is_last = shape.files(&class(name)).last().is_some_and(|(last, _)| last == name);
    add(name, Harm::Delete, true);
    for harm in [Harm::Directory, Harm::Fifo, Harm::LinkOutside, Harm::LinkToItself, Harm::LinkNowhere] {
        add(name, harm, is_last);
    }
    add(name, Harm::Bytes("nothing".into(), Arc::default()), is_last);
    add(name, Harm::Bytes("NUL bytes".into(), Arc::new(vec![0; bytes.len()])), true);
    let mut classes = BTreeSet::new();
    for (other, content) in others {
        let is_alike = class(other) == class(name);
        // One file of every other kind is enough.
        if is_alike || classes.insert(class(other)) {
            add(name, Harm::Bytes(other.clone(), Arc::clone(content)), false);
            add(name, Harm::LinkInside(other.clone()), false);
        }
    }
    if name == "CURRENT" {
        for (number, older) in &shape.pointers {
            add(name, Harm::Bytes(format!("its own at generation {number}"), Arc::new(older.clone())), true);
        }
    }
    for (whose, _, foreign) in shape.foreign.iter().filter(|(_, theirs, _)| theirs == name) {
        add(name, Harm::Bytes((*whose).into(), Arc::new(foreign.clone())), true);
    }
}

fn directories(shape: &Shape, add: &mut dyn FnMut(&str, Harm, bool)) {
    for name in shape.disk.iter().filter(|(_, bytes)| bytes.is_none()).map(|(name, _)| name) {
        let other = if name == "data" { "manifests" } else { "data" };
        for harm in [
            Harm::Delete,
            Harm::Directory,
            Harm::Fifo,
            Harm::LinkOutside,
            Harm::LinkInside(other.into()),
            Harm::LinkToItself,
            Harm::LinkNowhere,
            Harm::Bytes("a file".into(), Arc::new(b"a file".to_vec())),
        ] {
            add(name, harm, true);
        }
    }
}
