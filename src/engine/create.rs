//! Making a store where there is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::changeset::Draft;
use super::handle::{Engine, Options};
use super::lock::lock_writer;
use super::open::{Nothing, cannot_open, look, real};
use super::publish::publish;
use crate::error::{Error, Operation, Problem, Result};
use crate::format::manifest::GenerationKind;
use crate::format::names::{FOLDERS, Name};
use crate::fs::Fs;
use crate::fs::medium::{self, ProbeReport};
use crate::fs::outside::{self, Place, System};
use crate::hash::StoreId;
use crate::storage::Storage;
use crate::storage::directory::Directory;

/// Makes a store in a directory of the operating system, which is missing, empty, or holds a store that was begun.
pub(crate) fn create(dir: &Path, options: Options) -> Result<(Engine, ProbeReport)> {
    if outside::place(dir)? == Place::NotADirectory {
        return Err(Problem::NotADirectory(dir.into()).into());
    }
    // A medium that is refused is left as it is.
    let above = outside::nearest(dir);
    let carrier = real(above)?.carrier().map_err(|error| cannot_open(above, error))?;
    medium::check(&carrier, options.force_medium)?;
    outside::make_dirs(&System, dir)?;
    create_on(real(dir)?, dir, options)
}

/// Makes a store in a tree that is empty or holds a store that was begun.
///
/// The first generation is a commit like any other. Until its pointer is swapped in there is no store, and whoever
/// calls this again completes it.
pub(crate) fn create_on(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<(Engine, ProbeReport)> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(Arc::clone(&fs)));
    check_vacant(&*storage, dir)?;
    let random =
        fs.random().map_err(|error| Error::io(Operation::ChooseId, dir.display().to_string(), error))?;
    let id = StoreId::from_bytes(random);
    let writer = lock_writer(&*storage, &options)?;
    // Another process may have made the store while this one waited.
    check_vacant(&*storage, dir)?;
    make_folders(&*fs)?;
    let medium = medium::probe(&*fs, dir, options.force_medium)?;
    let found = serde_json::to_value(&medium).unwrap_or_default();
    let draft = Draft {
        kind: GenerationKind::Commit,
        author: options.author.clone(),
        message: "create the store".into(),
        metadata: BTreeMap::from([("medium".to_owned(), found)]),
        restores: None,
        changes: BTreeMap::new(),
    };
    let head = publish(&*storage, &options, &writer, id, None, &draft)?;
    drop(writer);
    Ok((Engine::new(storage, dir.into(), id, options, head), medium))
}

/// Creates the directories of a store, unless an interrupted attempt has left them.
fn make_folders(fs: &dyn Fs) -> Result<()> {
    for folder in FOLDERS {
        fs.make_dir(folder).map_err(|error| Error::io(Operation::Create, folder, error))?;
    }
    Ok(())
}

fn check_vacant(storage: &dyn Storage, dir: &Path) -> Result<()> {
    match storage.bytes(&Name::Pointer) {
        Ok(None) => {}
        Ok(Some(_)) => return Err(Problem::AlreadyAStore(dir.into()).into()),
        Err(error) => return Err(Error::io(Operation::Read, Name::Pointer.to_string(), error)),
    }
    let names =
        storage.list_root().map_err(|error| Error::io(Operation::List, dir.display().to_string(), error))?;
    if names.is_empty() {
        return Ok(());
    }
    match look(storage, dir)? {
        Nothing::Unfinished => Ok(()),
        Nothing::Foreign => Err(Problem::DirectoryNotEmpty(dir.into()).into()),
        Nothing::Damaged => Err(Problem::AlreadyAStore(dir.into()).into()),
    }
}
