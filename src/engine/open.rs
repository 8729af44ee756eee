//! Opening what is there.

use std::path::Path;
use std::sync::Arc;

use super::handle::{Engine, Options};
use super::read::{self, Fault};
use super::{recover, replay};
use crate::error::{Error, Operation, Problem, Result};
use crate::format::names::{CHECKPOINTS, DATA, FOLDERS, MANIFESTS, Name};
use crate::fs::Fs;
use crate::fs::outside::{self, Place};
use crate::fs::real::RealFs;
use crate::storage::Storage;
use crate::storage::directory::Directory;

/// Opens a store in a directory of the operating system.
pub(crate) fn open(dir: &Path, options: Options) -> Result<Engine> {
    match outside::place(dir)? {
        Place::Missing => return Err(Problem::NoDirectory(dir.into()).into()),
        Place::NotADirectory => return Err(Problem::NotADirectory(dir.into()).into()),
        Place::Empty => return Err(Problem::EmptyDirectory(dir.into()).into()),
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
    let pointer = read::pointer(&*storage);
    if matches!(pointer, Err(Fault::Missing(_))) {
        match look(&*storage, dir)? {
            Nothing::Unfinished => return Err(Problem::UnfinishedInit(dir.into()).into()),
            Nothing::Foreign => return Err(Problem::NotAStore(dir.into()).into()),
            Nothing::Damaged => {}
        }
    }
    let (id, head) = match pointer.and_then(|pointer| replay::head(&*storage, pointer, None, |_| Ok(()))) {
        Err(Fault::Fatal(error)) => return Err(error),
        Err(fault) => recover::recover(&*storage, dir, fault)?,
        Ok(found) => found,
    };
    Ok(Engine::new(storage, dir.into(), id, options, head))
}

/// What a tree without a pointer is.
pub(super) enum Nothing {
    /// A store whose making was interrupted: nothing was ever saved in it.
    Unfinished,
    /// Something else.
    Foreign,
    /// A store that has lost its pointer.
    Damaged,
}

/// Tells a store that was never finished from one that lost its pointer: only the latter holds files, checkpoints,
/// or a manifest that is not a first, empty one.
pub(super) fn look(storage: &dyn Storage, dir: &Path) -> Result<Nothing> {
    let list = |folder: &str| storage.scan(folder).map_err(|error| Error::io(Operation::List, folder, error));
    // The pointer too: another process may have swapped it in since it was found missing.
    let is_ours = |name: &str| {
        FOLDERS.contains(&name)
            || [Name::Pointer, Name::NextPointer].iter().any(|ours| ours.to_string() == name)
    };
    let manifests: Vec<_> =
        list(MANIFESTS)?.into_iter().filter_map(|found| found.name?.generation()).collect();
    let holds_files = !list(DATA)?.is_empty() || !list(CHECKPOINTS)?.is_empty();
    // Last: another process may be making the store just now, and what it has made by then is under one of these.
    let names =
        storage.list_root().map_err(|error| Error::io(Operation::List, dir.display().to_string(), error))?;
    if holds_files {
        return Ok(if names.iter().any(|listed| listed.name == MANIFESTS) {
            Nothing::Damaged
        } else {
            Nothing::Foreign
        });
    }
    for generation in &manifests {
        match read::manifest_alone(storage, *generation) {
            Ok((_, manifest)) if manifest.parent.is_some() || !manifest.changes.is_empty() => {
                return Ok(Nothing::Damaged);
            }
            Err(Fault::Fatal(error)) => return Err(error),
            // The manifest of a first generation may be torn.
            _ => {}
        }
    }
    if names.is_empty() || names.iter().any(|listed| !is_ours(&listed.name)) {
        return Ok(Nothing::Foreign);
    }
    Ok(Nothing::Unfinished)
}
