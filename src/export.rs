//! The files of a snapshot, written into a directory outside the store.

use std::path::Path;
use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::engine::content::{self, ReadError};
use crate::error::{Error, Result};
use crate::progress::{Progress, ProgressFn};
use crate::snapshot::Snapshot;
use crate::storage::export_dir::ExportDir;

/// The options of [`Snapshot::export`].
///
/// ```
/// # use genstore::{CancelFlag, ExportOptions};
/// let stop = CancelFlag::new();
/// let options = ExportOptions::new().prefix("stores/").skip_damaged(true).cancel(stop.clone());
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct ExportOptions {
    prefix: String,
    skip_damaged: bool,
    progress: Option<ProgressFn>,
    cancel: CancelFlag,
}

impl ExportOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Exports only the paths that begin with `prefix`. All paths by default.
    pub fn prefix(mut self, prefix: impl AsRef<str>) -> Self {
        prefix.as_ref().clone_into(&mut self.prefix);
        self
    }

    /// Whether to leave out damaged files and to list them in [`ExportReport::damaged`]. A file that
    /// this process has no permission to read counts as damaged here. `false` by default: such a
    /// file is then an error.
    pub const fn skip_damaged(mut self, skip: bool) -> Self {
        self.skip_damaged = skip;
        self
    }

    /// Calls `callback` after every file. See [`Progress`].
    pub fn progress(mut self, callback: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(callback));
        self
    }

    /// A flag that stops the export between two files. Nothing is left of the export then. The
    /// [flag of the handle](crate::OpenOptions::cancel) stops it too.
    pub fn cancel(mut self, flag: CancelFlag) -> Self {
        self.cancel = flag;
        self
    }
}

impl std::fmt::Debug for ExportOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportOptions")
            .field("prefix", &self.prefix)
            .field("skip_damaged", &self.skip_damaged)
            .finish_non_exhaustive()
    }
}

/// What [`Snapshot::export`] has written.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExportReport {
    /// The number of files.
    pub files: u64,
    /// The length of these files together, in bytes.
    pub bytes: u64,
    /// One error for each damaged file that was left out.
    pub damaged: Vec<Error>,
}

impl Snapshot {
    /// Copies the files into a new directory outside the store, and checks the hash of each.
    ///
    /// `dir` must not exist, or be empty. The export is whole or absent: the directory gets its
    /// name once everything in it is durable, and the name is durable when this returns `Ok`. Times,
    /// owners and modes of files are not kept.
    ///
    /// The export replaces an empty directory, with the same mode and owner. So `dir` can be neither
    /// the working directory of the process nor a mount point, and the directory above it must be
    /// writable. A killed export leaves a directory `.genstore-export-*` there, which may be
    /// removed.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("stores/downtown.json", "{}"))?;
    /// let out = dir.path().join("out");
    /// let report = store.snapshot()?.export(&out, &genstore::ExportOptions::new())?;
    /// assert_eq!(report.files, 1);
    /// assert!(out.join("stores/downtown.json").is_file());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// Nothing of the export is left behind after an error, with one exception: if only the last
    /// fsync fails, the error says so. The directory is then in place and whole, but a power cut
    /// may take it away.
    /// * `Invalid` when `dir` is not empty, is not a directory, is the working directory, or lies
    ///   in the store.
    /// * `Corrupt` when a file is damaged, unless [`skip_damaged`](ExportOptions::skip_damaged) is
    ///   set.
    /// * `Io` when the system refused, such as to give the export the owner of an empty `dir`, or a
    ///   [`CancelFlag`] stopped the call.
    pub fn export(&self, dir: impl AsRef<Path>, options: &ExportOptions) -> Result<ExportReport> {
        self.export_to(ExportDir::begin(dir.as_ref(), self.engine.dir())?, options)
    }

    /// Writes the files into an export that has begun, and publishes it.
    pub(crate) fn export_to(&self, mut target: ExportDir, options: &ExportOptions) -> Result<ExportReport> {
        let entries = || self.head.table.list(&options.prefix);
        let mut report = ExportReport { files: 0, bytes: 0, damaged: Vec::new() };
        let mut progress = Progress::of(entries().map(|entry| entry.bytes));
        for entry in entries() {
            options.cancel.check()?;
            self.engine.check_cancel()?;
            let mut file = target.create(&entry.path)?;
            match content::copy(self.engine.storage(), entry, &mut file) {
                Ok(()) => {
                    target.written(file)?;
                    report.files += 1;
                    report.bytes = report.bytes.saturating_add(entry.bytes);
                }
                Err(ReadError::Sink(error)) => return Err(target.failed(error)),
                Err(failed) => {
                    let is_of_this_file = match &failed {
                        ReadError::Damaged(_) => true,
                        ReadError::Unknown(error) => content::is_of_one_file(error),
                        ReadError::Sink(_) => false,
                    };
                    let error = self.engine.failed(entry, self.head.link, failed);
                    if !(is_of_this_file && options.skip_damaged) {
                        return Err(error);
                    }
                    target.leave_out(&entry.path, file)?;
                    report.damaged.push(error);
                }
            }
            progress.done(entry.bytes);
            if let Some(callback) = &options.progress {
                callback(&progress);
            }
        }
        target.publish()?;
        Ok(report)
    }
}
