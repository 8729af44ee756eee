//! The arguments of a program.

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Result;

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

    /// The words from the first one on.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
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
