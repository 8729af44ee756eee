//! The options for opening or creating a store.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::cancel::CancelFlag;
use crate::engine::Options;
use crate::engine::validate::{Validator, Validators};
use crate::error::Result;

/// How long a writer waits for another writer by default.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// The options for opening or creating a store. [`Store::options`](crate::Store::options) has the
/// defaults.
///
/// They belong to the handle and are not written into the store.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path().join("store");
/// # use std::time::Duration;
/// use genstore::Store;
///
/// let store = Store::options()
///     .author("ann")
///     .lock_wait(Duration::from_secs(5))
///     .validate("**/*.json", genstore::json())?
///     .open_or_create(&dir)?;
/// assert!(store.update("no JSON", |tx| tx.put("index.json", "{")).is_err());
/// store.update("open", |tx| tx.put("index.json", "{}"))?;
/// assert_eq!(store.show("latest")?.author, "ann");
/// # Ok::<(), genstore::Error>(())
/// ```
#[derive(Clone)]
pub struct OpenOptions {
    options: Options,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            options: Options {
                lock_wait: LOCK_WAIT,
                on_lock_wait: None,
                author: String::new(),
                validators: Validators::default(),
                cancel: CancelFlag::new(),
                allow_unsafe_filesystem: false,
                checkpoint_thread: true,
            },
        }
    }
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Options { lock_wait, author, validators, allow_unsafe_filesystem, .. } = &self.options;
        f.debug_struct("OpenOptions")
            .field("lock_wait", lock_wait)
            .field("author", author)
            .field("validators", validators)
            .field("allow_unsafe_filesystem", allow_unsafe_filesystem)
            .finish_non_exhaustive()
    }
}

impl OpenOptions {
    /// The default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a commit waits for another writer before it fails with `Busy`. The default is 30
    /// seconds. Zero means that it does not wait.
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.options.lock_wait = wait;
        self
    }

    /// Calls `callback` before each wait for another writer, with the time that the call has waited
    /// so far. One wait takes at most 16 ms.
    ///
    /// `ControlFlow::Break` ends the call with an error that [is
    /// interrupted](crate::Error::is_interrupted), and nothing is committed. A host language that
    /// runs in this process can look for its signals here.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use std::time::Duration;
    ///
    /// let options = genstore::Store::options().on_lock_wait(|waited| {
    ///     if waited < Duration::from_secs(5) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// });
    /// ```
    #[must_use]
    pub fn on_lock_wait(
        mut self,
        callback: impl Fn(Duration) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.options.on_lock_wait = Some(Arc::new(callback));
        self
    }

    /// The author of each commit whose transaction sets no [author](crate::Transaction::author).
    /// Empty by default; at most 1024 bytes.
    #[must_use]
    pub fn author(mut self, author: &str) -> Self {
        self.options.author = author.to_owned();
        self
    }

    /// Passes every file whose path matches `glob` to `validator` before it is committed. The same
    /// happens before [`Snapshot::get_or_recover`](crate::Snapshot::get_or_recover) returns an
    /// older version.
    ///
    /// `*` matches within one part of a path; `**` matches across parts. May be called several
    /// times: a file must pass every validator whose glob matches.
    ///
    /// Upper and lower case differ in a glob, as they do in a path: `**/*.json` does not match
    /// `INDEX.JSON`. `[jJ]` matches either letter.
    ///
    /// # Errors
    /// `Invalid` when the glob is malformed.
    pub fn validate(mut self, glob: &str, validator: impl Validator + 'static) -> Result<Self> {
        self.options.validators.add(glob, Arc::new(validator))?;
        Ok(self)
    }

    /// A flag that stops long calls. Once it is cancelled, each call through the handle that
    /// writes, exports or verifies fails with an error that [is
    /// interrupted](crate::Error::is_interrupted).
    ///
    /// A commit stops only before its pointer is swapped, and removes what it wrote.
    #[must_use]
    pub fn cancel(mut self, flag: CancelFlag) -> Self {
        self.options.cancel = flag;
        self
    }

    /// Whether [`create`](Self::create) accepts a file system that it would refuse. `false` by
    /// default.
    ///
    /// A network file system is refused, and so is one that fails the probe of what a commit needs.
    /// If such a file system is accepted, the [warnings](crate::ProbeReport::warnings) say what it
    /// lacks.
    #[must_use]
    pub const fn allow_unsafe_filesystem(mut self, allow: bool) -> Self {
        self.options.allow_unsafe_filesystem = allow;
        self
    }

    /// Whether checkpoints are written by a thread of their own. `true` by default.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) const fn checkpoint_thread(mut self, own: bool) -> Self {
        self.options.checkpoint_thread = own;
        self
    }
}

impl From<OpenOptions> for Options {
    fn from(options: OpenOptions) -> Self {
        options.options
    }
}
