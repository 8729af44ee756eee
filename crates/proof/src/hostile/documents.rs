//! The properties of pointer, manifest and checkpoint. What is accepted keeps every bound of
//! `docs/format.md`. Written again, it reads back the same.

use std::collections::HashSet;

use crate::engine::table::Table;
use crate::format::FormatError;
use crate::format::checkpoint::{self, Header};
use crate::format::entry::{Entry, FILE_MAX, FILES_MAX};
use crate::format::manifest::{AUTHOR_MAX, CHANGES_MAX, Change, MESSAGE_MAX, METADATA_MAX, Manifest};
use crate::format::pointer::{POINTER_MAX, Pointer};
use crate::revision::Generation;

/// The length of a checksum line with its line feed.
const LINE: usize = 25;

/// CRC-32 bit by bit, as IEEE 802.3 describes it. It is not the implementation of the store.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
            },
        )
    })
}

/// The body with the checksum line that it should have.
pub(super) fn seal(mut body: Vec<u8>) -> Vec<u8> {
    let line = format!("{{\"sum\":\"crc32:{:08x}\"}}\n", crc32(&body));
    body.extend_from_slice(line.as_bytes());
    body
}

/// The bytes with a right checksum in place of their own, if they have one. It lets the checks
/// behind the checksum run.
pub(super) fn resealed(bytes: &[u8]) -> Vec<u8> {
    let body = match bytes.len().checked_sub(LINE) {
        Some(at) if bytes[at..].starts_with(b"{\"sum\"") => &bytes[..at],
        _ => bytes,
    };
    let mut body = body.to_vec();
    if body.last() != Some(&b'\n') {
        body.push(b'\n');
    }
    seal(body)
}

/// Checks what must hold for the bytes of every accepted document. Gives its body.
fn assert_sealed(bytes: &[u8]) -> &str {
    let (body, line) = bytes.split_at(bytes.len().checked_sub(LINE).expect("there is a checksum line"));
    assert_eq!(String::from_utf8_lossy(line), format!("{{\"sum\":\"crc32:{:08x}\"}}\n", crc32(body)));
    assert_eq!(body.last(), Some(&b'\n'), "the checksum line is a line of its own");
    std::str::from_utf8(body).expect("the body is text")
}

fn assert_generation(generation: Generation) {
    assert!((1..=9_999_999_999).contains(&generation.get()), "{generation}");
}

fn assert_entry(entry: &Entry) {
    assert_generation(entry.generation);
    assert!(entry.bytes <= FILE_MAX, "{entry:?}");
    assert_ne!(entry.stored_as.as_ref(), Some(&entry.path));
    super::texts::assert_path(entry.path.as_str());
    entry.stored_as.iter().for_each(|path| super::texts::assert_path(path.as_str()));
}

pub(super) fn pointer(bytes: &[u8]) {
    let Ok(pointer) = Pointer::decode(bytes) else { return };
    assert!(bytes.len() as u64 <= POINTER_MAX);
    assert_eq!(assert_sealed(bytes).matches('\n').count(), 1, "the pointer is one line");
    assert_generation(pointer.head.generation);
    if let Some(parent) = pointer.parent {
        assert_generation(parent.generation);
        assert!(parent.generation < pointer.head.generation);
    }
    let again = pointer.encode().expect("what was read can be written");
    // A number in an unknown field may be written longer than it was.
    if again.len() as u64 <= POINTER_MAX {
        assert_eq!(Pointer::decode(&again).as_ref(), Ok(&pointer));
    } else {
        let limit = POINTER_MAX;
        let found = again.len() as u64;
        assert_eq!(Pointer::decode(&again), Err(FormatError::TooLong { limit, found }));
    }
}

pub(super) fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::decode(bytes) else { return };
    assert_sealed(bytes);
    assert_generation(manifest.generation);
    if let Some(parent) = manifest.parent {
        assert_generation(parent.generation);
        assert!(parent.generation < manifest.generation);
    }
    assert!(manifest.restores.is_none_or(|restored| restored < manifest.generation));
    assert!(manifest.author.len() <= AUTHOR_MAX && manifest.message.len() <= MESSAGE_MAX);
    assert!(manifest.changes.len() <= CHANGES_MAX && manifest.files <= FILES_MAX);
    let metadata = serde_json::to_vec(&manifest.metadata).unwrap().len();
    assert!(metadata + serde_json::to_vec(&manifest.extra).unwrap().len() <= METADATA_MAX);
    let paths: Vec<&str> = manifest.changes.iter().map(|change| change.path().as_str()).collect();
    assert!(paths.windows(2).all(|pair| pair[0].as_bytes() < pair[1].as_bytes()), "{paths:?}");
    for change in &manifest.changes {
        match change {
            Change::Remove(path) => super::texts::assert_path(path.as_str()),
            Change::Put(entry) => {
                assert_entry(entry);
                assert!(entry.generation <= manifest.generation);
                assert!(entry.stored_as.is_none() || entry.generation < manifest.generation);
            }
        }
    }
    let again = manifest.encode().expect("what was read can be written");
    assert_eq!(Manifest::decode(&again).as_ref(), Ok(&manifest));
}

pub(super) fn checkpoint(bytes: &[u8]) {
    let mut entries: Vec<Entry> = Vec::new();
    let read = checkpoint::read(bytes, |entry| {
        entries.push(entry);
        Ok(())
    });
    let Ok(header) = read else { return };
    let first = assert_sealed(bytes).lines().next().unwrap_or_default();
    assert!(first.len() <= 13_312);
    assert_generation(header.generation);
    assert!(header.files <= FILES_MAX);
    assert_eq!(header.files, entries.len() as u64);
    assert_eq!(header.bytes, entries.iter().map(|entry| entry.bytes).sum::<u64>());
    let keys: Vec<Vec<u8>> =
        entries.iter().map(|entry| [entry.path.as_str().as_bytes(), b"\""].concat()).collect();
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{entries:?}");
    for entry in &entries {
        assert_entry(entry);
        assert!(entry.generation <= header.generation);
    }
    let folds: HashSet<String> =
        entries.iter().map(|entry| super::reader::fold(entry.path.as_str())).collect();
    let mut table = Table::default();
    let is_table = entries.iter().try_for_each(|entry| table.load(entry.clone())).is_ok();
    assert_eq!(is_table, folds.len() == entries.len(), "only twins make it no table");
    if is_table {
        assert_eq!((table.files(), table.bytes()), (header.files, header.bytes));
        assert!(entries.iter().all(|entry| table.get(&entry.path) == Some(entry)));
    }
    let mut again = Vec::new();
    checkpoint::write(&mut again, &header, entries.iter()).expect("what was read can be written");
    let mut second: Vec<Entry> = Vec::new();
    let found: Header = checkpoint::read(again.as_slice(), |entry| {
        second.push(entry);
        Ok(())
    })
    .expect("what was written can be read");
    assert_eq!((found, second), (header, entries));
}
