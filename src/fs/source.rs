//! Files outside a store that are to be committed.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{Error, ErrorRepr, Operation, Result};

/// What shows whether a file was written to: its identity, length and times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint {
    place: (u64, u64),
    pub(crate) bytes: u64,
    times: [(i64, i64); 2],
}

fn fingerprint(meta: &Metadata) -> Fingerprint {
    Fingerprint {
        place: (meta.dev(), meta.ino()),
        bytes: meta.len(),
        times: [(meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec())],
    }
}

/// A file that is read in order to commit it.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    before: Fingerprint,
}

impl Source {
    /// Opens a regular file. Follows a symbolic link only if `follow` is set.
    pub(crate) fn open(path: &Path, follow: bool) -> Result<Self> {
        let link = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | link;
        let opened = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        let file = match opened {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(bad(path, "it is a symbolic link, and following links was not asked for"));
            }
            other => other.map_err(|error| cannot_read(path, error))?,
        };
        let meta = file.metadata().map_err(|error| cannot_read(path, error))?;
        if let Some(rule) = not_regular(&meta) {
            return Err(bad(path, rule));
        }
        Ok(Self { file, before: fingerprint(&meta) })
    }

    /// The fingerprint when the file was opened.
    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        self.before
    }

    /// The length when the file was opened, in bytes.
    pub(crate) const fn bytes(&self) -> u64 {
        self.before.bytes
    }

    /// Whether nothing was written to the file since it was opened, as far as its length and times
    /// show.
    pub(crate) fn is_unchanged(&self) -> io::Result<bool> {
        Ok(fingerprint(&self.file.metadata()?) == self.before)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

fn not_regular(meta: &Metadata) -> Option<&'static str> {
    let kind = meta.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("it is a directory")
    } else if kind.is_fifo() {
        Some("it is a FIFO")
    } else if kind.is_socket() {
        Some("it is a socket")
    } else {
        Some("it is a device")
    }
}

fn bad(file: &Path, rule: impl Into<String>) -> Error {
    ErrorRepr::BadSource { file: file.into(), rule: rule.into() }.into()
}

fn changing(file: &Path, rule: &'static str) -> Error {
    ErrorRepr::SourceChanging { file: file.into(), rule }.into()
}

fn cannot_read(path: &Path, error: io::Error) -> Error {
    Error::io(Operation::Read, path.display().to_string(), error)
}

/// One file found in a directory.
#[derive(Debug)]
pub(crate) struct Found {
    /// The path of the file.
    pub(crate) file: PathBuf,
    /// The path relative to the directory, separated by `/`.
    pub(crate) relative: String,
    /// The length in bytes.
    pub(crate) bytes: u64,
}

/// The files below a directory, and what shows whether they have changed.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The files, sorted by relative path.
    pub(crate) files: Vec<Found>,
    directories: BTreeMap<PathBuf, Fingerprint>,
    follow: bool,
}

/// Called again and again during long work. An error ends the work.
pub(crate) type GoOn<'a> = &'a dyn Fn() -> Result<()>;

/// The most files that a walk accepts: no generation has more changes.
const FILES_MAX: usize = 1_000_000;

impl Walk {
    /// Finds every file below `dir`. Fails when `dir` is the store or lies in it, and when a store
    /// lies below `dir`.
    pub(crate) fn of(dir: &Path, store: &Path, follow: bool, go_on: GoOn<'_>) -> Result<Self> {
        let absolute = |path: &Path| fs::canonicalize(path).map_err(|error| cannot_read(path, error));
        if absolute(dir)?.starts_with(absolute(store)?) {
            return Err(bad(dir, "it is part of the store to which it would be committed"));
        }
        let mut walk = Self { files: Vec::new(), directories: BTreeMap::new(), follow };
        walk.directory(dir, "", &mut Vec::new(), go_on)?;
        walk.files.sort_by(|one, two| one.relative.cmp(&two.relative));
        Ok(walk)
    }

    fn directory(
        &mut self,
        dir: &Path,
        relative: &str,
        above: &mut Vec<(u64, u64)>,
        go_on: GoOn<'_>,
    ) -> Result<()> {
        go_on()?;
        let meta = fs::metadata(dir).map_err(|error| cannot_read(dir, error))?;
        if !meta.is_dir() {
            return Err(ErrorRepr::NotADirectory(dir.into()).into());
        }
        if above.contains(&(meta.dev(), meta.ino())) {
            return Err(bad(dir, "it is a link to a directory above it"));
        }
        if relative.len() > crate::path::PATH_MAX {
            return Err(bad(dir, "its path below the committed directory is longer than 1024 bytes"));
        }
        above.push((meta.dev(), meta.ino()));
        self.directories.insert(dir.into(), fingerprint(&meta));
        let entries = fs::read_dir(dir).map_err(|error| cannot_read(dir, error))?;
        let mut has_pointer = false;
        let mut has_manifests = false;
        for entry in entries {
            let entry = entry.map_err(|error| cannot_read(dir, error))?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else { return Err(bad(&path, "its name is not UTF-8")) };
            has_pointer |= name == "CURRENT";
            has_manifests |= name == "manifests";
            if has_pointer && has_manifests {
                return Err(bad(dir, "it is a store, and a store cannot be committed into another"));
            }
            let relative = if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
            self.entry(&path, relative, above, go_on)?;
        }
        above.pop();
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        relative: String,
        above: &mut Vec<(u64, u64)>,
        go_on: GoOn<'_>,
    ) -> Result<()> {
        let mut meta = fs::symlink_metadata(path).map_err(|error| cannot_read(path, error))?;
        if meta.is_symlink() {
            if !self.follow {
                return Err(bad(path, "it is a symbolic link, and following links was not asked for"));
            }
            meta = fs::metadata(path).map_err(|error| cannot_read(path, error))?;
        }
        if meta.is_dir() {
            return self.directory(path, &relative, above, go_on);
        }
        if let Some(rule) = not_regular(&meta) {
            return Err(bad(path, rule));
        }
        if self.files.len() == FILES_MAX {
            return Err(bad(path, "there are more than 1000000 files, and no generation has more changes"));
        }
        self.files.push(Found { file: path.into(), relative, bytes: meta.len() });
        Ok(())
    }

    /// Fails when a directory gained or lost a name since it was listed, or when a file was written
    /// to since it was `read`. What was read would then be a mixture of two states.
    pub(crate) fn check_unchanged(&self, read: &[Fingerprint]) -> Result<()> {
        for (found, before) in self.files.iter().zip(read) {
            let file = &found.file;
            let now = if self.follow { fs::metadata(file) } else { fs::symlink_metadata(file) };
            if fingerprint(&now.map_err(|error| cannot_read(file, error))?) != *before {
                return Err(changing(file, "it was written to while its directory was being read"));
            }
        }
        for (dir, before) in &self.directories {
            let now = fs::metadata(dir).map_err(|error| cannot_read(dir, error))?;
            if fingerprint(&now) != *before {
                return Err(changing(dir, "files were added to it or taken from it while it was being read"));
            }
        }
        Ok(())
    }
}
