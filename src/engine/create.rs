//! Opening what is there, and making a store where there is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::load::{self, Fault};
use super::lock::lock_writer;
use super::publish::{Draft, publish};
use super::{Engine, Options, recover};
use crate::error::{Error, Problem, Result};
use crate::format::manifest::Kind;
use crate::format::names::{CHECKPOINTS, DATA, FOLDERS, MANIFESTS, Name};
use crate::fs::Fs;
use crate::fs::medium::{self, Medium};
use crate::fs::outside::{self, Place, System};
use crate::fs::real::RealFs;
use crate::hash::StoreId;
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

/// Makes a store in a directory of the operating system, which is missing, empty, or holds a store that was begun.
pub(crate) fn create(dir: &Path, options: Options) -> Result<(Engine, Medium)> {
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

fn real(dir: &Path) -> Result<Arc<dyn Fs>> {
    Ok(Arc::new(RealFs::open(dir).map_err(|error| cannot_open(dir, error))?))
}

fn cannot_open(dir: &Path, error: std::io::Error) -> Error {
    Error::io("cannot open", dir.display().to_string(), error)
}

/// Opens the store in a tree that is not empty.
pub(crate) fn open_on(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<Engine> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(fs));
    let pointer = load::pointer(&*storage);
    if matches!(pointer, Err(Fault::Missing(_))) {
        match look(&*storage, dir)? {
            Nothing::Unfinished => return Err(Problem::UnfinishedInit(dir.into()).into()),
            Nothing::Foreign => return Err(Problem::NotAStore(dir.into()).into()),
            Nothing::Damaged => {}
        }
    }
    let (id, head) = match pointer.and_then(|pointer| load::head(&*storage, pointer, None, |_| Ok(()))) {
        Err(Fault::Fatal(error)) => return Err(error),
        Err(fault) => recover::recover(&*storage, dir, fault)?,
        Ok(found) => found,
    };
    Ok(Engine::new(storage, dir.into(), id, options, head))
}

/// What a tree without a pointer is.
enum Nothing {
    /// A store whose making was interrupted: nothing was ever saved in it.
    Unfinished,
    /// Something else.
    Foreign,
    /// A store that has lost its pointer.
    Damaged,
}

/// Tells a store that was never finished from one that lost its pointer: only the latter holds files, checkpoints,
/// or a manifest that is not a first, empty one.
fn look(storage: &dyn Storage, dir: &Path) -> Result<Nothing> {
    let list = |folder: &str| storage.scan(folder).map_err(|error| Error::io("cannot list", folder, error));
    // The pointer too: another process may have swapped it in since it was found missing.
    let is_ours = |name: &str| {
        FOLDERS.contains(&name)
            || [Name::Pointer, Name::NextPointer].iter().any(|ours| ours.to_string() == name)
    };
    let manifests: Vec<_> =
        list(MANIFESTS)?.into_iter().filter_map(|found| found.name?.generation()).collect();
    let holds_files = !list(DATA)?.is_empty() || !list(CHECKPOINTS)?.is_empty();
    // Last: another process may be making the store just now, and what it has made by then is under one of these.
    let names = storage
        .system()
        .list("")
        .map_err(|error| Error::io("cannot list", dir.display().to_string(), error))?;
    if holds_files {
        return Ok(if names.iter().any(|listed| listed.name == MANIFESTS) {
            Nothing::Damaged
        } else {
            Nothing::Foreign
        });
    }
    for generation in &manifests {
        match load::manifest_alone(storage, *generation) {
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

/// Makes a store in a tree that is empty or holds a store that was begun.
///
/// The first generation is a commit like any other. Until its pointer is swapped in there is no store, and whoever
/// calls this again completes it.
pub(crate) fn create_on(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<(Engine, Medium)> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(Arc::clone(&fs)));
    check_vacant(&*storage, dir)?;
    let random = fs
        .random()
        .map_err(|error| Error::io("cannot choose an id for", dir.display().to_string(), error))?;
    let id = StoreId::from_bytes(random);
    let writer = lock_writer(&*storage, &options)?;
    // Another process may have made the store while this one waited.
    check_vacant(&*storage, dir)?;
    make_folders(&*fs)?;
    let medium = medium::probe(&*fs, dir, options.force_medium, options.lock_witness.as_deref())?;
    let found = serde_json::to_value(&medium).unwrap_or_default();
    let draft = Draft {
        kind: Kind::Commit,
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
        fs.make_dir(folder).map_err(|error| Error::io("cannot make", folder, error))?;
    }
    Ok(())
}

fn check_vacant(storage: &dyn Storage, dir: &Path) -> Result<()> {
    match storage.bytes(&Name::Pointer) {
        Ok(None) => {}
        Ok(Some(_)) => return Err(Problem::AlreadyAStore(dir.into()).into()),
        Err(error) => return Err(Error::io("cannot read", Name::Pointer.to_string(), error)),
    }
    let names = storage
        .system()
        .list("")
        .map_err(|error| Error::io("cannot list", dir.display().to_string(), error))?;
    if names.is_empty() {
        return Ok(());
    }
    match look(storage, dir)? {
        Nothing::Unfinished => Ok(()),
        Nothing::Foreign => Err(Problem::DirectoryNotEmpty(dir.into()).into()),
        Nothing::Damaged => Err(Problem::AlreadyAStore(dir.into()).into()),
    }
}
