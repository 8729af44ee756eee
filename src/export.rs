//! Writing the files of a snapshot into a directory outside the store.

use std::path::Path;
use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::engine::content::{self, Failed};
use crate::error::{Error, Problem, Result};
use crate::fs::outside::{self, Outside, Place, System};
use crate::fs::real::RealFs;
use crate::fs::{Access, Fs};
use crate::progress::{Progress, ProgressFn};
use crate::snapshot::Snapshot;
use crate::storage::Round as _;
use crate::storage::round::DirectoryRound;

/// What the directory with the files is called until it gets its name.
const FILES: &str = "files";

/// How a snapshot is exported.
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
    /// All or nothing: the directory gets its name once everything in it is durable. Only the directory that the
    /// process works in is filled name by name, as it cannot be replaced under it.
    ///
    /// # Errors
    /// `Invalid` when the directory is not empty; `Corrupt` when a file is damaged, unless those are to be left out;
    /// `Io`. Nothing is left behind then, but where something has already got its name: if only the last flush fails, the
    /// error says so, and the directory is there as a whole until a power cut may take it away; and of the directory
    /// that the process works in, the names that it has got stay.
    pub fn export(&self, dir: impl AsRef<Path>, options: &ExportOptions) -> Result<ExportReport> {
        let dir = &outside::resolve(dir.as_ref())?;
        match outside::place(dir)? {
            Place::Occupied => return Err(Problem::DirectoryNotEmpty(dir.into()).into()),
            Place::NotADirectory => return Err(Problem::NotADirectory(dir.into()).into()),
            Place::Empty | Place::Missing => {}
        }
        outside::check_not_in(dir, self.engine.dir())?;
        let failed = |error| Error::io("cannot export to", dir.display().to_string(), error);
        let unfinished = outside::unfinished_dir(dir).map_err(failed)?;
        let target = Arc::new(RealFs::open(unfinished.path()).map_err(failed)?);
        self.export_through(unfinished.path(), target, &System, dir, options)
    }

    /// The same by way of an unfinished directory, which is also the root of `target`.
    pub(crate) fn export_through(
        &self,
        unfinished: &Path,
        target: Arc<dyn Fs>,
        outside: &dyn Outside,
        dir: &Path,
        options: &ExportOptions,
    ) -> Result<ExportReport> {
        let report = self.export_into(target, dir, options)?;
        outside::publish(outside, unfinished, FILES, dir)?;
        Ok(report)
    }

    /// Writes the files into a new directory [`FILES`] in `target`. Everything in it is durable when this returns, and
    /// its own name need not be. `dir` is what it is to become.
    fn export_into(&self, target: Arc<dyn Fs>, dir: &Path, options: &ExportOptions) -> Result<ExportReport> {
        let failed = |error| Error::io("cannot export to", dir.display().to_string(), error);
        let entries = self.head.table.list(&options.prefix);
        let mut report = ExportReport { files: 0, bytes: 0, damaged: Vec::new() };
        let mut progress = Progress::of(entries.iter().map(|entry| entry.bytes));
        target.make_dir(FILES).map_err(failed)?;
        let mut round = DirectoryRound::new(Arc::clone(&target)).map_err(failed)?;
        for entry in entries {
            options.cancel.check()?;
            self.engine.check_cancel()?;
            let path = &format!("{FILES}/{}", entry.path.as_str());
            let mut file = round.create(path, Access::Writable).map_err(failed)?;
            match content::copy(self.engine.storage(), entry, &mut file) {
                Ok(()) => {
                    round.written(file).map_err(failed)?;
                    report.files += 1;
                    report.bytes = report.bytes.saturating_add(entry.bytes);
                }
                Err(Failed::Sink(error)) => return Err(failed(error)),
                Err(damage) => {
                    let is_damage = matches!(damage, Failed::Damaged(_));
                    let error = self.engine.failed(entry, self.head.link, damage);
                    if !(is_damage && options.skip_damaged) {
                        return Err(error);
                    }
                    drop(file);
                    target.remove(path).map_err(failed)?;
                    report.damaged.push(error);
                }
            }
            progress.done(entry.bytes);
            if let Some(tell) = &options.progress {
                tell(&progress);
            }
        }
        round.flush().map_err(failed)?;
        Ok(report)
    }
}
