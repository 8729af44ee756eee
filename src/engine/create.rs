//! Creating a store where there is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::changeset::ChangeSet;
use super::handle::{Engine, Options};
use super::lock::lock_writer;
use super::open::{NotAStore, cannot_open, classify, real};
use super::publish::publish;
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::format::manifest::GenerationKind;
use crate::format::names::{DIRECTORIES, Name};
use crate::fs::Fs;
use crate::fs::host_dirs::{self, Place, System};
use crate::fs::probe::{self, ProbeReport};
use crate::hash::StoreId;
use crate::storage::Storage;
use crate::storage::directory::Directory;

/// Creates a store in a directory of the operating system. The directory is missing or empty, or
/// holds an unfinished store.
pub(crate) fn create(dir: &Path, options: Options) -> Result<(Engine, ProbeReport)> {
    if host_dirs::place(dir)? == Place::NotADirectory {
        return Err(ErrorRepr::NotADirectory(dir.into()).into());
    }
    // A refused medium stays as it is: nothing was created yet.
    let above = host_dirs::nearest(dir);
    let info = real(above)?.info().map_err(|error| cannot_open(above, error))?;
    probe::check(&info, options.allow_unsafe_filesystem)?;
    host_dirs::create_dirs(&System, dir)?;
    create_on(real(dir)?, dir, options)
}

/// Creates a store in a tree that is empty or holds an unfinished store.
///
/// The first generation is a commit like any other. Until its pointer is swapped in there is no
/// store, and a second call completes it.
pub(crate) fn create_on(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<(Engine, ProbeReport)> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(Arc::clone(&fs)));
    check_vacant(&*storage, dir)?;
    let random =
        fs.random().map_err(|error| Error::io(Operation::ChooseId, dir.display().to_string(), error))?;
    let id = StoreId::from_bytes(random);
    let writer = lock_writer(&*storage, &options)?;
    // Another process may have created the store while this one waited.
    check_vacant(&*storage, dir)?;
    create_directories(&*fs)?;
    let probe = probe::probe(&*fs, dir, options.allow_unsafe_filesystem)?;
    let found = serde_json::to_value(&probe).unwrap_or_default();
    let change_set = ChangeSet {
        kind: GenerationKind::Commit,
        author: options.author.clone(),
        message: "create the store".into(),
        metadata: BTreeMap::from([("medium".to_owned(), found)]),
        restores: None,
        changes: BTreeMap::new(),
    };
    let head = publish(&*storage, &options, &writer, id, None, &change_set)?;
    drop(writer);
    Ok((Engine::new(storage, dir.into(), id, options, head), probe))
}

/// Creates the directories of a store, unless an interrupted attempt has left them.
fn create_directories(fs: &dyn Fs) -> Result<()> {
    for directory in DIRECTORIES {
        fs.create_dir(directory).map_err(|error| Error::io(Operation::Create, directory, error))?;
    }
    Ok(())
}

fn check_vacant(storage: &dyn Storage, dir: &Path) -> Result<()> {
    match storage.bytes(&Name::Pointer) {
        Ok(None) => {}
        Ok(Some(_)) => return Err(ErrorRepr::AlreadyAStore(dir.into()).into()),
        Err(error) => return Err(Error::io(Operation::Read, Name::Pointer.to_string(), error)),
    }
    let names =
        storage.list_root().map_err(|error| Error::io(Operation::List, dir.display().to_string(), error))?;
    if names.is_empty() {
        return Ok(());
    }
    match classify(storage, dir)? {
        NotAStore::Unfinished => Ok(()),
        NotAStore::Foreign => Err(ErrorRepr::DirectoryNotEmpty(dir.into()).into()),
        NotAStore::Damaged => Err(ErrorRepr::AlreadyAStore(dir.into()).into()),
    }
}
