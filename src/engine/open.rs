//! Opening a store that is there.

use std::path::Path;
use std::sync::Arc;

use super::handle::{Engine, Options};
use super::read::{self, LoadError};
use super::{recover, replay};
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::format::names::{CHECKPOINTS, DATA, DIRECTORIES, MANIFESTS, Name};
use crate::fs::Fs;
use crate::fs::host_dirs::{self, Place};
use crate::fs::real::RealFs;
use crate::storage::Storage;
use crate::storage::directory::Directory;

/// Opens a store in a directory of the operating system.
pub(crate) fn open(dir: &Path, options: Options) -> Result<Engine> {
    match host_dirs::place(dir)? {
        Place::Missing => return Err(ErrorRepr::NoDirectory(dir.into()).into()),
        Place::NotADirectory => return Err(ErrorRepr::NotADirectory(dir.into()).into()),
        Place::Empty => return Err(ErrorRepr::EmptyDirectory(dir.into()).into()),
        Place::Occupied => {}
    }
    open_on(real(dir)?, dir, options)
}

pub(super) fn real(dir: &Path) -> Result<Arc<dyn Fs>> {
    Ok(Arc::new(RealFs::open(dir).map_err(|error| cannot_open(dir, error))?))
}

pub(super) fn cannot_open(dir: &Path, error: std::io::Error) -> Error {
    Error::io(Operation::Open, dir.display().to_string(), error)
}

/// Opens the store in a tree that is not empty.
pub(crate) fn open_on(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<Engine> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(fs));
    let mut pointer = read::pointer(&*storage);
    if matches!(pointer, Err(LoadError::Missing(_))) {
        match classify(&*storage, dir)? {
            NotAStore::Unfinished => return Err(ErrorRepr::UnfinishedInit(dir.into()).into()),
            NotAStore::Foreign => return Err(ErrorRepr::NotAStore(dir.into()).into()),
            // Or another process has created the store and committed since the pointer was read.
            NotAStore::Damaged => pointer = read::pointer(&*storage),
        }
    }
    let (id, head) = match pointer.and_then(|pointer| replay::head(&*storage, pointer, None, |_| Ok(()))) {
        Err(LoadError::Fatal(error)) => return Err(error),
        Err(fault) => recover::recover(&*storage, dir, fault)?,
        Ok(found) => found,
    };
    Ok(Engine::new(storage, dir.into(), id, options, head))
}

/// What a tree without a pointer is.
pub(super) enum NotAStore {
    /// A store whose creation was interrupted. Nothing was ever committed in it.
    Unfinished,
    /// Something else.
    Foreign,
    /// A store that has lost its pointer.
    Damaged,
}

/// Distinguishes an unfinished store from one that lost its pointer. Only the latter holds files,
/// checkpoints, or a manifest other than a first, empty one.
pub(super) fn classify(storage: &dyn Storage, dir: &Path) -> Result<NotAStore> {
    let list = |directory: &str| {
        storage.scan(directory).map_err(|error| Error::io(Operation::List, directory, error))
    };
    // The pointer counts too: another process may have swapped it in since it was found missing.
    let is_ours = |name: &str| {
        DIRECTORIES.contains(&name)
            || [Name::Pointer, Name::NextPointer].iter().any(|ours| ours.to_string() == name)
    };
    let manifests: Vec<_> =
        list(MANIFESTS)?.into_iter().filter_map(|found| found.name?.generation()).collect();
    let holds_files = !list(DATA)?.is_empty() || !list(CHECKPOINTS)?.is_empty();
    // Listed last: another process may be creating the store now, and all it has created is under
    // one of these names.
    let names =
        storage.list_root().map_err(|error| Error::io(Operation::List, dir.display().to_string(), error))?;
    if holds_files {
        return Ok(if names.iter().any(|listed| listed.name == MANIFESTS) {
            NotAStore::Damaged
        } else {
            NotAStore::Foreign
        });
    }
    for generation in &manifests {
        match read::manifest_alone(storage, *generation) {
            Ok((_, manifest)) if manifest.parent.is_some() || !manifest.changes.is_empty() => {
                return Ok(NotAStore::Damaged);
            }
            Err(LoadError::Fatal(error)) => return Err(error),
            // The manifest of a first generation may be torn.
            _ => {}
        }
    }
    if names.is_empty() || names.iter().any(|listed| !is_ours(&listed.name)) {
        return Ok(NotAStore::Foreign);
    }
    Ok(NotAStore::Unfinished)
}
