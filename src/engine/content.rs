//! The bytes of committed files. Every full read checks the hash.

use std::io::{self, Read, Write};

use crate::format::entry::Entry;
use crate::format::names::Name;
use crate::fs::{FsFile, is_transient, is_unreadable};
use crate::hash::Blake3;
use crate::storage::Storage;

/// The largest and the smallest read of content, in bytes.
const PIECE: usize = 1 << 16;
const PIECE_MIN: usize = 1 << 9;

/// How a file differs from what was committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    pub(crate) is_missing: bool,
    /// Whether the system reported that it cannot read the file.
    is_unreadable: bool,
    pub(crate) detail: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// The result of checking a file.
#[derive(Debug)]
pub(crate) enum Check {
    Intact,
    Damaged(Damage),
    /// The system could not read the file now, which says nothing about its bytes.
    Unknown(io::Error),
}

/// Why content could not be delivered.
#[derive(Debug)]
pub(crate) enum ReadError {
    Damaged(Damage),
    Unknown(io::Error),
    /// The receiver of the bytes failed.
    Sink(io::Error),
}

/// Whether an error of reading one stored file says nothing about the others. Work on many files
/// then goes on without this one.
pub(crate) fn is_of_one_file(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

pub(crate) fn name(entry: &Entry) -> Name {
    Name::Data(entry.stored_path().clone(), entry.generation)
}

fn damage(entry: &Entry, detail: String, found: String) -> ReadError {
    let expected = entry.blake3.to_string();
    ReadError::Damaged(Damage { is_missing: false, is_unreadable: false, detail, expected, found })
}

fn unreadable(entry: &Entry, error: io::Error) -> ReadError {
    if is_transient(&error) {
        return ReadError::Unknown(error);
    }
    let is_unreadable = is_unreadable(&error);
    let detail = if is_unreadable { format!("it cannot be read: {error}") } else { "it is missing".into() };
    ReadError::Damaged(Damage {
        is_missing: !is_unreadable,
        is_unreadable,
        detail,
        expected: entry.blake3.to_string(),
        found: "nothing".into(),
    })
}

/// Reads, and once more when the system reported that it cannot read the file.
pub(crate) fn retry_once<T>(mut read: impl FnMut() -> Result<T, ReadError>) -> Result<T, ReadError> {
    match read() {
        Err(ReadError::Damaged(damage)) if damage.is_unreadable => read(),
        other => other,
    }
}

/// Reads to the end in pieces, passes each piece on, and returns the length and the hash of the
/// whole. `expected` is the likely length: small content gets a small buffer.
pub(crate) fn copy_hashed<E>(
    reader: &mut dyn Read,
    expected: u64,
    mut unreadable: impl FnMut(io::Error) -> E,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(u64, Blake3), E> {
    let mut hasher = blake3::Hasher::new();
    let mut length = 0;
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

/// Opens the file of an entry and checks its length, so that no damaged number alone decides a
/// size.
pub(crate) fn open(storage: &dyn Storage, entry: &Entry) -> Result<Box<dyn FsFile>, ReadError> {
    let file = storage.open(&name(entry)).map_err(|error| unreadable(entry, error))?;
    let bytes = file.length().map_err(|error| unreadable(entry, error))?;
    if bytes != entry.bytes {
        let expected = format!("{} bytes", entry.bytes);
        let found = format!("{bytes} bytes");
        let detail = format!("it has {found}, and {expected} were committed");
        return Err(ReadError::Damaged(Damage {
            is_missing: false,
            is_unreadable: false,
            detail,
            expected,
            found,
        }));
    }
    Ok(file)
}

/// Reads the file of an entry to its end and passes the bytes on. Succeeds only if they are the
/// committed bytes.
pub(crate) fn copy(storage: &dyn Storage, entry: &Entry, sink: &mut dyn Write) -> Result<(), ReadError> {
    let mut file = open(storage, entry)?;
    let (_, found) = copy_hashed(
        &mut file,
        entry.bytes,
        |error| unreadable(entry, error),
        |bytes| sink.write_all(bytes).map_err(ReadError::Sink),
    )?;
    if found == entry.blake3 {
        return Ok(());
    }
    Err(damage(
        entry,
        format!("its BLAKE3 is {found}, and {} was committed", entry.blake3),
        found.to_string(),
    ))
}

/// Checks every byte of the file of an entry.
pub(crate) fn check(storage: &dyn Storage, entry: &Entry) -> Check {
    match retry_once(|| copy(storage, entry, &mut io::sink())) {
        Ok(()) => Check::Intact,
        Err(ReadError::Damaged(damage)) => Check::Damaged(damage),
        Err(ReadError::Unknown(error) | ReadError::Sink(error)) => Check::Unknown(error),
    }
}

/// Whether the file of an entry is known to be damaged.
pub(crate) fn is_damaged(storage: &dyn Storage, entry: &Entry) -> bool {
    matches!(check(storage, entry), Check::Damaged(_))
}

/// Checks that the file of an entry is there and has the committed length.
pub(crate) fn check_length(storage: &dyn Storage, entry: &Entry) -> Check {
    match retry_once(|| open(storage, entry)) {
        Ok(_) => Check::Intact,
        Err(ReadError::Damaged(damage)) => Check::Damaged(damage),
        Err(ReadError::Unknown(error) | ReadError::Sink(error)) => Check::Unknown(error),
    }
}

/// The whole content of an entry, in memory.
pub(crate) fn read(storage: &dyn Storage, entry: &Entry) -> Result<Vec<u8>, ReadError> {
    retry_once(|| {
        let mut bytes = Vec::new();
        copy(storage, entry, &mut bytes)?;
        Ok(bytes)
    })
}
