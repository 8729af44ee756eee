//! The bytes of saved files, read only together with the check of their hash.

use std::io::{self, Read, Write};

use super::Engine;
use super::chain::Chain;
use super::load;
use crate::error::{Error, Operation, Problem, Result};
use crate::format::entry::Entry;
use crate::format::names::Name;
use crate::format::pointer::Link;
use crate::fs::{FsFile, is_transient, is_unreadable};
use crate::hash::Blake3;
use crate::revision::Generation;
use crate::storage::Storage;

/// The largest and the smallest size of the pieces in which content is read, in bytes.
const PIECE: usize = 1 << 16;
const PIECE_MIN: usize = 1 << 9;

/// How a file is not what was saved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    pub(crate) is_missing: bool,
    /// Whether the system said that it cannot read it.
    is_unreadable: bool,
    pub(crate) detail: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// What a look at a file's bytes shows.
#[derive(Debug)]
pub(crate) enum Check {
    Intact,
    Damaged(Damage),
    /// The system could not read it now, which says nothing about the bytes.
    Unknown(io::Error),
}

/// Why content could not be delivered.
#[derive(Debug)]
pub(crate) enum Failed {
    Damaged(Damage),
    Unknown(io::Error),
    /// Whoever was to take the bytes failed.
    Sink(io::Error),
}

fn name(entry: &Entry) -> Name {
    Name::Data(entry.stored_path().clone(), entry.generation)
}

fn damage(entry: &Entry, detail: String, found: String) -> Failed {
    let expected = entry.blake3.to_string();
    Failed::Damaged(Damage { is_missing: false, is_unreadable: false, detail, expected, found })
}

fn unreadable(entry: &Entry, error: io::Error) -> Failed {
    if is_transient(&error) {
        return Failed::Unknown(error);
    }
    let is_unreadable = is_unreadable(&error);
    let detail = if is_unreadable { format!("it cannot be read: {error}") } else { "it is missing".into() };
    let (expected, found) = (entry.blake3.to_string(), "nothing".into());
    Failed::Damaged(Damage { is_missing: !is_unreadable, is_unreadable, detail, expected, found })
}

/// Reads once more what the system said that it cannot read.
pub(crate) fn twice<T>(mut read: impl FnMut() -> Result<T, Failed>) -> Result<T, Failed> {
    match read() {
        Err(Failed::Damaged(damage)) if damage.is_unreadable => read(),
        other => other,
    }
}

/// Reads to the end in pieces, hands each one on, and gives the length and the hash of all. `expected` is the length
/// that is likely, so that little memory is asked for little content.
pub(crate) fn drain<E>(
    reader: &mut dyn Read,
    expected: u64,
    mut unreadable: impl FnMut(io::Error) -> E,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(u64, Blake3), E> {
    let (mut hasher, mut length) = (blake3::Hasher::new(), 0);
    let mut piece = vec![0; usize::try_from(expected).unwrap_or(PIECE).clamp(PIECE_MIN, PIECE)];
    loop {
        let read = match reader.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(&mut unreadable)?,
        };
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok((length, hasher.finalize().into()));
        };
        hasher.update(bytes);
        length += bytes.len() as u64;
        take(bytes)?;
    }
}

/// Opens the file of an entry and checks its length, so that nothing is ever sized by a damaged number alone.
pub(crate) fn open(storage: &dyn Storage, entry: &Entry) -> Result<Box<dyn FsFile>, Failed> {
    let file = storage.open(&name(entry)).map_err(|error| unreadable(entry, error))?;
    let bytes = file.length().map_err(|error| unreadable(entry, error))?;
    if bytes != entry.bytes {
        let (expected, found) = (format!("{} bytes", entry.bytes), format!("{bytes} bytes"));
        let detail = format!("it has {found}, and {expected} were saved");
        let (is_missing, is_unreadable) = (false, false);
        return Err(Failed::Damaged(Damage { is_missing, is_unreadable, detail, expected, found }));
    }
    Ok(file)
}

/// Reads the file of an entry to its end, hands the bytes on, and succeeds only if they are what was saved.
pub(crate) fn copy(storage: &dyn Storage, entry: &Entry, sink: &mut dyn Write) -> Result<(), Failed> {
    let mut file = open(storage, entry)?;
    let (_, found) = drain(
        &mut file,
        entry.bytes,
        |error| unreadable(entry, error),
        |bytes| sink.write_all(bytes).map_err(Failed::Sink),
    )?;
    if found == entry.blake3 {
        return Ok(());
    }
    Err(damage(entry, format!("its BLAKE3 is {found}, and {} was saved", entry.blake3), found.to_string()))
}

/// Checks every byte of the file of an entry.
pub(crate) fn check(storage: &dyn Storage, entry: &Entry) -> Check {
    match twice(|| copy(storage, entry, &mut io::sink())) {
        Ok(()) => Check::Intact,
        Err(Failed::Damaged(damage)) => Check::Damaged(damage),
        Err(Failed::Unknown(error) | Failed::Sink(error)) => Check::Unknown(error),
    }
}

/// Whether the bytes of the file of an entry are known not to be what was saved.
pub(crate) fn is_damaged(storage: &dyn Storage, entry: &Entry) -> bool {
    matches!(check(storage, entry), Check::Damaged(_))
}

/// Checks that the file of an entry is there and has its length.
pub(crate) fn check_length(storage: &dyn Storage, entry: &Entry) -> Check {
    match twice(|| open(storage, entry)) {
        Ok(_) => Check::Intact,
        Err(Failed::Damaged(damage)) => Check::Damaged(damage),
        Err(Failed::Unknown(error) | Failed::Sink(error)) => Check::Unknown(error),
    }
}

/// The whole content of an entry, in memory.
pub(crate) fn read(storage: &dyn Storage, entry: &Entry) -> Result<Vec<u8>, Failed> {
    twice(|| {
        let mut bytes = Vec::new();
        copy(storage, entry, &mut bytes)?;
        Ok(bytes)
    })
}

impl Engine {
    /// The public error for content of `entry` that could not be delivered, seen from the generation at `from`. A
    /// later version is as good as an earlier one.
    pub(crate) fn failed(&self, entry: &Entry, from: Link, failed: Failed) -> Error {
        let damage = match failed {
            Failed::Sink(error) => {
                return Error::io(Operation::PassOn, entry.path.as_str(), error);
            }
            Failed::Unknown(error) => return Error::io(Operation::Read, name(entry).to_string(), error),
            Failed::Damaged(damage) => damage,
        };
        let newest = self.versions(entry, self.known().link);
        let intact = newest
            .chain(self.versions(entry, from))
            .find(|(_, older)| matches!(check(self.storage(), older), Check::Intact));
        Problem::DamagedFile {
            path: entry.path.clone(),
            generation: entry.generation,
            detail: damage.detail,
            expected: damage.expected,
            found: damage.found,
            is_missing: damage.is_missing,
            intact: intact.map(|(generation, _)| generation),
        }
        .into()
    }

    /// The versions of a path other than `entry` itself, from the generation at `from` backwards, each with a
    /// generation in which it is live. Damage in the history is passed over.
    pub(crate) fn versions<'a>(
        &'a self,
        entry: &'a Entry,
        from: Link,
    ) -> impl Iterator<Item = (Generation, Entry)> + 'a {
        let mut last = entry.clone();
        Chain::new(self.storage(), self.id(), from).filter_map(Result::ok).filter_map(
            move |(link, manifest)| {
                let found = load::puts(&manifest)
                    .map(|(found, _)| found)
                    .find(|found| found.path == entry.path)?
                    .clone();
                let same_file = |other: &Entry| {
                    found.generation == other.generation && found.stored_path() == other.stored_path()
                };
                if same_file(entry) || same_file(&last) {
                    return None;
                }
                last = found.clone();
                Some((link.generation, found))
            },
        )
    }
}
