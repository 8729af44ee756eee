//! The options of a check.

use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::progress::{Progress, ProgressFn};
use crate::revision::Generation;

/// Which part of a store [`Store::verify`](crate::Store::verify) checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum VerifyScope {
    /// The newest generation.
    #[default]
    Head,
    /// One generation.
    Generation(Generation),
    /// Every generation, every checkpoint, and every file that belongs to none of them.
    All,
}

/// The options of [`Store::verify`](crate::Store::verify).
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
    /// The default options: every byte of the newest generation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which part of the store to check. The newest generation by default.
    pub const fn scope(mut self, scope: VerifyScope) -> Self {
        self.scope = scope;
        self
    }

    /// Whether to check only names and lengths of files, and not their bytes. Manifests are checked
    /// in any case. `false` by default.
    pub const fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// The number of threads that read files, at most 64. 0 means one for each core, which is the
    /// default.
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Calls `callback` after every file, from several threads but one at a time. See [`Progress`].
    pub fn progress(mut self, callback: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(callback));
        self
    }

    /// A flag that stops the check between two files. The [flag of the
    /// handle](crate::OpenOptions::cancel) stops it too.
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
