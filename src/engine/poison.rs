//! What a handle remembers of a commit whose outcome nobody knows.

use crate::error::{ErrorRepr, Result};
use crate::revision::Generation;
use crate::sync::OnceLock;

/// Set once, when something failed after the pointer may have been swapped; never cleared. Shared by all clones of
/// a handle.
#[derive(Debug, Default)]
pub(crate) struct Poison(OnceLock<Generation>);

impl Poison {
    /// From now on nothing can be committed through this handle.
    pub(crate) fn set(&self, generation: Generation) {
        let _ = self.0.set(generation);
    }

    /// Fails when the handle is poisoned.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.get().map_or(Ok(()), |generation| Err(ErrorRepr::Poisoned(*generation).into()))
    }
}
