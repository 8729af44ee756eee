//! Poisoning: a handle remembers a commit whose outcome is unknown.

use crate::error::{ErrorRepr, Result};
use crate::revision::Generation;
use crate::sync::OnceLock;

/// Set once, when something fails after the pointer may have been swapped. Never cleared. All
/// clones of a handle share it.
#[derive(Debug, Default)]
pub(crate) struct Poison(OnceLock<Generation>);

impl Poison {
    /// Poisons the handle: from now on it commits nothing.
    pub(crate) fn set(&self, generation: Generation) {
        let _ = self.0.set(generation);
    }

    /// Fails when the handle is poisoned.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.get().map_or(Ok(()), |generation| Err(ErrorRepr::Poisoned(*generation).into()))
    }
}
