//! [`Fs`] on the operating system, through directory descriptors.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use super::lock;
use super::{Access, DirEntry, FileKind, Fs, FsFile, FsLock, Process, Stat, SyncFs, not_a_file, probe};
use crate::time::Timestamp;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory of the operating system, held open.
#[derive(Debug)]
pub(crate) struct RealFs {
    root: OwnedFd,
    path: PathBuf,
    syncfs: bool,
}

impl RealFs {
    /// Opens a directory. The path may be or contain links, as the caller chose it. Links below are
    /// not followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = sys::open(path, DIRECTORY, Mode::empty())?;
        let syncfs = probe::allows_syncfs(&root);
        Ok(Self { root, path: std::path::absolute(path)?, syncfs })
    }

    fn dir(&self, path: &str) -> io::Result<OwnedFd> {
        match at_once(&self.root, path) {
            Err(Errno::LOOP | Errno::NOTDIR) => Err(not_a_directory(path)),
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => step_by_step(&self.root, path),
            other => Ok(other?),
        }
    }

    /// The directory that a path is in, and its name there.
    fn place<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.dir(dir)?, name))
    }
}

/// Opens a directory below another one without following links, in one call. Linux has the call
/// since 5.6, and some sandboxes refuse it.
#[cfg(target_os = "linux")]
fn at_once(root: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { "." } else { path };
    let resolve = sys::ResolveFlags::BENEATH | sys::ResolveFlags::NO_SYMLINKS;
    sys::openat2(root, path, DIRECTORY, Mode::empty(), resolve)
}

#[cfg(not(target_os = "linux"))]
fn at_once(_: &OwnedFd, _: &str) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Like [`at_once`], one part of the path after the other.
fn step_by_step(root: &OwnedFd, path: &str) -> io::Result<OwnedFd> {
    let mut dir = sys::openat(root, ".", DIRECTORY, Mode::empty())?;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        dir = match sys::openat(&dir, part, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(not_a_directory(part)),
            other => other?,
        };
    }
    Ok(dir)
}

fn not_a_directory(part: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{part} is not a directory"))
}

/// What identifies a file: its device and its inode number.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "the types differ between systems")]
const fn identity(stat: &sys::Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// Lets the owner use a new file, whatever the umask says.
fn grant_owner(file: impl AsFd, wanted: Mode) -> io::Result<()> {
    let mode = Mode::from_raw_mode(sys::fstat(&file)?.st_mode);
    if !mode.contains(wanted) {
        sys::fchmod(&file, mode | wanted)?;
    }
    Ok(())
}

impl Fs for RealFs {
    fn create(&self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>> {
        let (dir, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = match access {
            Access::ReadOnly => 0o444,
            Access::Writable => 0o666,
        };
        let file = sys::openat(&dir, name, flags, Mode::from_raw_mode(mode))?;
        if let Err(error) = grant_owner(&file, Mode::RUSR) {
            sys::unlinkat(&dir, name, AtFlags::empty())?;
            return Err(error);
        }
        Ok(Box::new(RealFile(File::from(file))))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn FsFile>> {
        let (dir, name) = self.place(path)?;
        // Without NONBLOCK a FIFO would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match sys::openat(&dir, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Err(not_a_file("a symbolic link")),
            Err(Errno::NXIO) => return Err(not_a_file("a socket or a device")),
            other => other?,
        };
        match FileType::from_raw_mode(sys::fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(Box::new(RealFile(File::from(file)))),
            FileType::Directory => Err(not_a_file("a directory")),
            FileType::Fifo => Err(not_a_file("a FIFO")),
            _ => Err(not_a_file("something else")),
        }
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        let found =
            self.place(path).and_then(|(dir, name)| Ok(sys::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(stat) => {
                let kind = match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => FileKind::File,
                    FileType::Directory => FileKind::Directory,
                    _ => FileKind::Other,
                };
                Ok(Some(Stat { kind, bytes: u64::try_from(stat.st_size).unwrap_or(0) }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_dir(&self, path: &str) -> io::Result<bool> {
        let (dir, name) = self.place(path)?;
        match sys::mkdirat(&dir, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => {
                sys::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map(|stat| Mode::from_raw_mode(stat.st_mode))
                    .and_then(|mode| {
                        if mode.contains(Mode::RWXU) {
                            Ok(())
                        } else {
                            sys::chmodat(&dir, name, mode | Mode::RWXU, AtFlags::empty())
                        }
                    })?;
                Ok(true)
            }
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        Ok(sys::unlinkat(&dir, name, AtFlags::empty())?)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        Ok(sys::unlinkat(&dir, name, AtFlags::REMOVEDIR)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from_dir, from) = self.place(from)?;
        let (to_dir, to) = self.place(to)?;
        Ok(sys::renameat(&from_dir, from, &to_dir, to)?)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let (from_dir, from) = self.place(from)?;
        let (to_dir, to) = self.place(to)?;
        rename_new(&from_dir, from, &to_dir, to)
    }

    fn list(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let dir = self.dir(path)?;
        let mut names = Vec::new();
        for entry in sys::Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    FileType::from_raw_mode(sys::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
                }
                known => known,
            };
            names.push(DirEntry {
                name: name.to_string_lossy().into_owned(),
                is_directory: kind == FileType::Directory,
                is_utf8: name.to_str().is_ok(),
            });
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        // On macOS this reaches the disk itself, which a plain fsync does not.
        File::from(self.dir(path)?).sync_all()
    }

    fn syncfs(&self) -> io::Result<Option<Box<dyn SyncFs>>> {
        if !self.syncfs {
            return Ok(None);
        }
        Ok(Some(Box::new(RealSyncFs(self.dir("")?))))
    }

    fn try_lock(&self, path: &str, mode: super::LockMode) -> io::Result<Option<Box<dyn FsLock>>> {
        let (dir, name) = self.place(path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match sys::openat(&dir, name, flags, Mode::from_raw_mode(0o666)) {
            Err(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => return Err(not_a_file("something else")),
            other => other?,
        };
        if FileType::from_raw_mode(sys::fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(not_a_file("something else"));
        }
        // Fails for the lock file of another user, which may stay as it is.
        let _ = grant_owner(&file, Mode::RUSR | Mode::WUSR);
        let Some(lock) = lock::try_lock(File::from(file), mode)? else { return Ok(None) };
        // The last holder may have removed the name after this process opened the file.
        match sys::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) if identity(&named) == lock.identity()? => Ok(Some(Box::new(lock))),
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn remove_locked(&self, path: &str, lock: &dyn FsLock) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        let named = sys::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if identity(&named) != lock.identity()? {
            return Ok(());
        }
        Ok(sys::unlinkat(&dir, name, AtFlags::empty())?)
    }

    fn is_same_dir(&self) -> io::Result<bool> {
        let ours = sys::fstat(&self.root)?;
        match sys::stat(&self.path) {
            Ok(named) => Ok(identity(&named) == identity(&ours)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn info(&self) -> io::Result<super::FsInfo> {
        probe::info(&self.root)
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::now())
    }

    fn monotonic(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that waits")]
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that reads random bytes")]
    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::from)?;
        Ok(bytes)
    }

    fn process(&self) -> Process {
        let program = std::env::current_exe()
            .ok()
            .and_then(|exe| Some(exe.file_name()?.to_string_lossy().into_owned()));
        Process {
            pid: std::process::id(),
            program: program.unwrap_or_default(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot: probe::boot_id(),
        }
    }
}

/// Renames a file without replacing anything.
fn rename_new<D: AsFd + Copy, P: Arg + Copy>(from_dir: D, from: P, to_dir: D, to: P) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match sys::renameat_with(from_dir, from, to_dir, to, sys::RenameFlags::NOREPLACE) {
        // Older kernels and some file systems do not know the flag.
        Err(Errno::INVAL | Errno::NOSYS) => {}
        other => return Ok(other?),
    }
    link_new(from_dir, from, to_dir, to)
}

/// Like [`rename_new`]: adds a second link, which fails if the name is taken, then removes the
/// first name.
fn link_new<D: AsFd + Copy, P: Arg + Copy>(from_dir: D, from: P, to_dir: D, to: P) -> io::Result<()> {
    sys::linkat(from_dir, from, to_dir, to, AtFlags::empty())?;
    let removed = sys::unlinkat(from_dir, from, AtFlags::empty());
    if removed.is_err() {
        // The caller will take the rename for failed, so the second name must go.
        let _ = sys::unlinkat(to_dir, to, AtFlags::empty());
    }
    Ok(removed?)
}

#[derive(Debug)]
struct RealFile(File);

impl Read for RealFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl FsFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// On Linux `POSIX_FADV_DONTNEED` starts the writing of dirty pages, as `sync_file_range` does,
    /// and needs no unsafe code. It may drop clean pages too, but the pages of a file that is being
    /// written are not clean.
    fn start_writeback(&self) {
        #[cfg(target_os = "linux")]
        let _ = sys::fadvise(&self.0, 0, None, sys::Advice::DontNeed);
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[derive(Debug)]
struct RealSyncFs(OwnedFd);

impl SyncFs for RealSyncFs {
    #[cfg(target_os = "linux")]
    fn sync(&self) -> io::Result<()> {
        Ok(sys::syncfs(&self.0)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn sync(&self) -> io::Result<()> {
        Err(Errno::NOSYS.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what is on the disk")]
    fn a_second_name_stands_in_for_a_rename_that_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        write("from", "new");
        write("taken", "old");
        let root = sys::open(dir.path(), DIRECTORY, Mode::empty()).unwrap();
        let refused = link_new(&root, "from", &root, "taken").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((read("from").as_deref(), read("taken").as_deref()), (Some("new"), Some("old")));
        link_new(&root, "from", &root, "to").unwrap();
        assert_eq!((read("from"), read("to").as_deref()), (None, Some("new")));
    }

    #[test]
    fn both_ways_to_a_directory_follow_no_link() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::create_dir(outside.path().join("b")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("inner")).unwrap();
        let fs = RealFs::open(dir.path()).unwrap();
        let ways: [fn(&RealFs, &str) -> io::Result<OwnedFd>; 2] =
            [|fs, path| fs.dir(path), |fs, path| step_by_step(&fs.root, path)];
        for way in ways {
            let place = |fd: OwnedFd| sys::fstat(&fd).map(|stat| (stat.st_dev, stat.st_ino)).unwrap();
            let expected = place(sys::open(dir.path().join("a/b"), DIRECTORY, Mode::empty()).unwrap());
            assert_eq!(place(way(&fs, "a/b").unwrap()), expected);
            assert!(way(&fs, "").is_ok());
            assert_eq!(way(&fs, "a/c").unwrap_err().kind(), io::ErrorKind::NotFound);
            for link in ["link", "link/b", "inner", "inner/b"] {
                assert_eq!(way(&fs, link).unwrap_err().kind(), io::ErrorKind::InvalidData, "{link}");
            }
        }
    }
}
