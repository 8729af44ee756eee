//! What an application requires of its files before they are committed.

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;
use std::sync::Arc;

use globset::{Glob, GlobBuilder, GlobMatcher};
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorRepr, Result};
use crate::path::StorePath;

/// Why a [`Validator`] refuses content. `?` converts every error into it, and `into()` every text.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Checks the content of a file before it is committed, and of an older version before it is served
/// in place of a damaged one.
///
/// Any closure of this shape is a validator, if the types of its arguments are written out. See
/// also [`json`] and [`json_as`].
///
/// ```
/// use std::io::Read;
/// # fn main() -> genstore::Result<()> {
/// let in_range = |path: &genstore::StorePath, content: &mut dyn Read| {
///     let mut text = String::new();
///     content.read_to_string(&mut text)?;
///     let percent: u8 = text.trim().parse()?;
///     if percent > 100 {
///         return Err(format!("{path} is more than 100 %").into());
///     }
///     Ok(())
/// };
/// let options = genstore::Store::options().validate("rates/*", in_range)?;
/// # Ok(())
/// # }
/// ```
///
/// Validators belong to a handle, not to the store. The command has none, and another program has
/// its own.
pub trait Validator: Send + Sync {
    /// Checks the content of the file at `path`. Reads as much of it as the check needs.
    ///
    /// # Errors
    /// Why the content is refused, as a clause for a person. It becomes the
    /// [source](std::error::Error::source) of the error of the commit.
    fn validate(&self, path: &StorePath, content: &mut dyn Read) -> Result<(), BoxError>;
}

impl<F: Fn(&StorePath, &mut dyn Read) -> Result<(), BoxError> + Send + Sync> Validator for F {
    fn validate(&self, path: &StorePath, content: &mut dyn Read) -> Result<(), BoxError> {
        self(path, content)
    }
}

/// Accepts JSON that [`get_json`](crate::Snapshot::get_json) can read as a [`serde_json::Value`].
///
/// A number beyond the range of `f64`, half a surrogate pair, and nesting deeper than 127 levels
/// are refused, as they cannot be read back. The parsed document is held in memory.
#[must_use]
pub fn json() -> impl Validator {
    json_as::<serde_json::Value>()
}

/// Accepts JSON from which `T` can be deserialized.
#[must_use]
pub fn json_as<T: DeserializeOwned + 'static>() -> impl Validator {
    JsonAs::<T>(PhantomData)
}

struct JsonAs<T>(PhantomData<fn() -> T>);

impl<T: DeserializeOwned> Validator for JsonAs<T> {
    fn validate(&self, _: &StorePath, content: &mut dyn Read) -> Result<(), BoxError> {
        let content = std::io::BufReader::with_capacity(1 << 16, content);
        serde_json::from_reader::<_, T>(content).map(drop).map_err(Into::into)
    }
}

/// The validators of a handle, each with the glob of its paths.
#[derive(Clone, Default)]
pub(crate) struct Validators(Vec<(GlobMatcher, Arc<dyn Validator>)>);

impl fmt::Debug for Validators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(glob, _)| glob.glob().glob())).finish()
    }
}

impl Validators {
    pub(crate) fn add(&mut self, glob: &str, validator: Arc<dyn Validator>) -> Result<()> {
        self.0.push((compile(glob)?.compile_matcher(), validator));
        Ok(())
    }

    /// Whether any validator concerns this path.
    pub(crate) fn concern(&self, path: &StorePath) -> bool {
        self.0.iter().any(|(glob, _)| glob.is_match(path.as_str()))
    }

    /// Runs every validator that concerns the path. Calls `open` once for each.
    pub(crate) fn check(
        &self,
        path: &StorePath,
        mut open: impl FnMut() -> Result<Box<dyn Read>>,
    ) -> Result<()> {
        for (glob, validator) in self.0.iter().filter(|(glob, _)| glob.is_match(path.as_str())) {
            validator.validate(path, &mut *open()?).map_err(|source| {
                let pattern = glob.glob().glob().to_owned();
                Error::from(ErrorRepr::Refused { path: path.clone(), pattern, source })
            })?;
        }
        Ok(())
    }
}

/// Compiles a glob in which `*` stays within one part of a path and `**` crosses parts.
pub(crate) fn compile(glob: &str) -> Result<Glob> {
    GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| {
        ErrorRepr::BadPattern { pattern: glob.to_owned(), detail: error.kind().to_string() }.into()
    })
}
