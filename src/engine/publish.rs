//! The commit protocol. [`commit_batch`] holds every barrier; `docs/durability.md` says why each is
//! there.

use std::io;

use super::changeset::{ChangeSet, Content, PendingChange};
use super::handle::Options;
use super::head::Head;
use super::lock::Writer;
use super::read::{self, LoadError};
use super::replay::cost;
use super::table::Table;
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::format::FormatError;
use crate::format::json::Extra;
use crate::format::manifest::Manifest;
use crate::format::names::Name;
use crate::format::pointer::{ManifestRef, Pointer};
use crate::hash::{Blake3, StoreId};
use crate::revision::Generation;
use crate::storage::{Storage, WriteBatch};

/// How many taken numbers one commit skips before it gives up.
const NUMBERS_MAX: u32 = 10_000;

/// How far an attempt got before it failed.
enum PublishError {
    /// A file with this number exists already. Another number will do.
    Taken,
    /// Nothing is visible, and what was written was removed.
    Before(Error),
    /// The pointer may have been swapped, durably or not. Nothing may be deleted.
    After { step: &'static str, source: io::Error },
}

/// Publishes `change_set` as the next generation after `head`, or as the first generation of the
/// store `id`. The generation is durable when this returns.
///
/// # Errors
/// `CommitOutcomeUnknown` once the pointer may have been swapped: the caller then poisons the
/// handle. After every other error nothing was committed.
pub(crate) fn publish(
    storage: &dyn Storage,
    options: &Options,
    writer: &Writer,
    id: StoreId,
    head: Option<&Head>,
    change_set: &ChangeSet,
) -> Result<Head> {
    let mut number = writer.next_number(storage, head.map(|head| head.link.generation))?;
    for _ in 0..NUMBERS_MAX {
        let (manifest, table) = manifest_of(change_set, number, id, head, storage)?;
        let bytes = encode(&manifest)?;
        writer.reserve(storage, number)?;
        let link = ManifestRef { generation: number, manifest: Blake3::of(&bytes) };
        let pointer = Pointer::new(
            link,
            manifest.parent,
            head.map_or_else(Extra::new, |head| head.pointer_extra.clone()),
        );
        let expected = head.map(|head| head.link);
        let attempt = commit_batch(storage, options, expected, &pointer, |batch| {
            write(batch, number, &bytes, change_set)
        });
        match attempt {
            Ok(()) => {
                writer.note_published(storage, number);
                return Ok(Head {
                    link,
                    time: manifest.time,
                    message: manifest.message,
                    table,
                    cost: head.map_or(0, |head| head.cost) + cost(manifest.changes.len()),
                    checkpoint: head.and_then(|head| head.checkpoint),
                    pointer_extra: pointer.extra,
                    recovery: None,
                });
            }
            Err(PublishError::Taken) => number = number.next().ok_or_else(|| taken(number))?,
            Err(failure) => return Err(failure.into_error(number)),
        }
    }
    Err(taken(number))
}

/// Makes the pointer to the head durable, so that a commit may report the head as there and build
/// on it.
///
/// This writes the same pointer and swaps it in once more. It needs the writer lock: an older
/// pointer must never replace a newer one.
///
/// # Errors
/// Those of [`publish`]; `Corrupt` when the pointer no longer names the head.
pub(crate) fn sync_head(storage: &dyn Storage, options: &Options, _: &Writer, head: &Head) -> Result<()> {
    let pointer = read::pointer(storage).map_err(LoadError::into_error)?;
    if pointer.head != head.link {
        return Err(ErrorRepr::HistoryReplaced { known: head.link.generation }.into());
    }
    commit_batch(storage, options, Some(head.link), &pointer, |_| Ok(()))
        .map_err(|failure| failure.into_error(head.link.generation))
}

impl PublishError {
    /// The public form.
    fn into_error(self, generation: Generation) -> Error {
        match self {
            Self::Taken => taken(generation),
            Self::Before(error) => error,
            Self::After { step, source } => ErrorRepr::OutcomeUnknown { generation, step, source }.into(),
        }
    }
}

/// One commit: runs `write`, then replaces the pointer to `expected` with `pointer`. Every barrier
/// is here.
///
/// 1. `write` writes the manifest, whose name takes the number, and the files. The next pointer is
///    staged.
/// 2. Barrier 1 makes all of that durable. Up to here, a failure or a cancellation removes what was
///    written.
/// 3. The swap makes the next pointer the pointer. From here on nothing is deleted.
/// 4. Barrier 2 makes the swap durable. The commit is acknowledged only after it.
fn commit_batch(
    storage: &dyn Storage,
    options: &Options,
    expected: Option<ManifestRef>,
    pointer: &Pointer,
    write: impl FnOnce(&mut dyn WriteBatch) -> Result<(), PublishError>,
) -> Result<(), PublishError> {
    let mut batch = storage.begin_batch().map_err(|error| not_written(Operation::BeginWrite, error))?;
    // Barrier 1: what the pointer will lead to is durable, and so is what the swap needs.
    let written = write(&mut *batch)
        .and_then(|()| stage_pointer(&mut *batch, pointer))
        .and_then(|bytes| batch.sync().map(|()| bytes).map_err(|error| not_written(Operation::Sync, error)))
        .and_then(|bytes| options.cancel.check().map(|()| bytes).map_err(PublishError::Before));
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(failure) => {
            // A taken number is marked by the file that takes it, so it needs no mark of its own.
            batch.discard(!matches!(failure, PublishError::Taken));
            return Err(failure);
        }
    };
    // From here on nothing is deleted: a step may take effect although it reports a failure.
    storage
        .swap_pointer(expected, &bytes)
        .map_err(|source| PublishError::After { step: "the rename of the pointer", source })?;
    // Barrier 2: the pointer is durable.
    storage
        .sync_pointer()
        .map_err(|source| PublishError::After { step: "the fsync after the rename of the pointer", source })
}

/// Writes everything that a generation consists of. The manifest comes first: its name takes the
/// number.
fn write(
    batch: &mut dyn WriteBatch,
    generation: Generation,
    manifest: &[u8],
    change_set: &ChangeSet,
) -> Result<(), PublishError> {
    let name = Name::Manifest(generation);
    batch.put(&name, manifest).map_err(|error| taken_or(error, &name))?;
    for (path, pending) in &change_set.changes {
        let PendingChange::Write { content, .. } = pending else { continue };
        let name = Name::Data(path.clone(), generation);
        match content {
            Content::Inline(bytes) => batch.put(&name, bytes),
            Content::Staged(staged) => batch.promote(staged, &name),
        }
        .map_err(|error| taken_or(error, &name))?;
    }
    Ok(())
}

/// Adds to the batch what the swap of the pointer needs. Returns the bytes of the pointer.
fn stage_pointer(batch: &mut dyn WriteBatch, pointer: &Pointer) -> Result<Vec<u8>, PublishError> {
    let bytes = pointer.encode().map_err(|error| PublishError::Before(unwritable(&error)))?;
    if Pointer::decode(&bytes).as_ref() != Ok(pointer) {
        return Err(PublishError::Before(unwritable(&FormatError::rule(
            "its pointer does not read back as it was",
        ))));
    }
    let failed = |error| PublishError::Before(Error::io(Operation::Write, Name::Pointer.to_string(), error));
    batch.stage_pointer(&bytes).map_err(failed)?;
    Ok(bytes)
}

fn taken_or(error: io::Error, name: &Name) -> PublishError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => PublishError::Taken,
        _ => PublishError::Before(Error::io(Operation::Write, name.to_string(), error)),
    }
}

fn not_written(action: Operation, error: io::Error) -> PublishError {
    PublishError::Before(Error::io(action, "the new generation", error))
}

fn taken(number: Generation) -> Error {
    ErrorRepr::Limit { what: "this commit".into(), rule: format!("every number up to {number} is taken") }
        .into()
}

fn unwritable(error: &FormatError) -> Error {
    let rule = match error {
        FormatError::Rule(rule) => rule.clone(),
        other => other.to_string(),
    };
    ErrorRepr::Limit { what: "this commit".into(), rule }.into()
}

/// The bytes of a manifest. They were read back and give the same manifest.
fn encode(manifest: &Manifest) -> Result<Vec<u8>> {
    manifest.check().map_err(|error| unwritable(&error))?;
    let bytes = manifest.encode().map_err(|error| unwritable(&error))?;
    match Manifest::decode(&bytes) {
        Ok(read) if read == *manifest => Ok(bytes),
        Ok(_) => Err(unwritable(&FormatError::rule("its manifest does not read back as it was"))),
        Err(error) => Err(unwritable(&error)),
    }
}

/// The manifest of a generation with this number, and its table.
fn manifest_of(
    change_set: &ChangeSet,
    generation: Generation,
    store: StoreId,
    head: Option<&Head>,
    storage: &dyn Storage,
) -> Result<(Manifest, Table)> {
    let changes = change_set.changes(generation);
    let table = head.map_or_else(Table::default, |head| head.table.clone()).check(&changes)?;
    // The clock may have gone backwards, but no generation may look older than its parent.
    let now = storage.system().now();
    let manifest = Manifest {
        store,
        generation,
        parent: head.map(|head| head.link),
        kind: change_set.kind,
        time: head.map_or(now, |head| now.max(head.time)),
        author: change_set.author.clone(),
        message: change_set.message.clone(),
        metadata: change_set.metadata.clone(),
        restores: change_set.restores,
        files: table.files(),
        bytes: table.bytes(),
        changes,
        extra: Extra::new(),
    };
    Ok((manifest, table))
}
