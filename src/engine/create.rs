//! Opening what is there, and making a store where there is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::load::{self, Fault};
use super::publish::{Draft, publish};
use super::{Engine, Head, Options, recover};
use crate::error::{Error, Problem, Result};
use crate::format::manifest::GenerationKind;
use crate::format::names::{CHECKPOINTS, DATA, FOLDERS, LOCKS, MANIFESTS, Name, QUARANTINE};
use crate::fs::medium::{self, ProbeReport};
use crate::fs::outside::{self, Place, System};
use crate::fs::real::RealFs;
use crate::fs::{FileKind, Fs};
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

fn real(dir: &Path) -> Result<Arc<dyn Fs>> {
    Ok(Arc::new(RealFs::open(dir).map_err(|error| cannot_open(dir, error))?))
}

fn cannot_open(dir: &Path, error: std::io::Error) -> Error {
    Error::io("cannot open", dir.display().to_string(), error)
}

/// Opens the store in a tree that is not empty.
pub(crate) fn open_on(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<Engine> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(fs));
    let (id, head) = match load::pointer(&*storage) {
        Ok(pointer) => match from_pointer(&*storage, pointer) {
            Ok(found) => found,
            Err(fault) => recover_from(&*storage, dir, fault)?,
        },
        Err(fault @ Fault::Missing(_)) => match look(&*storage, dir)? {
            Nothing::Unfinished => return Err(Problem::UnfinishedInit(dir.into()).into()),
            Nothing::Foreign => return Err(Problem::NotAStore(dir.into()).into()),
            Nothing::Damaged => recover_from(&*storage, dir, fault)?,
        },
        Err(fault) => recover_from(&*storage, dir, fault)?,
    };
    Ok(Engine::new(storage, dir.into(), id, options, head))
}

fn from_pointer(
    storage: &dyn Storage,
    pointer: crate::format::pointer::Pointer,
) -> Result<(StoreId, Head), Fault> {
    let manifest = load::manifest(storage, pointer.head)?;
    load::check_not_behind(storage, pointer.head)?;
    let loaded = load::table(storage, pointer.head, &manifest, None)?;
    Ok((manifest.store, Head::of(pointer, manifest.time, manifest.message, loaded)))
}

fn recover_from(storage: &dyn Storage, dir: &Path, fault: Fault) -> Result<(StoreId, Head)> {
    match fault {
        Fault::Fatal(error) => Err(error),
        fault => recover::recover(storage, dir, fault),
    }
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
pub(crate) fn create_on(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<(Engine, ProbeReport)> {
    let storage: Arc<dyn Storage> = Arc::new(Directory::new(Arc::clone(&fs)));
    check_vacant(&*storage, dir)?;
    let random = fs
        .random()
        .map_err(|error| Error::io("cannot choose an id for", dir.display().to_string(), error))?;
    let id = StoreId::from_bytes(random);
    let engine = Engine::unborn(Arc::clone(&storage), dir.into(), id, options.clone(), fs.now());
    let writer = engine.lock_writer()?;
    // Another process may have made the store while this one waited.
    check_vacant(&*storage, dir)?;
    make_folders(&*fs)?;
    let medium = medium::probe(&*fs, dir, options.force_medium, options.lock_witness.as_deref())?;
    let found = serde_json::to_value(&medium).unwrap_or_default();
    let draft = Draft {
        kind: GenerationKind::Commit,
        author: options.author,
        message: "create the store".into(),
        metadata: BTreeMap::from([("medium".to_owned(), found)]),
        restores: None,
        changes: BTreeMap::new(),
    };
    let head = publish(&engine, &writer, id, None, &draft)?;
    drop(writer);
    engine.remember(head);
    Ok((engine, medium))
}

/// Makes the folders of a store. One that an earlier try has left is made anew: if the flush of its name failed then, the
/// system may take for written what it has dropped.
fn make_folders(fs: &dyn Fs) -> Result<()> {
    let failed = |folder| move |error| Error::io("cannot make", folder, error);
    let aside = fs.stat(MANIFESTS_ASIDE).map_err(failed(MANIFESTS_ASIDE))?;
    let is_lost = fs.stat(MANIFESTS).map_err(failed(MANIFESTS))?.is_none();
    if is_lost && aside.is_some_and(|aside| aside.kind == FileKind::Directory) {
        // Whoever made it anew was killed halfway.
        fs.rename(MANIFESTS_ASIDE, MANIFESTS).map_err(failed(MANIFESTS))?;
    }
    for folder in FOLDERS {
        if folder != LOCKS {
            let _ = fs.remove_dir(folder);
        }
        fs.make_dir(folder).map_err(failed(folder))?;
    }
    // The one that may hold something before there is a store: a first manifest.
    let is_free = fs.stat(MANIFESTS_ASIDE).map_err(failed(MANIFESTS_ASIDE))?.is_none();
    if is_free && !fs.list(MANIFESTS).map_err(failed(MANIFESTS))?.is_empty() {
        // First the name of where it goes, or a power cut could take both.
        fs.flush_dir("")
            .and_then(|()| fs.rename(MANIFESTS, MANIFESTS_ASIDE))
            .and_then(|()| fs.rename(MANIFESTS_ASIDE, MANIFESTS))
            .and_then(|()| fs.flush_dir(QUARANTINE))
            .map_err(failed(MANIFESTS))?;
    }
    Ok(())
}

/// Where `manifests/` is for a moment.
const MANIFESTS_ASIDE: &str = "quarantine/manifests";

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
