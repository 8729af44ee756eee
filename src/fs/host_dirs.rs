//! Directories outside a store: the one in which a store or an export is created, and those above
//! it.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use crate::error::{Error, ErrorRepr, Operation, Result};

/// Reads and changes directories outside a store, by absolute path. The caller chose the paths:
/// they may be or contain links, and need not be UTF-8.
pub(crate) trait HostDirs: Debug {
    /// Whether the path leads to a directory.
    fn is_dir(&self, dir: &Path) -> bool;
    /// Creates a directory unless the name is taken. Returns whether it created one.
    fn create_dir(&self, dir: &Path) -> io::Result<bool>;
    /// Removes a directory if it is empty.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// The path of a directory with all links resolved.
    fn real(&self, dir: &Path) -> io::Result<PathBuf>;
    /// Renames a directory. The new name may be that of an empty directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Returns once the names in the directory are durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The operating system.
#[derive(Debug)]
pub(crate) struct System;

impl HostDirs for System {
    fn is_dir(&self, dir: &Path) -> bool {
        dir.is_dir()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<bool> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that renames directories outside a store")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn real(&self, dir: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::options().read(true).open(dir)?.sync_all()
    }
}

/// What is at a path that should be, or become, the directory of a store or an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Missing,
    Empty,
    Occupied,
    NotADirectory,
}

/// Looks at a path outside the store.
pub(crate) fn place(dir: &Path) -> Result<Place> {
    let failed = |error| failed(Operation::Read, dir, error);
    match fs::read_dir(dir) {
        Ok(mut names) => match names.next() {
            None => Ok(Place::Empty),
            Some(Ok(_)) => Ok(Place::Occupied),
            Some(Err(error)) => Err(failed(error)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::Missing),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Place::NotADirectory),
        Err(error) => Err(failed(error)),
    }
}

/// The absolute path. A `..` after a missing directory is refused: the path would lead somewhere
/// else once that directory exists, and every check of it would have looked at another place.
fn absolute(dir: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(dir).map_err(|error| failed(Operation::Read, dir, error))?;
    let leads_nowhere = |above: &&Path| {
        above.components().next_back() == Some(Component::ParentDir)
            && above.parent().is_some_and(|parent| !parent.is_dir())
    };
    match path.ancestors().find(leads_nowhere) {
        Some(above) => Err(ErrorRepr::AboveMissing(above.into()).into()),
        None => Ok(path),
    }
}

/// The absolute path. If it is a link, the path to which the link leads.
pub(crate) fn resolve(dir: &Path) -> Result<PathBuf> {
    // With a slash at the end, the system would look at the target of a link instead of the link.
    let dir = &dir.components().collect::<PathBuf>();
    if dir.is_symlink() {
        return fs::canonicalize(dir).map_err(|error| failed(Operation::Read, dir, error));
    }
    absolute(dir)
}

/// Fails when `dir`, a [resolved](resolve) path that need not exist, lies in the store.
pub(crate) fn check_not_in(dir: &Path, store: &Path) -> Result<()> {
    let store = fs::canonicalize(store).map_err(|error| failed(Operation::Read, store, error))?;
    let above = dir.ancestors().find_map(|above| fs::canonicalize(above).ok());
    if above.is_some_and(|above| above.starts_with(store)) {
        return Err(ErrorRepr::InStore(dir.into()).into());
    }
    Ok(())
}

/// Whether this is the working directory of the process.
pub(crate) fn is_working_directory(dir: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    place(dir).is_some_and(|dir| Some(dir) == place(Path::new(".")))
}

/// The nearest existing directory at or above a path.
pub(crate) fn nearest(dir: &Path) -> &Path {
    let above = dir.ancestors().find(|above| above.is_dir());
    above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates an unfinished directory beside `dir`, or in the nearest directory above. Dropping the
/// value removes it.
pub(crate) fn unfinished_dir(dir: &Path) -> io::Result<tempfile::TempDir> {
    let beside = dir.parent().unwrap_or(dir);
    tempfile::Builder::new().prefix(".genstore-export-").tempdir_in(nearest(beside))
}

/// Gives a new directory the owner, the group and the mode of the one that it will replace.
pub(crate) fn copy_owner_and_mode(from: &Path, to: &Path) -> io::Result<()> {
    let (wanted, new) = (fs::metadata(from)?, fs::metadata(to)?);
    if (wanted.uid(), wanted.gid()) != (new.uid(), new.gid()) {
        std::os::unix::fs::chown(to, Some(wanted.uid()), Some(wanted.gid()))?;
    }
    // After the owner: a change of owner may clear bits of the mode.
    fs::set_permissions(to, wanted.permissions())
}

/// Creates a directory and the missing ones above it. All of them are durable when this returns. On
/// failure it removes what it created: after a failed fsync the system may take a name for written
/// although it is not, so a retry has to create it again.
///
/// Existing directories are fsynced too, as the process that created them may not have fsynced. If
/// the system refuses to fsync a directory in which nothing was created, that is no error.
pub(crate) fn create_dirs(host_dirs: &dyn HostDirs, dir: &Path) -> Result<()> {
    create_all(host_dirs, &absolute(dir)?).map(drop)
}

/// Like [`create_dirs`]. Returns the directories that it created, the highest first.
fn create_all<'a>(host_dirs: &dyn HostDirs, dir: &'a Path) -> Result<Vec<&'a Path>> {
    let mut created = Vec::new();
    let done =
        create_missing(host_dirs, dir, &mut created).and_then(|()| sync_above(host_dirs, dir, created.len()));
    match done {
        Ok(()) => Ok(created),
        Err(error) => {
            remove(host_dirs, &created);
            Err(error)
        }
    }
}

fn create_missing<'a>(host_dirs: &dyn HostDirs, dir: &'a Path, created: &mut Vec<&'a Path>) -> Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|above| !host_dirs.is_dir(above)).collect();
    for dir in missing.into_iter().rev() {
        // Another process may be creating the same directory.
        if host_dirs.create_dir(dir).map_err(|error| failed(Operation::Create, dir, error))? {
            created.push(dir);
        } else if !host_dirs.is_dir(dir) {
            return Err(failed(Operation::Create, dir, Errno::EXIST.into()));
        }
    }
    Ok(())
}

/// Makes the names of a directory and of all above it durable, wherever links on the way lead. The
/// lowest `created` of them are new.
fn sync_above(host_dirs: &dyn HostDirs, dir: &Path, created: usize) -> Result<()> {
    let dir = host_dirs.real(dir).map_err(|error| failed(Operation::Read, dir, error))?;
    for (number, above) in dir.ancestors().skip(1).enumerate() {
        match host_dirs.sync_dir(above) {
            Err(error) if number >= created && is_refused(&error) => {}
            other => other.map_err(|error| failed(Operation::Sync, above, error))?,
        }
    }
    Ok(())
}

/// Whether this process or this file system cannot fsync the directory. That is no error where
/// nothing was created.
fn is_refused(error: &io::Error) -> bool {
    let refusals = [
        Errno::ACCESS,
        Errno::PERM,
        Errno::ROFS,
        Errno::INVAL,
        Errno::NOSYS,
        Errno::NOTTY,
        Errno::NOTSUP,
        Errno::OPNOTSUPP,
    ];
    Errno::from_io_error(error).is_some_and(|errno| refusals.contains(&errno))
}

fn remove(host_dirs: &dyn HostDirs, created: &[&Path]) {
    // A directory in which another process has put something meanwhile stays.
    created.iter().rev().for_each(|dir| drop(host_dirs.remove_dir(dir)));
}

/// Renames a finished directory, `name` in `unfinished`, to `to`, and makes the rename durable.
/// Everything in the directory is durable already. If something has the name `to`, it must be an
/// empty directory.
///
/// After the rename nothing is undone, whatever fails: another process may have read the directory
/// or put something into it.
pub(crate) fn publish(host_dirs: &dyn HostDirs, unfinished: &Path, name: &str, to: &Path) -> Result<()> {
    let sync = |dir: &Path| {
        let failed = |error| failed(Operation::SyncExport, dir, error);
        host_dirs.sync_dir(dir).map_err(failed)
    };
    let beside = to.parent().unwrap_or(to);
    let created = create_all(host_dirs, beside)?;
    if let Err(error) = host_dirs.rename(&unfinished.join(name), to) {
        remove(host_dirs, &created);
        return Err(failed(Operation::Export, to, error));
    }
    sync(beside)?;
    // A rename is durable once both directories are.
    sync(unfinished)
}

fn failed(what: Operation, path: &Path, error: io::Error) -> Error {
    Error::io(what, path.display().to_string(), error)
}
