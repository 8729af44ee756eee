//! What the file table knows about one file.

use serde::{Deserialize, Serialize};

use super::FormatError;
use crate::hash::Blake3;
use crate::path::StorePath;
use crate::revision::Generation;

/// The longest file, in bytes: as far as a signed 64-bit offset reaches.
pub(crate) const FILE_MAX: u64 = i64::MAX.unsigned_abs();

/// The most files in one store.
pub(crate) const FILES_MAX: u64 = 10_000_000;

/// One line of the file table: a path and the bytes that are live at it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The logical path.
    pub(crate) path: StorePath,
    /// The generation that wrote the bytes.
    pub(crate) generation: Generation,
    /// The length in bytes.
    pub(crate) bytes: u64,
    /// The hash of the bytes.
    pub(crate) blake3: Blake3,
    /// The path at which the bytes were written, if a rename changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored_as: Option<StorePath>,
}

impl Entry {
    /// The path of the bytes in `data/`.
    pub(crate) fn stored_path(&self) -> &StorePath {
        self.stored_as.as_ref().unwrap_or(&self.path)
    }

    /// Whether both are the same file on disk.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        self.generation == other.generation && self.stored_path() == other.stored_path()
    }

    /// The same bytes at another path.
    pub(crate) fn renamed(&self, path: StorePath) -> Self {
        let stored_as = Some(self.stored_path()).filter(|stored| **stored != path).cloned();
        Self { path, stored_as, ..self.clone() }
    }

    /// Checks the rules that the types do not enforce.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        if self.bytes > FILE_MAX {
            return Err(FormatError::rule(format!(
                "{} is given {} bytes, more than a file can have",
                self.path, self.bytes
            )));
        }
        if self.stored_as.as_ref() == Some(&self.path) {
            return Err(FormatError::rule(format!("{} names itself in stored_as", self.path)));
        }
        Ok(())
    }
}
