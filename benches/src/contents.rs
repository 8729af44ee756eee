//! Contents to commit.

use std::fmt::Write as _;

/// The length of each file of the programs `fsync` and `manifest_cost`, in bytes.
pub const FILE_BYTES: usize = 4096;

/// Generates new contents, so that every peer must write them.
#[derive(Debug, Default)]
pub struct Contents(u64);

impl Contents {
    /// [`FILE_BYTES`] of JSON.
    pub fn next_file(&mut self) -> Vec<u8> {
        self.next_of(FILE_BYTES)
    }

    /// JSON of this many bytes, at least 2.
    pub fn next_of(&mut self, bytes: usize) -> Vec<u8> {
        let mut text = String::with_capacity(bytes + 64);
        text.push('{');
        while text.len() < bytes {
            // Any odd multiplier works: the numbers must differ, not be random.
            self.0 = self.0.wrapping_add(1);
            let number = self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            // A write to a string does not fail.
            let _ = write!(text, "\"{number:016x}\":{},", number >> 40);
        }
        text.truncate(bytes - 1);
        text.push('}');
        text.into_bytes()
    }

    /// New contents for the first `count` of the paths that every row commits to.
    pub fn next_files(&mut self, count: usize, bytes: usize) -> Vec<(String, Vec<u8>)> {
        (0..count).map(|number| (path(number), self.next_of(bytes))).collect()
    }
}

/// The path of the file of this number.
#[must_use]
pub fn path(number: usize) -> String {
    format!("stores/{number:05}.json")
}
