//! Writing the files of a snapshot into a directory outside the store.

use std::path::Path;
use std::sync::Arc;

use crate::engine::content::{self, Failed};
use crate::error::{Error, Operation, Problem, Result};
use crate::fs::outside::{self, Outside, Place, System};
use crate::fs::real::RealFs;
use crate::fs::{Access, Fs};
use crate::import::{Progress, ProgressFn};
use crate::snapshot::Snapshot;
use crate::storage::Round as _;
use crate::storage::round::DirectoryRound;
use crate::sync::atomic::{AtomicBool, Ordering};

/// What the directory with the files is called until it gets its name.
const FILES: &str = "files";

/// How a snapshot is exported.
#[derive(Clone, Default)]
pub struct Export {
    /// Only paths that begin with this. All of them unless set.
    pub prefix: String,
    /// Whether files that are damaged are left out instead of ending the export.
    pub skip_damaged: bool,
    /// Told of every file that has been written.
    pub progress: Option<ProgressFn>,
    /// Ends the export once it is true.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export")
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
    pub fn export(&self, dir: impl AsRef<Path>, options: &Export) -> Result<ExportReport> {
        let dir = &outside::resolve(dir.as_ref())?;
        match outside::place(dir)? {
            Place::Occupied => return Err(Problem::DirectoryNotEmpty(dir.into()).into()),
            Place::NotADirectory => return Err(Problem::NotADirectory(dir.into()).into()),
            Place::Empty | Place::Missing => {}
        }
        outside::check_not_in(dir, self.engine.dir())?;
        let failed = |error| Error::io(Operation::Export, dir.display().to_string(), error);
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
        options: &Export,
    ) -> Result<ExportReport> {
        let report = self.export_into(target, dir, options)?;
        outside::publish(outside, unfinished, FILES, dir)?;
        Ok(report)
    }

    /// Writes the files into a new directory [`FILES`] in `target`. Everything in it is durable when this returns, and
    /// its own name need not be. `dir` is what it is to become.
    fn export_into(&self, target: Arc<dyn Fs>, dir: &Path, options: &Export) -> Result<ExportReport> {
        let failed = |error| Error::io(Operation::Export, dir.display().to_string(), error);
        let entries = self.head.table.list(&options.prefix);
        let mut report = ExportReport { files: 0, bytes: 0, damaged: Vec::new() };
        let mut progress = Progress::of(entries.iter().map(|entry| entry.bytes));
        target.make_dir(FILES).map_err(failed)?;
        let mut round = DirectoryRound::new(Arc::clone(&target)).map_err(failed)?;
        for entry in entries {
            if options.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
                return Err(Problem::Cancelled.into());
            }
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
