//! A checkpoint: the whole file table at one generation, in sorted lines of JSON.
//!
//! It is derived from manifests and can be written again at any time. So a damaged checkpoint costs
//! time, never data.

use std::io::{self, BufRead, Read as _, Write};

use serde::{Deserialize, Serialize};

use super::entry::{Entry, FILES_MAX};
use super::pointer::ManifestRef;
use super::{FORMAT, FormatError, checksum, json};
use crate::hash::{Blake3, StoreId};
use crate::path::PATH_MAX;
use crate::revision::Generation;

/// The longest line that is read, in bytes: two paths with every byte escaped, and the numbers.
const LINE_MAX: u64 = 2 * 6 * PATH_MAX as u64 + 1024;

/// The first line: whose table this is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    format: u64,
    pub(crate) store: StoreId,
    pub(crate) generation: Generation,
    pub(crate) manifest: Blake3,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// The first line holds the header under this key, which sorts before the first key of every entry.
#[derive(Serialize, Deserialize)]
struct HeaderLine<T> {
    checkpoint: T,
}

impl Header {
    /// The header of the table of `files` files and `bytes` bytes at `link`.
    pub(crate) const fn new(store: StoreId, link: ManifestRef, files: u64, bytes: u64) -> Self {
        Self { format: FORMAT, store, generation: link.generation, manifest: link.manifest, files, bytes }
    }

    /// The generation whose table this is, and its manifest.
    pub(crate) const fn link(&self) -> ManifestRef {
        ManifestRef { generation: self.generation, manifest: self.manifest }
    }
}

/// Why a checkpoint could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a whole checkpoint: header, entries in the order of their lines, checksum.
pub(crate) fn write<'a>(
    out: &mut impl Write,
    header: &Header,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<(), ReadError> {
    let mut entries: Vec<&Entry> = entries.collect();
    entries.sort_by(|one, two| line_order(one.path.as_str(), two.path.as_str()));
    let mut crc = crc32fast::Hasher::new();
    let mut line = |text: String| {
        let text = text + "\n";
        crc.update(text.as_bytes());
        out.write_all(text.as_bytes())
    };
    line(json::write(&HeaderLine { checkpoint: header })?)?;
    for entry in entries {
        line(json::write(entry)?)?;
    }
    out.write_all(checksum::line(crc.finalize()).as_bytes())?;
    Ok(())
}

/// Lines are sorted by their bytes, as `LC_ALL=C sort` does, so `look` and binary search work. The
/// quote that ends a path counts: `a b` comes before `a`.
fn line_order(one: &str, two: &str) -> std::cmp::Ordering {
    one.bytes().chain([b'"']).cmp(two.bytes().chain([b'"']))
}

/// Reads a checkpoint and passes each entry to `take`. The entries are valid only once this returns
/// `Ok`.
pub(crate) fn read(
    input: impl BufRead,
    mut take: impl FnMut(Entry) -> Result<(), FormatError>,
) -> Result<Header, ReadError> {
    let mut lines = Lines { input, crc: crc32fast::Hasher::new(), line: Vec::new() };
    let header = lines.next()?.ok_or(FormatError::NoChecksum).and_then(read_header)?;
    let mut files = 0;
    let mut bytes = 0_u64;
    let mut last = None::<Entry>;
    while let Some(text) = lines.next()? {
        // serde refuses a known key that occurs twice. Checking the unknown keys too is not worth
        // the time.
        let entry: Entry =
            serde_json::from_str(text).map_err(|error| FormatError::Json(error.to_string()))?;
        entry.check()?;
        if entry.generation > header.generation {
            return Err(FormatError::rule(format!("{} was written after this checkpoint", entry.path)).into());
        }
        if last.is_some_and(|last| line_order(last.path.as_str(), entry.path.as_str()).is_ge()) {
            return Err(FormatError::rule(format!("{} is out of order", entry.path)).into());
        }
        files += 1;
        bytes = bytes
            .checked_add(entry.bytes)
            .ok_or_else(|| FormatError::rule("the lengths of the files add up to more than 2^64 bytes"))?;
        last = Some(entry.clone());
        take(entry)?;
        if files > header.files {
            break;
        }
    }
    if (files, bytes) != (header.files, header.bytes) {
        return Err(FormatError::rule("the header states other totals than the entries have").into());
    }
    Ok(header)
}

fn read_header(text: &str) -> Result<Header, FormatError> {
    #[derive(Deserialize)]
    struct Version {
        format: u64,
    }
    let version: HeaderLine<Version> =
        serde_json::from_str(text).map_err(|e| FormatError::Json(e.to_string()))?;
    json::known_format(version.checkpoint.format)?;
    let HeaderLine { checkpoint: header } = json::read::<HeaderLine<Header>>(text)?;
    if header.files > FILES_MAX {
        return Err(FormatError::rule(format!("a store has at most {FILES_MAX} files")));
    }
    Ok(header)
}

struct Lines<R> {
    input: R,
    crc: crc32fast::Hasher,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line, or `None` after a correct checksum line at the very end.
    fn next(&mut self) -> Result<Option<&str>, ReadError> {
        self.line.clear();
        (&mut self.input).take(LINE_MAX).read_until(b'\n', &mut self.line)?;
        if let Some(expected) = checksum::parse(&self.line) {
            checksum::compare(expected, self.crc.clone().finalize())?;
            if !self.input.fill_buf()?.is_empty() {
                return Err(FormatError::rule("something follows the checksum line").into());
            }
            return Ok(None);
        }
        if self.line.last() != Some(&b'\n') {
            return Err(FormatError::NoChecksum.into());
        }
        self.crc.update(&self.line);
        std::str::from_utf8(&self.line).map(Some).map_err(|_| FormatError::NotUtf8.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::StorePath;

    fn entry(path: &str, generation: u64) -> Entry {
        let path = StorePath::new(path).unwrap();
        let generation = Generation::new(generation).unwrap();
        Entry { path, generation, bytes: 3, blake3: Blake3::of(b"abc"), stored_as: None }
    }

    fn link() -> ManifestRef {
        ManifestRef { generation: Generation::new(40).unwrap(), manifest: Blake3::of(b"m") }
    }

    fn encoded(entries: &[Entry]) -> Vec<u8> {
        let header =
            Header::new(StoreId::from_bytes([1; 16]), link(), entries.len() as u64, 3 * entries.len() as u64);
        let mut out = Vec::new();
        write(&mut out, &header, entries.iter()).unwrap();
        out
    }

    fn decoded(bytes: &[u8]) -> Result<(Header, Vec<String>), String> {
        let mut paths = Vec::new();
        let header = read(bytes, |entry| {
            paths.push(entry.path.to_string());
            Ok(())
        });
        header.map(|header| (header, paths)).map_err(|e| e.to_string())
    }

    fn resealed(body: &str) -> Vec<u8> {
        checksum::seal(body.as_bytes().to_vec())
    }

    #[test]
    fn the_lines_are_sorted_as_bytes() {
        let bytes =
            encoded(&[entry("a", 1), entry("a b", 2), entry("a!", 3), entry("é", 40), entry("Z/x", 4)]);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let mut sorted = lines.clone();
        sorted.sort_unstable();
        assert_eq!(lines, sorted);
        assert_eq!(
            lines[1],
            format!(
                "{{\"path\":\"Z/x\",\"generation\":4,\"bytes\":3,\"blake3\":\"{}\"}}",
                Blake3::of(b"abc")
            )
        );
        let (header, paths) = decoded(&bytes).unwrap();
        assert_eq!(header.link(), link());
        assert_eq!(paths, ["Z/x", "a b", "a!", "a", "é"]);
        assert_eq!(decoded(&encoded(&[])).unwrap().1, Vec::<String>::new());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let good = encoded(&[entry("a", 1), entry("b", 2)]);
        for at in 0..good.len() {
            assert!(decoded(&good[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(decoded(&bad).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(decoded(&[good.as_slice(), b" "].concat()).unwrap_err().contains("follows"));
    }

    #[test]
    fn a_right_checksum_over_hostile_content_does_not_help() {
        let bytes = encoded(&[entry("a", 1), entry("b", 2)]);
        let body = String::from_utf8(bytes[..bytes.len() - checksum::LINE].to_vec()).unwrap();
        for (from, to, reason) in [
            ("\"format\":1", "\"format\":2", "format 2"),
            ("\"files\":2", "\"files\":3", "other totals"),
            ("\"files\":2", "\"files\":1", "other totals"),
            ("\"files\":2", "\"files\":10000001", "at most"),
            ("\"bytes\":6", "\"bytes\":7", "other totals"),
            ("\"path\":\"b\"", "\"path\":\"a\"", "order"),
            ("\"path\":\"a\"", "\"path\":\"c\"", "order"),
            ("\"path\":\"a\"", "\"path\":\"../a\"", "'.' or '..'"),
            ("\"generation\":1,", "\"generation\":41,", "after this checkpoint"),
            ("\"bytes\":3", "\"bytes\":9223372036854775808", "more than a file"),
            ("\"path\":\"a\"", "\"path\":\"a\",\"path\":\"a\"", "duplicate field"),
            ("{\"checkpoint\"", "{\"other\"", "missing field"),
        ] {
            assert!(body.contains(from), "{from}");
            let error = decoded(&resealed(&body.replacen(from, to, 1))).expect_err(to);
            assert!(error.contains(reason), "{to}: {error}");
        }
        let endless = decoded(&vec![b'x'; 1 << 20]).unwrap_err();
        assert!(endless.contains("checksum line"), "{endless}");
    }
}
