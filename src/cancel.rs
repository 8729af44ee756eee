//! A request to stop a long call.

use std::sync::Arc;

use crate::error::{ErrorRepr, Result};
use crate::sync::atomic::{AtomicBool, Ordering};

/// A request to stop a long call. All clones are the same flag.
///
/// Give the flag to a handle with [`OpenOptions::cancel`](crate::OpenOptions::cancel), or to the
/// options of one call. Once the flag is cancelled, these calls end with an error that [is
/// interrupted](crate::Error::is_interrupted). A commit stops only while nothing of it is visible.
/// [`cancel`](CancelFlag::cancel) is one atomic store, so a signal handler may call it.
///
/// ```
/// # fn main() -> genstore::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let stop = genstore::CancelFlag::new();
/// let store = genstore::Store::options().cancel(stop.clone()).create(dir.path().join("store"))?;
/// stop.cancel();
/// let stopped = store.update("too late", |tx| tx.put("a", "1")).unwrap_err();
/// assert!(stopped.is_interrupted() && stop.is_cancelled());
///
/// stop.reset();
/// store.update("in time", |tx| tx.put("a", "1"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CancelFlag(Arc<AtomicBool>);

impl Default for CancelFlag {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }
}

impl CancelFlag {
    /// A flag that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every call that has this flag to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Takes the request back. Later calls are not stopped.
    pub fn reset(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether [`cancel`](CancelFlag::cancel) was called, and no [`reset`](CancelFlag::reset)
    /// since.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails if the flag is cancelled.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(ErrorRepr::Cancelled.into()) } else { Ok(()) }
    }
}
