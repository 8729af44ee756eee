//! The commit protocol: every barrier is in [`commit_batch`]. `docs/durability.md` says why each is there.

use std::io;

use super::changeset::{Content, Draft, Planned};
use super::handle::Options;
use super::head::Head;
use super::lock::Writer;
use super::read::{self, Fault};
use super::replay::cost;
use super::table::Table;
use crate::error::{Error, Operation, Problem, Result};
use crate::format::FormatError;
use crate::format::json::Extra;
use crate::format::manifest::Manifest;
use crate::format::names::Name;
use crate::format::pointer::{Link, Pointer};
use crate::hash::{Blake3, StoreId};
use crate::revision::Generation;
use crate::storage::{Round, Storage};

/// The most numbers that one commit finds taken before it gives up.
const NUMBERS_MAX: u32 = 10_000;

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
/// Of kind `CommitOutcomeUnknown` once the pointer may have been swapped: a handle is to be poisoned then. Otherwise
/// nothing was saved.
pub(crate) fn publish(
    storage: &dyn Storage,
    options: &Options,
    writer: &Writer,
    id: StoreId,
    head: Option<&Head>,
    draft: &Draft,
) -> Result<Head> {
    let mut number = writer.next_number(storage, head.map(|head| head.link.generation))?;
    for _ in 0..NUMBERS_MAX {
        let (manifest, table) = manifest_of(draft, number, id, head, storage)?;
        let bytes = encode(&manifest)?;
        writer.take_number(storage, number)?;
        let link = Link { generation: number, manifest: Blake3::of(&bytes) };
        let pointer = Pointer::new(
            link,
            manifest.parent,
            head.map_or_else(Extra::new, |head| head.pointer_extra.clone()),
        );
        let expected = head.map(|head| head.link);
        let attempt =
            commit_batch(storage, options, expected, &pointer, |round| write(round, number, &bytes, draft));
        match attempt {
            Ok(()) => {
                writer.note_published(storage, number);
                let cost = head.map_or(0, |head| head.cost) + cost(manifest.changes.len());
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
            Err(failure) => return Err(failure.into_error(number)),
        }
    }
    Err(taken(number))
}

/// Makes the pointer to the head durable, so that what it names may be acknowledged and built on.
///
/// The pointer is written and swapped in once more. Only under the writer lock, as an older pointer must never replace
/// a newer one.
///
/// # Errors
/// As [`publish`].
pub(crate) fn settle(storage: &dyn Storage, options: &Options, _: &Writer, head: &Head) -> Result<()> {
    let pointer = read::pointer(storage).map_err(Fault::into_error)?;
    if pointer.head != head.link {
        return Err(Problem::HistoryReplaced { known: head.link.generation }.into());
    }
    commit_batch(storage, options, Some(head.link), &pointer, |_| Ok(()))
        .map_err(|failure| failure.into_error(head.link.generation))
}

impl Failure {
    /// The public form.
    fn into_error(self, generation: Generation) -> Error {
        match self {
            Self::Taken => taken(generation),
            Self::Before(error) => error,
            Self::After { step, source } => Problem::OutcomeUnknown { generation, step, source }.into(),
        }
    }
}

/// Writes with `write`, and then replaces the pointer to `expected` with `pointer`. Every barrier is here.
fn commit_batch(
    storage: &dyn Storage,
    options: &Options,
    expected: Option<Link>,
    pointer: &Pointer,
    write: impl FnOnce(&mut dyn Round) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut round = storage.round().map_err(|error| not_written(Operation::BeginWrite, error))?;
    // Barrier 1: everything that the pointer will lead to, and what the swap needs of the pointer, is durable.
    let written = write(&mut *round)
        .and_then(|()| stage_pointer(&mut *round, pointer))
        .and_then(|bytes| round.flush().map(|()| bytes).map_err(|error| not_written(Operation::Sync, error)))
        .and_then(|bytes| options.check_cancel().map(|()| bytes).map_err(Failure::Before));
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(failure) => {
            // A number that is taken shows by the name that takes it.
            round.discard(!matches!(failure, Failure::Taken));
            return Err(failure);
        }
    };
    // From here on nothing is deleted: what follows may have happened although it reports a failure.
    storage
        .swap_pointer(expected, &bytes)
        .map_err(|source| Failure::After { step: "the rename of the pointer", source })?;
    // Barrier 2: the pointer is durable.
    storage
        .flush_pointer()
        .map_err(|source| Failure::After { step: "the flush after the rename of the pointer", source })
}

/// Writes everything that a generation consists of. The manifest comes first: its name takes the number.
fn write(
    round: &mut dyn Round,
    generation: Generation,
    manifest: &[u8],
    draft: &Draft,
) -> Result<(), Failure> {
    let name = Name::Manifest(generation);
    round.put(&name, manifest).map_err(|error| taken_or(error, &name))?;
    for (path, planned) in &draft.changes {
        let Planned::Write { content, .. } = planned else { continue };
        let name = Name::Data(path.clone(), generation);
        match content {
            Content::Inline(bytes) => round.put(&name, bytes),
            Content::Staged(staged) => round.adopt(staged, &name),
        }
        .map_err(|error| taken_or(error, &name))?;
    }
    Ok(())
}

/// Adds to the batch what the swap of the pointer needs. Gives the bytes of the pointer.
fn stage_pointer(round: &mut dyn Round, pointer: &Pointer) -> Result<Vec<u8>, Failure> {
    let bytes = pointer.encode().map_err(|error| Failure::Before(unwritable(&error)))?;
    if Pointer::decode(&bytes).as_ref() != Ok(pointer) {
        return Err(Failure::Before(unwritable(&FormatError::rule(
            "its pointer does not read back as it was",
        ))));
    }
    let failed = |error| Failure::Before(Error::io(Operation::Write, Name::Pointer.to_string(), error));
    round.stage_pointer(&bytes).map_err(failed)?;
    Ok(bytes)
}

fn taken_or(error: io::Error, name: &Name) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::Taken,
        _ => Failure::Before(Error::io(Operation::Write, name.to_string(), error)),
    }
}

fn not_written(action: Operation, error: io::Error) -> Failure {
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

/// The manifest and the table of a generation under a number.
fn manifest_of(
    draft: &Draft,
    generation: Generation,
    store: StoreId,
    head: Option<&Head>,
    storage: &dyn Storage,
) -> Result<(Manifest, Table)> {
    let changes = draft.changes(generation);
    let table = head.map_or_else(Table::default, |head| head.table.clone()).check(&changes)?;
    // A clock that went backwards must not make a generation look older than the one before it.
    let now = storage.system().now();
    let manifest = Manifest {
        store,
        generation,
        parent: head.map(|head| head.link),
        kind: draft.kind,
        time: head.map_or(now, |head| now.max(head.time)),
        author: draft.author.clone(),
        message: draft.message.clone(),
        metadata: draft.metadata.clone(),
        restores: draft.restores,
        files: table.files(),
        bytes: table.bytes(),
        changes,
        extra: Extra::new(),
    };
    Ok((manifest, table))
}
