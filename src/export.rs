//! Writing the files of a snapshot into a directory outside the store.

use std::path::Path;
use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::engine::content::{self, ReadError};
use crate::error::{Error, Result};
use crate::progress::{Progress, ProgressFn};
use crate::snapshot::Snapshot;
use crate::storage::export_dir::ExportDir;

/// How a snapshot is exported.
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
    /// The usual options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only paths that begin with this. All of them unless set.
    pub fn prefix(mut self, prefix: impl AsRef<str>) -> Self {
        prefix.as_ref().clone_into(&mut self.prefix);
        self
    }

    /// Whether files that are damaged are left out instead of ending the export. `false` unless set.
    pub const fn skip_damaged(mut self, skip: bool) -> Self {
        self.skip_damaged = skip;
        self
    }

    /// Tells this of every file that is done. See [`Progress`].
    pub fn progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(tell));
        self
    }

    /// Ends the export between two files once this is cancelled, and nothing is left of it. The store's own flag does so as well.
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

/// What was exported.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExportReport {
    /// The number of files.
    pub files: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// The errors of the files that were left out.
    pub damaged: Vec<Error>,
}

impl Snapshot {
    /// Writes every file into `dir`, which must not exist or be empty, and checks each on the way.
    ///
    /// All or nothing: the directory gets its name once everything in it is durable. It cannot be the directory that
    /// the process works in, as that one would be replaced under it.
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
    /// `Invalid` when the directory is not empty, or is the working directory; `Corrupt` when a file is damaged, unless
    /// those are to be left out; `Io`. Nothing is left behind then, but where the directory has already got its name: if
    /// only the last fsync fails, the error says so, and the directory is there as a whole until a power cut may take
    /// it away.
    pub fn export(&self, dir: impl AsRef<Path>, options: &ExportOptions) -> Result<ExportReport> {
        self.export_to(ExportDir::begin(dir.as_ref(), self.engine.dir())?, options)
    }

    /// Writes the files into a directory that has begun, and finishes it.
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
                Err(damage) => {
                    let is_damage = matches!(damage, ReadError::Damaged(_));
                    let error = self.engine.failed(entry, self.head.link, damage);
                    if !(is_damage && options.skip_damaged) {
                        return Err(error);
                    }
                    target.leave_out(&entry.path, file)?;
                    report.damaged.push(error);
                }
            }
            progress.done(entry.bytes);
            if let Some(tell) = &options.progress {
                tell(&progress);
            }
        }
        target.publish()?;
        Ok(report)
    }
}
