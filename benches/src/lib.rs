//! The shared parts of the benchmarks: arguments, medians, files to commit, and facts about the
//! machine.

pub mod disk;
pub mod stats;

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

/// Any error ends the program, which prints it.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The length of every committed file, in bytes.
pub const FILE_BYTES: usize = 4096;

/// The arguments of a program: a directory to work in, and options.
#[derive(Debug)]
pub struct Args(Vec<String>);

impl Args {
    /// The arguments of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The value after `--name`, or `default`.
    ///
    /// # Errors
    /// The value is missing or cannot be parsed.
    pub fn option<T: FromStr<Err: Error + 'static>>(&self, name: &str, default: T) -> Result<T> {
        match self.0.iter().position(|word| word == name) {
            None => Ok(default),
            Some(at) => Ok(self.0.get(at + 1).ok_or_else(|| format!("{name} needs a value"))?.parse()?),
        }
    }

    /// The values after `--name`, separated by commas, or `default`.
    ///
    /// # Errors
    /// See [`option`](Self::option).
    pub fn list(&self, name: &str, default: &str) -> Result<Vec<usize>> {
        let text = self.option(name, default.to_owned())?;
        text.split(',').map(|number| Ok(number.parse()?)).collect()
    }

    /// Whether `name` is given.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name)
    }

    /// The directory to work in, which is the first argument.
    ///
    /// # Errors
    /// There is none. No program guesses which disk to measure.
    pub fn dir(&self) -> Result<PathBuf> {
        let dir = self.0.first().filter(|word| !word.starts_with("--"));
        Ok(dir.ok_or("the first argument is a directory on the file system to measure")?.into())
    }
}

/// Generates new contents, so that every peer must write them.
#[derive(Debug, Default)]
pub struct Contents(u64);

impl Contents {
    /// [`FILE_BYTES`] of JSON.
    pub fn next_file(&mut self) -> Vec<u8> {
        let mut text = String::with_capacity(FILE_BYTES + 64);
        text.push('{');
        while text.len() < FILE_BYTES {
            // Any odd multiplier works: the numbers must differ, not be random.
            self.0 = self.0.wrapping_add(1);
            let number = self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            // A write to a string does not fail.
            let _ = write!(text, "\"{number:016x}\":{},", number >> 40);
        }
        text.truncate(FILE_BYTES - 1);
        text.push('}');
        text.into_bytes()
    }

    /// `count` files under the paths that every benchmark commits to.
    pub fn next_files(&mut self, count: usize) -> Vec<(String, Vec<u8>)> {
        (0..count).map(|number| (format!("stores/{number:05}.json"), self.next_file())).collect()
    }
}
