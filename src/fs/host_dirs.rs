//! The directories outside a store: the one that a store or an export is made in, and those above it.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{Error, ErrorRepr, Operation, Result};

/// What changes directories outside a store, by their absolute names: these may be or contain links, and need not be
/// UTF-8, as they are the caller's.
pub(crate) trait HostDirs: Debug {
    /// Whether a directory is there.
    fn is_dir(&self, dir: &Path) -> bool;
    /// Makes a directory unless something has the name. Says whether it made it.
    fn create_dir(&self, dir: &Path) -> io::Result<bool>;
    /// Removes a directory if it is empty.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// The name of a directory without links on the way.
    fn real(&self, dir: &Path) -> io::Result<PathBuf>;
    /// Gives a directory another name, which may be that of an empty one.
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

    #[expect(clippy::disallowed_methods, reason = "this is where the disk outside a store is reached")]
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

/// What is under a name that should be, or become, a directory of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Missing,
    Empty,
    Occupied,
    NotADirectory,
}

/// Looks at a name outside.
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

/// A name from the root on, without looking at the disk.
pub(crate) fn absolute(dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).map_err(|error| failed(Operation::Read, dir, error))
}

/// A name from the root on; where it leads to, if it is a link to something.
pub(crate) fn resolve(dir: &Path) -> Result<PathBuf> {
    // A slash at the end would ask for what a link leads to instead of the link.
    let dir = &dir.components().collect::<PathBuf>();
    if dir.is_symlink() {
        return fs::canonicalize(dir).map_err(|error| failed(Operation::Read, dir, error));
    }
    absolute(dir)
}

/// Fails when `dir`, which need not exist, would lie in the store.
pub(crate) fn check_not_in(dir: &Path, store: &Path) -> Result<()> {
    let absolute = absolute(dir)?;
    let store = fs::canonicalize(store).map_err(|error| failed(Operation::Read, store, error))?;
    let above = absolute.ancestors().find_map(|above| fs::canonicalize(above).ok());
    if above.is_some_and(|above| above.starts_with(store)) {
        return Err(ErrorRepr::InStore(dir.into()).into());
    }
    Ok(())
}

/// Whether the process works in this directory.
pub(crate) fn is_working_directory(dir: &Path) -> bool {
    let place = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    place(dir).is_some_and(|dir| Some(dir) == place(Path::new(".")))
}

/// The nearest directory at or above a name that is there.
pub(crate) fn nearest(dir: &Path) -> &Path {
    let above = dir.ancestors().find(|above| above.is_dir());
    above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes an unfinished directory beside `dir`, or in the nearest directory above it, which goes away with the value.
pub(crate) fn unfinished_dir(dir: &Path) -> io::Result<tempfile::TempDir> {
    let beside = dir.parent().unwrap_or(dir);
    tempfile::Builder::new().prefix(".genstore-export-").tempdir_in(nearest(beside))
}

/// Makes a directory and those above it. It and all above it are durable when this returns; if it fails, it has removed
/// what it made: the name of a directory whose fsync has failed may count as written although it is not, so whoever
/// tries again must make it anew.
///
/// Directories that were there are fsynced too, as whoever made them may not have waited. Where the system refuses to
/// fsync one in which nothing was made, it is left as it is.
pub(crate) fn create_dirs(host_dirs: &dyn HostDirs, dir: &Path) -> Result<()> {
    make_all(host_dirs, &absolute(dir)?).map(drop)
}

/// The same. Gives what it made, the highest first.
fn make_all<'a>(host_dirs: &dyn HostDirs, dir: &'a Path) -> Result<Vec<&'a Path>> {
    let mut made = Vec::new();
    let done = make_missing(host_dirs, dir, &mut made).and_then(|()| sync_above(host_dirs, dir, made.len()));
    match done {
        Ok(()) => Ok(made),
        Err(error) => {
            remove(host_dirs, &made);
            Err(error)
        }
    }
}

fn make_missing<'a>(host_dirs: &dyn HostDirs, dir: &'a Path, made: &mut Vec<&'a Path>) -> Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|above| !host_dirs.is_dir(above)).collect();
    for dir in missing.into_iter().rev() {
        // Another process may be making the same.
        if host_dirs.create_dir(dir).map_err(|error| failed(Operation::Create, dir, error))? {
            made.push(dir);
        } else if !host_dirs.is_dir(dir) {
            return Err(failed(Operation::Create, dir, Errno::EXIST.into()));
        }
    }
    Ok(())
}

/// Makes the names of a directory and of those above it durable, wherever links on the way lead. So many of them, the
/// lowest, were made just now.
fn sync_above(host_dirs: &dyn HostDirs, dir: &Path, made: usize) -> Result<()> {
    let dir = host_dirs.real(dir).map_err(|error| failed(Operation::Read, dir, error))?;
    for (number, above) in dir.ancestors().skip(1).enumerate() {
        match host_dirs.sync_dir(above) {
            Err(error) if number >= made && is_refused(&error) => {}
            other => other.map_err(|error| failed(Operation::Sync, above, error))?,
        }
    }
    Ok(())
}

/// Whether a directory cannot be fsynced by this process, or not on this file system. That of one which takes no changes
/// is no error where none was made.
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

fn remove(host_dirs: &dyn HostDirs, made: &[&Path]) {
    // What another process has put there meanwhile stays.
    made.iter().rev().for_each(|dir| drop(host_dirs.remove_dir(dir)));
}

/// Gives a finished directory, which is `name` in `unfinished` and of which everything is durable, the name `to`, and
/// makes that durable. What has that name already must be an empty directory.
///
/// Nothing that has got its name is taken back, whatever fails after that: somebody may have seen it, or put something
/// of their own there.
pub(crate) fn publish(host_dirs: &dyn HostDirs, unfinished: &Path, name: &str, to: &Path) -> Result<()> {
    let sync = |dir: &Path| {
        let failed = |error| failed(Operation::SyncExport, dir, error);
        host_dirs.sync_dir(dir).map_err(failed)
    };
    let beside = to.parent().unwrap_or(to);
    let made = make_all(host_dirs, beside)?;
    if let Err(error) = host_dirs.rename(&unfinished.join(name), to) {
        remove(host_dirs, &made);
        return Err(failed(Operation::Export, to, error));
    }
    sync(beside)?;
    // A rename is durable once both directories are.
    sync(unfinished)
}

fn failed(what: Operation, path: &Path, error: io::Error) -> Error {
    Error::io(what, path.display().to_string(), error)
}
