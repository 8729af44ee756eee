//! The commit protocol: every barrier is in [`swap`]. `docs/durability.md` says why each is there.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

use super::load::{self, Fault};
use super::lock::Writer;
use super::table::Table;
use super::{Engine, Head, folders};
use crate::error::{Error, Problem, Result};
use crate::format::FormatError;
use crate::format::entry::Entry;
use crate::format::json::Extra;
use crate::format::manifest::{Change, GenerationKind, Manifest};
use crate::format::names::Name;
use crate::format::pointer::{Link, Pointer};
use crate::hash::{Blake3, StoreId};
use crate::path::StorePath;
use crate::revision::Generation;
use crate::storage::{Round, Storage};

/// The most numbers that one commit finds taken before it gives up.
const NUMBERS_MAX: u32 = 10_000;

/// Where the bytes of a file are until it is saved.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory: they are few.
    Inline(Vec<u8>),
    /// In a staging file that has been flushed.
    Staged(Name),
}

/// One change that is to be made.
#[derive(Debug)]
pub(crate) enum Planned {
    /// New bytes.
    Write {
        bytes: u64,
        blake3: Blake3,
        content: Content,
    },
    /// Bytes that an earlier generation wrote.
    Link(Entry),
    Remove,
}

/// Everything about a generation but its number and its time.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: GenerationKind,
    pub(crate) author: String,
    pub(crate) message: String,
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) restores: Option<Generation>,
    pub(crate) changes: BTreeMap<StorePath, Planned>,
}

/// How far an attempt came before it failed.
enum Failure {
    /// A name of this number is taken: another number will do.
    Taken,
    /// Nothing is visible, and what was written has been removed.
    Before(Error),
    /// The pointer may have been swapped, durably or not: nothing may be deleted.
    After { step: &'static str, source: io::Error },
}

/// Makes `draft` the next generation after `head`, or the first generation of the store `id`.
///
/// # Errors
/// Of kind `CommitOutcomeUnknown`, and the handle is poisoned, once the pointer may have been swapped. Otherwise
/// nothing was saved.
pub(crate) fn publish(
    engine: &Engine,
    writer: &Writer,
    id: StoreId,
    head: Option<&Head>,
    draft: &Draft,
) -> Result<Head> {
    let storage = engine.storage();
    let mut number = writer.next_number(storage, head.map(|head| head.link.generation))?;
    for _ in 0..NUMBERS_MAX {
        let (manifest, table) = draft.manifest(number, id, head, storage)?;
        let bytes = encode(&manifest)?;
        writer.take_number(storage, number)?;
        let link = Link { generation: number, manifest: Blake3::of(&bytes) };
        let pointer = Pointer::new(
            link,
            manifest.parent,
            head.map_or_else(Extra::new, |head| head.pointer_extra.clone()),
        );
        let in_doubt = head.filter(|_| !writer.is_sure());
        match attempt(engine, in_doubt, link, &bytes, &pointer, draft) {
            Ok(()) => {
                writer.note_published(storage, number, head.is_none());
                let cost = head.map_or(0, |head| head.cost) + super::checkpoint::cost(manifest.changes.len());
                let checkpoint = head.and_then(|head| head.checkpoint);
                let (time, message) = (manifest.time, manifest.message);
                return Ok(Head {
                    link,
                    time,
                    message,
                    table,
                    cost,
                    checkpoint,
                    pointer_extra: pointer.extra,
                    recovery: None,
                });
            }
            Err(Failure::Taken) => number = number.next().ok_or_else(|| taken(number))?,
            Err(failure) => return Err(failure.into_error(engine, number)),
        }
    }
    Err(taken(number))
}

/// Makes the pointer to the head durable, so that what it names may be acknowledged and built on.
///
/// The pointer is written and swapped in once more. To flush the directory again would prove nothing: after a flush
/// that failed the system may take the name for written that it has dropped. Only under the writer lock, as an older
/// pointer must never replace a newer one.
///
/// # Errors
/// As [`publish`].
pub(crate) fn settle(engine: &Engine, _: &Writer, head: &Head) -> Result<()> {
    let storage = engine.storage();
    let pointer = load::pointer(storage).map_err(Fault::into_error)?;
    if pointer.head != head.link {
        return Err(Problem::HistoryReplaced { known: head.link.generation }.into());
    }
    let swapped = storage
        .round()
        .map_err(|error| not_written("cannot begin to write", error))
        .and_then(|mut round| swap(engine, &mut *round, |round| write_pointer(storage, round, &pointer)));
    swapped.map_err(|failure| failure.into_error(engine, head.link.generation))
}

impl Failure {
    /// The public form. Poisons the handle when nobody can say what became of `generation`.
    fn into_error(self, engine: &Engine, generation: Generation) -> Error {
        match self {
            Self::Taken => taken(generation),
            Self::Before(error) => error,
            Self::After { step, source } => {
                engine.poison().set(generation);
                Problem::OutcomeUnknown { generation, step, source }.into()
            }
        }
    }
}

/// Makes one generation durable and visible, or fails. With the head, if folders may be there that do not last.
fn attempt(
    engine: &Engine,
    in_doubt: Option<&Head>,
    link: Link,
    manifest: &[u8],
    pointer: &Pointer,
    draft: &Draft,
) -> Result<(), Failure> {
    let storage = engine.storage();
    let mut round = storage.round().map_err(|error| not_written("cannot begin to write", error))?;
    swap(engine, &mut *round, |round| {
        if let Some(head) = in_doubt {
            folders::renew(engine, head, draft, round).map_err(Failure::Before)?;
        }
        write(storage, round, link, manifest, pointer, draft)
    })
}

/// Writes with `write`, and then swaps the pointer that it has written. Every barrier is here.
fn swap(
    engine: &Engine,
    round: &mut dyn Round,
    write: impl FnOnce(&mut dyn Round) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let storage = engine.storage();
    // Barrier 1: everything that the pointer will lead to, and the pointer under another name, is durable.
    let written = write(round)
        .and_then(|()| round.flush().map_err(|error| not_written("cannot flush", error)))
        .and_then(|()| engine.check_cancel().map_err(Failure::Before));
    if let Err(failure) = written {
        // A number that is taken shows by the name that takes it.
        round.discard(!matches!(failure, Failure::Taken));
        return Err(failure);
    }
    // From here on nothing is deleted: what follows may have happened although it reports a failure.
    storage.swap_pointer().map_err(|source| Failure::After { step: "the rename of the pointer", source })?;
    // Barrier 2: the pointer is durable under its own name.
    storage
        .flush_pointer()
        .map_err(|source| Failure::After { step: "the flush after the rename of the pointer", source })
}

/// Writes everything that a generation consists of. The manifest comes first: its name takes the number.
fn write(
    storage: &dyn Storage,
    round: &mut dyn Round,
    link: Link,
    manifest: &[u8],
    pointer: &Pointer,
    draft: &Draft,
) -> Result<(), Failure> {
    round
        .put(&Name::Manifest(link.generation), manifest)
        .map_err(|error| taken_or(error, &Name::Manifest(link.generation)))?;
    for (path, planned) in &draft.changes {
        let Planned::Write { content, .. } = planned else { continue };
        let name = Name::Data(path.clone(), link.generation);
        match content {
            Content::Inline(bytes) => round.put(&name, bytes),
            Content::Staged(staged) => round.adopt(staged, &name),
        }
        .map_err(|error| taken_or(error, &name))?;
    }
    write_pointer(storage, round, pointer)
}

/// Writes the pointer under its other name.
fn write_pointer(storage: &dyn Storage, round: &mut dyn Round, pointer: &Pointer) -> Result<(), Failure> {
    // A crash may have left one. The save that it belonged to is known by its manifest.
    match storage.delete(&Name::NextPointer) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::Before(Error::io("cannot remove", Name::NextPointer.to_string(), error)));
        }
        _ => {}
    }
    let bytes = pointer.encode().map_err(|error| Failure::Before(unwritable(&error)))?;
    if Pointer::decode(&bytes).as_ref() != Ok(pointer) {
        return Err(Failure::Before(unwritable(&FormatError::rule(
            "its pointer does not read back as it was",
        ))));
    }
    let failed = |error| Failure::Before(Error::io("cannot write", Name::NextPointer.to_string(), error));
    round.put(&Name::NextPointer, &bytes).map_err(failed)
}

fn taken_or(error: io::Error, name: &Name) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::Taken,
        _ => Failure::Before(Error::io("cannot write", name.to_string(), error)),
    }
}

fn not_written(action: &'static str, error: io::Error) -> Failure {
    Failure::Before(Error::io(action, "the new generation", error))
}

fn taken(number: Generation) -> Error {
    Problem::Limit { what: "this save".into(), rule: format!("every number up to {number} is taken") }.into()
}

fn unwritable(error: &FormatError) -> Error {
    let rule = match error {
        FormatError::Rule(rule) => rule.clone(),
        other => other.to_string(),
    };
    Problem::Limit { what: "this save".into(), rule }.into()
}

/// The bytes of a manifest, once they are known to read back as what they were made from.
fn encode(manifest: &Manifest) -> Result<Vec<u8>> {
    manifest.check().map_err(|error| unwritable(&error))?;
    let bytes = manifest.encode().map_err(|error| unwritable(&error))?;
    match Manifest::decode(&bytes) {
        Ok(read) if read == *manifest => Ok(bytes),
        Ok(_) => Err(unwritable(&FormatError::rule("its manifest does not read back as it was"))),
        Err(error) => Err(unwritable(&error)),
    }
}

impl Draft {
    /// The manifest and the table of this generation under a number.
    fn manifest(
        &self,
        generation: Generation,
        store: StoreId,
        head: Option<&Head>,
        storage: &dyn Storage,
    ) -> Result<(Manifest, Table)> {
        let changes: Vec<Change> =
            self.changes.iter().map(|(path, planned)| planned.change(path, generation)).collect();
        let table = head.map_or_else(Table::default, |head| head.table.clone()).check(&changes)?;
        // A clock that went backwards must not make a generation look older than the one before it.
        let now = storage.system().now();
        let manifest = Manifest {
            store,
            generation,
            parent: head.map(|head| head.link),
            kind: self.kind,
            time: head.map_or(now, |head| now.max(head.time)),
            author: self.author.clone(),
            message: self.message.clone(),
            metadata: self.metadata.clone(),
            restores: self.restores,
            files: table.files(),
            bytes: table.bytes(),
            changes,
            extra: Extra::new(),
        };
        Ok((manifest, table))
    }
}

impl Planned {
    fn change(&self, path: &StorePath, generation: Generation) -> Change {
        match self {
            Self::Remove => Change::Remove(path.clone()),
            Self::Link(entry) => Change::Put(entry.clone()),
            Self::Write { bytes, blake3, .. } => Change::Put(Entry {
                path: path.clone(),
                generation,
                bytes: *bytes,
                blake3: *blake3,
                stored_as: None,
            }),
        }
    }
}
