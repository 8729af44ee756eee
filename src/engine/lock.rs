//! The writer lock: waiting for it, noting who holds it, and the number of the next generation.

use std::io;

use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::handle::{Engine, Options};
use crate::error::{Error, ErrorRepr, LockHolder, Operation, Result};
use crate::format::names::{DATA, LOCKS, MANIFESTS, Name};
use crate::fs::{FsLock, Process};
use crate::revision::Generation;
use crate::storage::Storage;
use crate::time::Timestamp;

/// The longest pause between two tries, in milliseconds.
const PAUSE_MAX: u64 = 16;
/// The most numbers that a note may skip. A note that skips more is ignored.
const SKIP_MAX: u64 = 1_000_000;

/// What a holder of the lock writes into the lock file. Nothing relies on the note being there or
/// being right.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct LockInfo {
    pid: u32,
    program: String,
    host: String,
    since: Timestamp,
    /// The start of the machine to which `known` belongs. A crash of the machine can leave files
    /// under any number, so they are looked for once after every start.
    boot: Option<String>,
    #[serde(flatten)]
    known: Known,
}

/// What the holders of the lock have learned since the machine started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Known {
    /// The lowest number that no commit has begun to use since then, once that is known.
    next: Option<Generation>,
    /// The newest generation whose pointer is known to be durable.
    settled: Option<Generation>,
}

/// The writer lock, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    lock: Box<dyn FsLock>,
    known: Known,
}

impl Engine {
    /// Waits for the writer lock, as long as the options of the handle allow.
    pub(crate) fn lock_writer(&self) -> Result<Writer> {
        lock_writer(self.storage(), self.options())
    }
}

/// Waits for the writer lock, as long as the options allow.
pub(crate) fn lock_writer(storage: &dyn Storage, options: &Options) -> Result<Writer> {
    let system = storage.system();
    let failed = |error| Error::io(Operation::Lock, Name::WriterLock.to_string(), error);
    let start = system.monotonic();
    let mut backoff = Backoff::new(PAUSE_MAX);
    loop {
        if let Some(lock) = storage.try_lock_writer().map_err(failed)? {
            let note: Option<LockInfo> = lock.note().ok().and_then(|note| serde_json::from_slice(&note).ok());
            let boot = system.process().boot;
            let known = match note {
                Some(note) if note.boot.is_some() && note.boot == boot => note.known,
                _ => Known::default(),
            };
            let writer = Writer { lock, known };
            // For the messages of those who wait meanwhile. Without the note they learn less,
            // nothing more.
            let _ = writer.write_info(storage, known);
            return Ok(writer);
        }
        options.cancel.check()?;
        let waited = system.monotonic().saturating_sub(start);
        let Some(left) = options.lock_wait.checked_sub(waited).filter(|left| !left.is_zero()) else {
            return Err(ErrorRepr::Busy { waited_ms: waited.as_millis(), holder: holder(storage) }.into());
        };
        if let Some(ask) = &options.on_lock_wait
            && ask(waited).is_break()
        {
            return Err(ErrorRepr::Cancelled.into());
        }
        backoff.wait(system, left).map_err(failed)?;
    }
}

fn holder(storage: &dyn Storage) -> Option<LockHolder> {
    let note: LockInfo = serde_json::from_slice(&storage.writer_note().ok()?).ok()?;
    Some(LockHolder { pid: note.pid, program: note.program, host: note.host, since: note.since })
}

impl Writer {
    /// The lowest number that was never used, given the head.
    ///
    /// While the machine runs, every writer notes the number after its own before it creates any
    /// file. It takes its number by creating the manifest first. Files that a crash of the machine
    /// or a failed commit left are found by looking at every name, once after each start.
    pub(crate) fn next_number(&self, storage: &dyn Storage, head: Option<Generation>) -> Result<Generation> {
        let after_head = match head {
            None => Generation::FIRST,
            Some(head) => head.next().ok_or_else(out_of_numbers)?,
        };
        if let Some(next) = self.known.next.filter(|next| is_believed(*next, after_head)) {
            return Ok(next.max(after_head));
        }
        let after = |seen: Generation| seen.next().ok_or_else(out_of_numbers);
        let after_seen =
            highest(storage)?.map(after).transpose()?.map_or(after_head, |next| next.max(after_head));
        let failed = highest_failed(storage, head, after_seen)?;
        Ok(failed.map(after).transpose()?.map_or(after_seen, |next| next.max(after_seen)))
    }

    /// Notes that `number` is in use.
    pub(crate) fn reserve(&self, storage: &dyn Storage, number: Generation) -> Result<()> {
        let next = number.next().ok_or_else(out_of_numbers)?;
        self.write_info(storage, Known { next: Some(next), ..self.known })
            .map_err(|error| Error::io(Operation::Write, Name::WriterLock.to_string(), error))
    }

    /// Whether the pointer to this generation is known to be durable. Its writer may have died or
    /// failed between the swap and the fsync.
    pub(crate) fn is_head_synced(&self, head: Generation) -> bool {
        self.known.settled == Some(head)
    }

    /// Notes that the pointer to the head is durable. Without the note, the next writer only fsyncs
    /// it once more.
    ///
    /// The next number stays as it was noted: the head says nothing about files above it.
    pub(crate) fn note_head_synced(&self, storage: &dyn Storage, head: Generation) {
        let _ = self.write_info(storage, Known { settled: Some(head), ..self.known });
    }

    /// Notes that the generation with this number is durable.
    pub(crate) fn note_published(&self, storage: &dyn Storage, number: Generation) {
        let known = Known { next: number.next(), settled: Some(number) };
        let _ = self.write_info(storage, known);
    }

    fn write_info(&self, storage: &dyn Storage, known: Known) -> io::Result<()> {
        let system = storage.system();
        let Process { pid, program, host, boot } = system.process();
        let note = LockInfo { pid, program, host, since: system.now(), boot, known };
        self.lock.set_note(&serde_json::to_vec(&note)?)
    }
}

fn highest(storage: &dyn Storage) -> Result<Option<Generation>> {
    let mut highest = None;
    for directory in [MANIFESTS, DATA] {
        let found = storage.scan(directory).map_err(|error| Error::io(Operation::List, directory, error))?;
        highest = highest.max(found.iter().filter_map(|scanned| scanned.name.as_ref()?.generation()).max());
    }
    Ok(highest)
}

/// Whether a number is plausible, given that everything else says `free` is the next one.
fn is_believed(number: Generation, free: Generation) -> bool {
    number.get() <= free.get().saturating_add(SKIP_MAX)
}

/// The highest number of a failed commit that left nothing but its `locks/used-` file. Removes
/// those files at or below the head, which say no more than the head does.
fn highest_failed(
    storage: &dyn Storage,
    head: Option<Generation>,
    free: Generation,
) -> Result<Option<Generation>> {
    let mut highest = None;
    for found in storage.scan(LOCKS).map_err(|error| Error::io(Operation::List, LOCKS, error))? {
        let Some(name @ Name::Used(number)) = found.name else { continue };
        if is_believed(number, free) {
            highest = highest.max(Some(number));
        }
        if Some(number) <= head {
            let _ = storage.delete(&name);
        }
    }
    Ok(highest)
}

fn out_of_numbers() -> Error {
    ErrorRepr::Limit { what: "this commit".into(), rule: format!("generations end at {}", Generation::MAX) }
        .into()
}
