//! Reading and checking one document: the pointer, a manifest, a checkpoint.

use std::io::{self, BufReader, Read};

use super::table::Table;
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::format::checkpoint::{self, ReadError};
use crate::format::entry::Entry;
use crate::format::manifest::{MANIFEST_MAX, Manifest};
use crate::format::names::Name;
use crate::format::pointer::{ManifestRef, POINTER_MAX, Pointer};
use crate::format::{FormatError, manifest::Change};
use crate::fs::{is_transient, retry_once};
use crate::hash::{Blake3, StoreId};
use crate::path::StorePath;
use crate::revision::Generation;
use crate::storage::Storage;

/// Why a document could not be loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The file is missing.
    Missing(Name),
    /// The file is there, but its bytes are not as they were written.
    Damaged { name: Name, why: FormatError },
    /// The manifest has another hash than the chain gives it.
    OtherHash { generation: Generation, expected: Blake3, found: Blake3 },
    /// The system could not read now, or looking further makes no sense.
    Fatal(Error),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

impl LoadError {
    /// The generation whose manifest is at fault.
    pub(crate) fn generation(&self) -> Option<Generation> {
        match self {
            Self::Missing(name) | Self::Damaged { name, .. } => name.generation(),
            Self::OtherHash { generation, .. } => Some(*generation),
            Self::Fatal(_) => None,
        }
    }

    /// Whether the pointer is at fault.
    pub(crate) const fn is_of_pointer(&self) -> bool {
        matches!(self, Self::Missing(Name::Pointer) | Self::Damaged { name: Name::Pointer, .. })
    }

    /// The public form.
    pub(crate) fn into_error(self) -> Error {
        let (name, detail, expected, found) = match self {
            Self::Fatal(error) => return error,
            Self::Missing(name) => (name, "it is missing".to_owned(), None, None),
            Self::Damaged { name, why: FormatError::Newer(format) } => {
                return ErrorRepr::NewerFormat { name: name.to_string(), format }.into();
            }
            Self::Damaged { name, why } => {
                let detail = why.to_string();
                match why {
                    FormatError::Checksum { expected, found } => (name, detail, Some(expected), Some(found)),
                    _ => (name, detail, None, None),
                }
            }
            Self::OtherHash { generation, expected, found } => {
                let detail = "its hash is not the one that the chain gives it".to_owned();
                (Name::Manifest(generation), detail, Some(expected.to_string()), Some(found.to_string()))
            }
        };
        let generation = name.generation();
        ErrorRepr::DamagedMetadata { name: name.to_string(), generation, detail, expected, found }.into()
    }
}

/// Sorts an error of reading `name` into missing, damaged and fatal.
fn unreadable(name: &Name, error: io::Error) -> LoadError {
    if error.kind() == io::ErrorKind::NotFound {
        LoadError::Missing(name.clone())
    } else if is_transient(&error) {
        LoadError::Fatal(Error::io(Operation::Read, name.to_string(), error))
    } else {
        LoadError::Damaged {
            name: name.clone(),
            why: FormatError::rule(format!("it cannot be read: {error}")),
        }
    }
}

/// Reads a whole file of bounded size.
fn read_all(storage: &dyn Storage, name: &Name, limit: u64) -> Result<Vec<u8>, LoadError> {
    let (found, bytes) =
        retry_once(|| read_at_most(storage, name, limit)).map_err(|error| unreadable(name, error))?;
    if found > limit {
        return Err(LoadError::Damaged { name: name.clone(), why: FormatError::TooLong { limit, found } });
    }
    Ok(bytes)
}

/// The length of a file, and its bytes if the length is within the limit.
fn read_at_most(storage: &dyn Storage, name: &Name, limit: u64) -> io::Result<(u64, Vec<u8>)> {
    let file = storage.open(name)?;
    let found = file.length()?;
    let mut bytes = Vec::new();
    if found > limit {
        return Ok((found, bytes));
    }
    bytes.reserve_exact(usize::try_from(found).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64, bytes))
}

/// Reads and checks the pointer.
pub(crate) fn pointer(storage: &dyn Storage) -> Result<Pointer, LoadError> {
    let bytes = read_all(storage, &Name::Pointer, POINTER_MAX)?;
    Pointer::decode(&bytes).map_err(|why| refuse(Name::Pointer, why))
}

fn refuse(name: Name, why: FormatError) -> LoadError {
    match why {
        FormatError::Newer(format) => {
            LoadError::Fatal(ErrorRepr::NewerFormat { name: name.to_string(), format }.into())
        }
        why => LoadError::Damaged { name, why },
    }
}

/// Reads a manifest by its number and checks all that can be checked without its chain. Returns its
/// hash too.
pub(crate) fn manifest_alone(
    storage: &dyn Storage,
    generation: Generation,
) -> Result<(ManifestRef, Manifest), LoadError> {
    let name = Name::Manifest(generation);
    let bytes = read_all(storage, &name, MANIFEST_MAX)?;
    let manifest = Manifest::decode(&bytes).map_err(|why| refuse(name.clone(), why))?;
    if manifest.generation != generation {
        let why = FormatError::rule(format!("it is the manifest of generation {}", manifest.generation));
        return Err(LoadError::Damaged { name, why });
    }
    Ok((ManifestRef { generation, manifest: Blake3::of(&bytes) }, manifest))
}

/// Reads the manifest that a link names and checks its hash.
pub(crate) fn manifest(storage: &dyn Storage, link: ManifestRef) -> Result<Manifest, LoadError> {
    let (found, manifest) = manifest_alone(storage, link.generation)?;
    if found != link {
        return Err(LoadError::OtherHash {
            generation: link.generation,
            expected: link.manifest,
            found: found.manifest,
        });
    }
    Ok(manifest)
}

/// Reads the checkpoint of a link into a table. `None` when there is none.
pub(crate) fn checkpoint(
    storage: &dyn Storage,
    store: StoreId,
    link: ManifestRef,
) -> Result<Option<Table>, LoadError> {
    let name = Name::Checkpoint(link.generation);
    let file = match storage.open(&name).map_err(|error| unreadable(&name, error)) {
        Err(LoadError::Missing(_)) => return Ok(None),
        other => other?,
    };
    let mut table = Table::default();
    let header = checkpoint::read(BufReader::with_capacity(1 << 16, file), |entry| table.load(entry));
    let header = header.map_err(|error| match error {
        ReadError::Format(why) => LoadError::Damaged { name: name.clone(), why },
        ReadError::Io(error) => unreadable(&name, error),
    })?;
    if header.link() != link || header.store != store {
        return Err(LoadError::Damaged {
            name,
            why: FormatError::rule("it is the checkpoint of another manifest"),
        });
    }
    Ok(Some(table))
}

/// Fails when the manifest belongs to another store.
pub(crate) fn check_store(manifest: &Manifest, store: StoreId) -> Result<(), LoadError> {
    if manifest.store == store {
        return Ok(());
    }
    let why = FormatError::rule(format!("it belongs to the store {}, not to {store}", manifest.store));
    Err(LoadError::Damaged { name: Name::Manifest(manifest.generation), why })
}

/// The entries that a manifest put, each with whether this generation wrote the bytes.
pub(crate) fn puts(manifest: &Manifest) -> impl Iterator<Item = (&Entry, bool)> {
    manifest.changes.iter().filter_map(|change| match change {
        Change::Put(entry) => Some((entry, entry.generation == manifest.generation)),
        Change::Remove(_) => None,
    })
}

/// The paths that a manifest put and removed.
pub(crate) fn paths(changes: &[Change]) -> (Vec<StorePath>, Vec<StorePath>) {
    let (put, removed): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| matches!(change, Change::Put(_)));
    let own = |changes: Vec<&Change>| changes.into_iter().map(|change| change.path().clone()).collect();
    (own(put), own(removed))
}
