//! A directory of plain files outside the store. It gets its name once everything in it is durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::WriteBatch as _;
use super::batch::DirectoryBatch;
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::fs::host_dirs::{self, HostDirs, Place, System};
use crate::fs::real::RealFs;
use crate::fs::{Access, Fs, FsFile};
use crate::path::StorePath;

/// The name of the export inside the unfinished directory.
const FILES: &str = "files";

/// An export in progress. Dropping it removes what it wrote.
#[derive(Debug)]
pub(crate) struct ExportDir {
    to: PathBuf,
    unfinished: PathBuf,
    host_dirs: Box<dyn HostDirs>,
    /// The unfinished directory as a tree.
    target: Arc<dyn Fs>,
    batch: DirectoryBatch,
    /// Whether an empty directory has the name.
    replaces: bool,
    /// Removes the unfinished directory and everything in it.
    _cleanup: Option<tempfile::TempDir>,
}

impl ExportDir {
    /// Begins an export to `to`, which must be missing or an empty directory, and must lie outside
    /// the store.
    pub(crate) fn begin(to: &Path, store: &Path) -> Result<Self> {
        let to = host_dirs::resolve(to)?;
        if host_dirs::is_working_directory(&to) {
            return Err(ErrorRepr::WorkingDirectory(to).into());
        }
        let replaces = match host_dirs::place(&to)? {
            Place::Occupied => return Err(ErrorRepr::DirectoryNotEmpty(to).into()),
            Place::NotADirectory => return Err(ErrorRepr::NotADirectory(to).into()),
            Place::Empty => true,
            Place::Missing => false,
        };
        host_dirs::check_not_in(&to, store)?;
        let unfinished = host_dirs::unfinished_dir(&to).map_err(|error| failed(&to, error))?;
        let path = unfinished.path().to_owned();
        let target = RealFs::open(&path).map_err(|error| failed(&to, error))?;
        let begun = Self::begin_on(Arc::new(target), path, Box::new(System), to)?;
        Ok(Self { replaces, _cleanup: Some(unfinished), ..begun })
    }

    /// Like [`begin`](Self::begin), but uses an existing unfinished directory, which is also the
    /// root of `target`.
    pub(crate) fn begin_on(
        target: Arc<dyn Fs>,
        unfinished: PathBuf,
        host_dirs: Box<dyn HostDirs>,
        to: PathBuf,
    ) -> Result<Self> {
        target.create_dir(FILES).map_err(|error| failed(&to, error))?;
        let batch = DirectoryBatch::new(Arc::clone(&target)).map_err(|error| failed(&to, error))?;
        Ok(Self { to, unfinished, host_dirs, target, batch, replaces: false, _cleanup: None })
    }

    /// Creates a file and the directories above it. The caller gives it back to
    /// [`written`](Self::written) or [`leave_out`](Self::leave_out).
    pub(crate) fn create(&mut self, path: &StorePath) -> Result<Box<dyn FsFile>> {
        self.batch.create(&within(path), Access::Writable).map_err(|error| self.failed(error))
    }

    /// Takes a file that was written to its end.
    pub(crate) fn written(&mut self, file: Box<dyn FsFile>) -> Result<()> {
        self.batch.written(file).map_err(|error| self.failed(error))
    }

    /// Removes a file that was begun.
    pub(crate) fn leave_out(&mut self, path: &StorePath, file: Box<dyn FsFile>) -> Result<()> {
        drop(file);
        self.target.remove(&within(path)).map_err(|error| self.failed(error))
    }

    /// Makes everything durable, then gives the directory its name. The name is durable when this
    /// returns.
    pub(crate) fn publish(mut self) -> Result<()> {
        if self.replaces {
            let files = self.unfinished.join(FILES);
            host_dirs::copy_owner_and_mode(&self.to, &files).map_err(|error| self.failed(error))?;
        }
        self.batch.sync().map_err(|error| self.failed(error))?;
        host_dirs::publish(&*self.host_dirs, &self.unfinished, FILES, &self.to)
    }

    /// The error of an export that could not write.
    pub(crate) fn failed(&self, error: std::io::Error) -> Error {
        failed(&self.to, error)
    }
}

fn within(path: &StorePath) -> String {
    format!("{FILES}/{}", path.as_str())
}

fn failed(to: &Path, error: std::io::Error) -> Error {
    Error::io(Operation::Export, to.display().to_string(), error)
}
