//! A request to stop.

use std::sync::Arc;

use crate::error::{ErrorRepr, Result};
use crate::sync::atomic::{AtomicBool, Ordering};

/// A request to stop what takes long. All clones are the same flag.
///
/// Once it is cancelled, everything that was given it ends with an error that
/// [is interrupted](crate::Error::is_interrupted), and a commit ends so only while nothing of it is visible. To cancel
/// is one atomic store, so a signal handler may do it.
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

    /// Asks everything that has this flag to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Takes the request back, so that what has this flag can be used again.
    pub fn reset(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether it has been asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails once it has been asked to stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(ErrorRepr::Cancelled.into()) } else { Ok(()) }
    }
}
