//! The bare floor: the bytes go into a file that has its blocks already, and one `fdatasync`. It can
//! be read back neither by name nor at all after the file has come round.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::{Files, Peer};
use crate::Result;

/// The length of the file.
const BYTES: u64 = 64 << 20;
/// Each commit begins at a multiple of this, so that no block is written twice.
const BLOCK: u64 = 4096;

/// The file, and where the next commit goes.
#[derive(Debug)]
pub struct Floor {
    file: File,
    at: u64,
}

impl Floor {
    /// Writes the file through once.
    ///
    /// # Errors
    /// The disk fails.
    pub fn create(dir: &Path) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(dir.join("floor"))?;
        let zeros = vec![0; 1 << 20];
        for mebibyte in 0..BYTES >> 20 {
            file.write_all_at(&zeros, mebibyte << 20)?;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }
}

impl Peer for Floor {
    fn commit(&mut self, files: Files) -> Result<()> {
        let bytes = files.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>().concat();
        let length = bytes.len() as u64;
        if self.at + length > BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&bytes, self.at)?;
        self.file.sync_data()?;
        self.at = (self.at + length).next_multiple_of(BLOCK);
        Ok(())
    }
}
