//! Conversion between bytes and types, without I/O. `docs/format.md` is the specification.
//!
//! The bytes may be hostile. So sizes are bounded before anything is allocated, errors are typed,
//! and nothing panics.

pub(crate) mod checkpoint;
pub(crate) mod checksum;
pub(crate) mod entry;
pub(crate) mod json;
pub(crate) mod manifest;
pub(crate) mod names;
pub(crate) mod pointer;

/// The version of the format that this program writes, and the newest that it reads.
pub(crate) const FORMAT: u64 = 1;

/// Why bytes are not a valid document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("it is empty")]
    Empty,
    #[error("it has {found} bytes, more than the {limit} allowed")]
    TooLong { limit: u64, found: u64 },
    #[error("it does not end in a checksum line")]
    NoChecksum,
    #[error("its checksum line says {expected}, its bytes give {found}")]
    Checksum { expected: String, found: String },
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("its JSON does not fit the format: {0}")]
    Json(String),
    #[error("it breaks a rule: {0}")]
    Rule(String),
    #[error("it is written in format {0}")]
    Newer(u64),
}

impl FormatError {
    pub(crate) fn rule(text: impl Into<String>) -> Self {
        Self::Rule(text.into())
    }
}
