//! The pointer: the file `CURRENT`, which names the generation at the head.

use serde::{Deserialize, Serialize};

use super::json::{self, Extra};
use super::{FORMAT, FormatError, checksum};
use crate::hash::Blake3;
use crate::revision::Generation;

/// The longest pointer that is read, in bytes.
pub(crate) const POINTER_MAX: u64 = 4096;

/// A generation and the hash of its manifest: one link of the chain of generations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct ManifestRef {
    /// The generation.
    pub(crate) generation: Generation,
    /// The BLAKE3 hash of the bytes of its manifest file.
    pub(crate) manifest: Blake3,
}

/// The content of `CURRENT`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pointer {
    format: u64,
    #[serde(flatten)]
    pub(crate) head: ManifestRef,
    /// The parent of the head: what to serve when the manifest of the head is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<ManifestRef>,
    #[serde(flatten)]
    pub(crate) extra: Extra,
}

impl json::Versioned for Pointer {
    fn format(&self) -> u64 {
        self.format
    }
}

impl Pointer {
    /// A pointer to `head`, whose parent is `parent`, with the unknown fields of an earlier
    /// pointer.
    pub(crate) const fn new(head: ManifestRef, parent: Option<ManifestRef>, extra: Extra) -> Self {
        Self { format: FORMAT, head, parent, extra }
    }

    /// The bytes of `CURRENT`.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, FormatError> {
        Ok(checksum::seal(format!("{}\n", json::write(self)?).into_bytes()))
    }

    /// The pointer in the bytes of `CURRENT`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let found = bytes.len() as u64;
        if found > POINTER_MAX {
            return Err(FormatError::TooLong { limit: POINTER_MAX, found });
        }
        let body = checksum::unseal(bytes)?;
        let pointer: Self = json::read_versioned(body)?;
        if body.find('\n') != Some(body.len() - 1) {
            return Err(FormatError::rule("the pointer must be one line"));
        }
        if pointer.parent.is_some_and(|parent| parent.generation >= pointer.head.generation) {
            return Err(FormatError::rule("the parent must be an earlier generation"));
        }
        Ok(pointer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer() -> Pointer {
        let head = ManifestRef { generation: Generation::new(42).unwrap(), manifest: Blake3::of(b"m") };
        Pointer::new(head, None, Extra::new())
    }

    fn sealed(body: &str) -> Vec<u8> {
        checksum::seal(body.as_bytes().to_vec())
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let text = String::from_utf8(pointer().encode().unwrap()).unwrap();
        let hash = Blake3::of(b"m");
        let first = format!("{{\"format\":1,\"generation\":42,\"manifest\":\"{hash}\"}}");
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap(), first);
        assert_eq!(
            lines.next().unwrap(),
            format!("{{\"sum\":\"crc32:{:08x}\"}}", crc32fast::hash(format!("{first}\n").as_bytes()))
        );
        assert_eq!(lines.next(), None);
        assert_eq!(Pointer::decode(text.as_bytes()).unwrap(), pointer());
    }

    #[test]
    fn the_parent_is_an_earlier_generation() {
        let link = |number, of: &[u8]| ManifestRef {
            generation: Generation::new(number).unwrap(),
            manifest: Blake3::of(of),
        };
        let pointer = Pointer::new(link(42, b"m"), Some(link(40, b"p")), Extra::new());
        let bytes = pointer.encode().unwrap();
        let parent = format!("\"parent\":{{\"generation\":40,\"manifest\":\"{}\"}}}}\n", Blake3::of(b"p"));
        assert!(String::from_utf8(bytes.clone()).unwrap().contains(&parent));
        assert_eq!(Pointer::decode(&bytes), Ok(pointer));
        let late = Pointer::new(link(42, b"m"), Some(link(42, b"p")), Extra::new()).encode().unwrap();
        assert!(Pointer::decode(&late).unwrap_err().to_string().contains("earlier generation"));
    }

    #[test]
    fn unknown_fields_survive() {
        let hash = Blake3::of(b"m");
        let bytes = sealed(&format!(
            "{{\"format\":1,\"generation\":42,\"manifest\":\"{hash}\",\"later\":{{\"x\":[1]}}}}\n"
        ));
        let pointer = Pointer::decode(&bytes).unwrap();
        assert_eq!(pointer.extra["later"]["x"][0], 1);
        assert_eq!(pointer.encode().unwrap(), bytes);
    }

    #[test]
    fn hostile_pointers_are_refused_with_the_reason() {
        let good = String::from_utf8(pointer().encode().unwrap()).unwrap();
        let line = good.lines().next().unwrap();
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (vec![], "empty"),
            (vec![0; 127], "checksum line"),
            (good.replace('\n', "\r\n").into_bytes(), "checksum line"),
            (good.trim_end().into(), "checksum line"),
            (format!("{good}{good}").into_bytes(), "checksum"),
            (format!("\u{feff}{good}").into_bytes(), "checksum"),
            (sealed(&format!("\u{feff}{line}\n")), "expected value"),
            (sealed(&format!("{line}\n{line}\n")), "trailing characters"),
            (sealed(&format!("\n{line}\n")), "one line"),
            (sealed(&format!("{}\n", line.replace("42", "0"))), "1 to 9999999999"),
            (sealed(&format!("{}\n", line.replace("42", "10000000000"))), "1 to 9999999999"),
            (sealed(&format!("{}\n", line.replace("42", "18446744073709551616"))), "JSON"),
            (sealed(&format!("{}\n", line.replace("42", "-1"))), "JSON"),
            (sealed(&format!("{}\n", line.replace("42", "42.0"))), "JSON"),
            (
                sealed(&format!(
                    "{}\n",
                    line.replace("\"generation\":42", "\"generation\":42,\"generation\":42")
                )),
                "twice",
            ),
            (sealed(&format!("{}\n", line.replace("\"format\":1", "\"format\":2"))), "format 2"),
            (sealed(&format!("{}\n", line.replace("\"format\":1", "\"format\":0"))), "no format 0"),
            (sealed("null\n"), "JSON"),
            (sealed("\n"), "JSON"),
            (vec![b' '; 5000], "more than the 4096"),
        ];
        for (bytes, reason) in cases {
            let error = Pointer::decode(&bytes).expect_err(reason).to_string();
            assert!(error.contains(reason), "{error} lacks {reason}");
        }
    }
}
