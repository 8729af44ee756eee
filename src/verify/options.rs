//! How a store is checked.

use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::progress::{Progress, ProgressFn};
use crate::revision::Generation;

/// What is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum VerifyScope {
    /// The newest generation.
    #[default]
    Head,
    /// One generation.
    Generation(Generation),
    /// Every generation, every checkpoint, and every name that belongs to none.
    All,
}

/// How a store is checked.
///
/// ```
/// # use genstore::VerifyOptions;
/// let quick = VerifyOptions::new()
///     .quick(true)
///     .progress(|progress| eprintln!("{} of {}", progress.files_done, progress.files_total));
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct VerifyOptions {
    pub(super) scope: VerifyScope,
    pub(super) quick: bool,
    pub(super) threads: usize,
    pub(super) progress: Option<ProgressFn>,
    pub(super) cancel: CancelFlag,
}

impl VerifyOptions {
    /// The usual options: every byte of the newest generation.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is checked. The newest generation unless set.
    pub const fn scope(mut self, scope: VerifyScope) -> Self {
        self.scope = scope;
        self
    }

    /// Whether only names, lengths and the chain are checked, instead of every byte. `false` unless set.
    pub const fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// The number of threads that read. One for each core unless set, and where 0 is set.
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Tells this of every file that is done. See [`Progress`].
    pub fn progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(tell));
        self
    }

    /// Ends the check between two files once this is cancelled. The store's own flag does so as well.
    pub fn cancel(mut self, flag: CancelFlag) -> Self {
        self.cancel = flag;
        self
    }
}

impl std::fmt::Debug for VerifyOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { scope, quick, threads, .. } = self;
        f.debug_struct("VerifyOptions")
            .field("scope", scope)
            .field("quick", quick)
            .field("threads", threads)
            .finish_non_exhaustive()
    }
}
