//! Builds the directory of a hostile store from the bytes of a fuzzer. Some of it is what a writer
//! would leave, with right hashes and checksums. Some of it is lies.
//!
//! The bytes are a sequence of steps. Unless a step says otherwise, the generations form a chain
//! that can be read from end to end.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};

use super::disk::Disk;
use super::documents::seal;
use super::reader::fold;
use crate::format::checkpoint::{self, Header};
use crate::format::entry::Entry;
use crate::format::json::Extra;
use crate::format::manifest::{Change, GenerationKind, Manifest};
use crate::format::names::Name;
use crate::format::pointer::{ManifestRef, Pointer};
use crate::hash::{Blake3, StoreId};
use crate::path::StorePath;
use crate::revision::Generation;

/// The most steps.
const STEPS_MAX: usize = 48;
/// The paths to write. Some are twins, some are directories of others.
const PATHS: [&str; 14] =
    ["a", "A", "a/b", "a/B", "b", "c/d/e", "c/d", "ä", "Ä", "x y", "a!", "é/ß", "ſ", "s"];
/// The wrong numbers that a lie may name.
const NUMBERS: [u64; 6] = [1, 2, 3, 1_000_003, 9_999_999_998, 9_999_999_999];

/// One generation that was built.
struct Built {
    link: ManifestRef,
    table: BTreeMap<String, Entry>,
}

struct Builder<'a, 'b> {
    disk: &'a Disk,
    input: Unstructured<'b>,
    built: Vec<Built>,
    has_pointer: bool,
}

/// Builds the store that the bytes describe. Any bytes describe one.
pub(super) fn build(disk: &Disk, bytes: &[u8]) {
    let mut builder =
        Builder { disk, input: Unstructured::new(bytes), built: Vec::new(), has_pointer: false };
    for _ in 0..STEPS_MAX {
        if builder.input.is_empty() || builder.step().is_err() {
            break;
        }
    }
    if let Some(last) = builder.built.last().filter(|_| !builder.has_pointer) {
        let parent = builder.built.iter().rev().nth(1).map(|built| built.link);
        disk.write("CURRENT", &Pointer::new(last.link, parent, Extra::new()).encode().unwrap());
    }
}

impl Builder<'_, '_> {
    fn byte(&mut self) -> Result<u8> {
        self.input.arbitrary()
    }

    fn step(&mut self) -> Result<()> {
        match self.byte()? % 10 {
            0..=2 => self.generation(),
            3 => {
                let name = self.name()?;
                let bytes = self.bytes()?;
                self.disk.write(&name, &bytes);
                Ok(())
            }
            4 => {
                let name = self.name()?;
                let mut bytes = self.bytes()?;
                bytes.push(b'\n');
                self.disk.write(&name, &seal(bytes));
                Ok(())
            }
            5 => self.damage(),
            6 => self.pointer(),
            7 => self.checkpoint(),
            8 => self.note(),
            _ => {
                let name = self.name()?;
                if self.byte()? % 2 == 0 {
                    self.disk.remove(&name);
                } else {
                    self.disk.remove(&name);
                    self.disk.create_dirs(&name);
                }
                Ok(())
            }
        }
    }

    /// Bytes of the input, after their length.
    fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = usize::from(self.input.arbitrary::<u16>()?).min(self.input.len());
        Ok(self.input.bytes(length)?.to_vec())
    }

    fn path(&mut self) -> Result<StorePath> {
        Ok(StorePath::new(PATHS[usize::from(self.byte()?) % PATHS.len()]).unwrap())
    }

    /// The number of a generation that was built, or a number that may cause trouble.
    fn number(&mut self) -> Result<Generation> {
        let choice = usize::from(self.byte()?);
        let number = match self.built.get(choice % (self.built.len() + NUMBERS.len())) {
            Some(built) => return Ok(built.link.generation),
            None => NUMBERS[choice % NUMBERS.len()],
        };
        Ok(Generation::new(number).unwrap())
    }

    /// A link to a generation that was built, or one with another hash or number.
    fn link(&mut self) -> Result<ManifestRef> {
        let generation = self.number()?;
        let is_right = self.byte()? % 4;
        let known = self.built.iter().rev().find(|built| built.link.generation == generation);
        let manifest = match (is_right, known) {
            (1..=3, Some(built)) => built.link.manifest,
            _ => Blake3::of(b"another manifest"),
        };
        Ok(ManifestRef { generation, manifest })
    }

    fn name(&mut self) -> Result<String> {
        let name = match self.byte()? % 9 {
            0 => Name::Pointer,
            1 => Name::NextPointer,
            2 => Name::Manifest(self.number()?),
            3 => Name::Checkpoint(self.number()?),
            4 => Name::Data(self.path()?, self.number()?),
            5 => Name::Staged(u64::from(self.byte()?)),
            6 => Name::WriterLock,
            7 => match self.number()? {
                even if even.get().is_multiple_of(2) => Name::Pin(even),
                odd => Name::Used(odd),
            },
            _ => {
                let names =
                    ["manifests", "data", "data/a", "checkpoints", "staging", "locks", "other", "data/a.g"];
                return Ok(names[usize::from(self.byte()?) % names.len()].to_owned());
            }
        };
        if name == Name::Pointer {
            self.has_pointer = true;
        }
        Ok(name.to_string())
    }

    /// Replaces a piece of a document with a piece of the input, and corrects the checksum.
    fn edit(&mut self, document: &[u8]) -> Result<Vec<u8>> {
        let body = &document[..document.len() - 25];
        let at = usize::from(self.input.arbitrary::<u16>()?) % body.len();
        let end = (at + usize::from(self.byte()?)).min(body.len());
        let length = usize::from(self.byte()?).min(self.input.len());
        let mut edited = [&body[..at], self.input.bytes(length)?, &body[end..]].concat();
        if edited.last() != Some(&b'\n') {
            edited.push(b'\n');
        }
        Ok(seal(edited))
    }

    /// Adds a generation: its manifest, and the files that it wrote.
    fn generation(&mut self) -> Result<()> {
        let lies = self.byte()?;
        let more = self.byte()?;
        let head = self.built.last().map(|built| built.link);
        let mut table = self.built.last().map(|built| built.table.clone()).unwrap_or_default();
        let number = match head {
            _ if lies & 1 != 0 => self.number()?,
            None => Generation::FIRST,
            Some(head) => head.generation.next().unwrap_or(head.generation),
        };
        let mut changes: Vec<Change> = Vec::new();
        for _ in 0..more % 6 {
            let change = self.change(number, &table)?;
            changes.push(change);
        }
        if lies & 2 == 0 {
            changes.sort_by(|one, two| one.path().cmp(two.path()));
            changes.dedup_by(|one, two| one.path() == two.path());
        }
        for change in &changes {
            match change {
                Change::Put(entry) => table.insert(entry.path.to_string(), entry.clone()),
                Change::Remove(path) => table.remove(path.as_str()),
            };
        }
        let (mut files, mut bytes) = totals(table.values());
        if lies & 4 != 0 {
            // A reader that does not look for twins would count this.
            let kept: BTreeMap<String, &Entry> =
                table.values().map(|entry| (fold(entry.path.as_str()), entry)).collect();
            (files, bytes) = totals(kept.into_values());
        }
        if lies & 8 != 0 {
            files = files.wrapping_add(u64::from(self.byte()?));
            bytes = bytes.wrapping_sub(u64::from(self.byte()?));
        }
        let manifest = Manifest {
            store: StoreId::from_bytes([if lies & 16 == 0 { 7 } else { self.byte()? }; 16]),
            generation: number,
            parent: if lies & 32 == 0 { head } else { Some(self.link()?) },
            kind: if more & 64 == 0 { GenerationKind::Commit } else { GenerationKind::Rollback },
            time: "2026-11-22T10:00:00Z".parse().unwrap(),
            author: "ann".into(),
            message: "hostile".into(),
            metadata: BTreeMap::new(),
            restores: if more & 64 == 0 { None } else { Some(self.number()?) },
            files,
            bytes,
            changes,
            extra: Extra::new(),
        };
        let mut document = manifest.encode().unwrap();
        if lies & 64 != 0 {
            document = self.edit(&document)?;
        }
        self.disk.write(&Name::Manifest(number).to_string(), &document);
        let link = ManifestRef { generation: number, manifest: Blake3::of(&document) };
        // Without this the generation is an interrupted commit, or a second history.
        if lies & 128 == 0 {
            self.built.push(Built { link, table });
        }
        Ok(())
    }

    fn change(&mut self, number: Generation, table: &BTreeMap<String, Entry>) -> Result<Change> {
        let kind = self.byte()?;
        let path = self.path()?;
        let fill = self.byte()?;
        let content = vec![fill; usize::from(fill % 40)];
        let mut entry = Entry {
            path: path.clone(),
            generation: number,
            bytes: content.len() as u64,
            blake3: Blake3::of(&content),
            stored_as: None,
        };
        match kind % 8 {
            0 => return Ok(Change::Remove(path)),
            1 => {
                // A rename, or a file that a rollback restores.
                if let Some(known) = table.values().nth(usize::from(fill) % table.len().max(1)) {
                    return Ok(Change::Put(known.renamed(path)));
                }
            }
            2 => {
                let known = self.built.iter().rev().find_map(|built| built.table.get(path.as_str()));
                return Ok(known.cloned().map_or(Change::Remove(path), Change::Put));
            }
            3 => entry.generation = self.number()?,
            4 => entry.stored_as = Some(self.path()?),
            5 => {
                entry.bytes = [u64::MAX, 1 << 63, (1 << 63) - 1, 0, 41][usize::from(fill) % 5];
            }
            6 => entry.blake3 = Blake3::of(b"other bytes"),
            _ => {}
        }
        let stored = entry.stored_path().clone();
        self.disk.write(&Name::Data(stored, entry.generation).to_string(), &content);
        Ok(Change::Put(entry))
    }

    fn pointer(&mut self) -> Result<()> {
        let lies = self.byte()?;
        let head = self.link()?;
        let parent = if lies & 1 == 0 { None } else { Some(self.link()?) };
        let extra = if lies & 2 == 0 {
            Extra::new()
        } else {
            Extra::from([("later".to_owned(), json!({"x": [1.5]}))])
        };
        let mut document = Pointer::new(head, parent, extra).encode().unwrap();
        if lies & 4 != 0 {
            document = self.edit(&document)?;
        }
        self.has_pointer = true;
        self.disk.write("CURRENT", &document);
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<()> {
        let lies = self.byte()?;
        let at = usize::from(self.byte()?);
        let Some(built) = self.built.get(at % self.built.len().max(1)) else { return Ok(()) };
        let mut link = built.link;
        let mut entries = built.table.clone();
        if lies & 1 != 0 {
            link = self.link()?;
        }
        if lies & 2 != 0 {
            let entry = Change::Put(Entry {
                path: self.path()?,
                generation: self.number()?,
                bytes: u64::from(self.byte()?),
                blake3: Blake3::of(b"planted"),
                stored_as: None,
            });
            if let Change::Put(entry) = entry {
                entries.insert(entry.path.to_string(), entry);
            }
        }
        let (files, bytes) = totals(entries.values());
        let store = StoreId::from_bytes([if lies & 4 == 0 { 7 } else { 8 }; 16]);
        let mut document = Vec::new();
        checkpoint::write(&mut document, &Header::new(store, link, files, bytes), entries.values()).unwrap();
        if lies & 8 != 0 {
            document = self.edit(&document)?;
        }
        self.disk.write(&Name::Checkpoint(link.generation).to_string(), &document);
        Ok(())
    }

    /// Flips a bit of a file, or cuts the file.
    fn damage(&mut self) -> Result<()> {
        let name = self.name()?;
        let how = self.byte()?;
        let at = usize::from(self.byte()?);
        let Some(mut bytes) = self.disk.tree().remove(&name).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        let at = at % bytes.len();
        match how % 9 {
            8 => bytes.truncate(at),
            bit => bytes[at] ^= 1 << bit,
        }
        self.disk.write(&name, &bytes);
        Ok(())
    }

    /// Writes a note into the writer lock, as an earlier holder in the same boot would have.
    fn note(&mut self) -> Result<()> {
        let lies = self.byte()?;
        let mut note = json!({"pid": 1, "program": "x", "host": "y", "since": "2026-11-22T10:00:00Z"});
        note["boot"] = if lies & 1 == 0 { json!(self.disk.boot()) } else { Value::from("another") };
        note["next"] = json!(self.number()?);
        note["settled"] = json!(self.number()?);
        let mut bytes = serde_json::to_vec(&note).unwrap();
        if lies & 2 != 0 {
            bytes.resize(bytes.len() + usize::from(self.input.arbitrary::<u16>()?), b' ');
        }
        self.disk.write("locks/writer", &bytes);
        Ok(())
    }
}

fn totals<'a>(entries: impl Iterator<Item = &'a Entry>) -> (u64, u64) {
    entries.fold((0, 0), |(files, bytes): (u64, u64), entry| (files + 1, bytes.wrapping_add(entry.bytes)))
}
