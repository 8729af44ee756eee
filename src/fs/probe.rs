//! The medium of a store: the kind of file system, and whether it does what the commit protocol
//! needs.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs as sys;
use serde::Serialize;

use super::{Access, Fs, FsInfo, FsVerdict, LockMode};
use crate::error::{Error, ErrorRepr, Operation, Result};

/// With less free space than this, in bytes, a new store gets a warning.
const LITTLE_SPACE: u64 = 64 << 20;
/// The files that the probe creates and removes again.
const PROBE: &str = "staging/probe";
const PROBE_OTHER_CASE: &str = "staging/PROBE";
const PROBE_NEXT: &str = "staging/probe.next";
const PROBE_LOCK: &str = "locks/probe";

/// What creating a store found out about its medium: the file system and the disk below it.
///
/// The report is also in the metadata of the first generation of the store, under `medium`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The kind of file system, such as `ext4`.
    pub filesystem: String,
    /// The free space when the store was created, in bytes.
    pub free_bytes: u64,
    /// Whether two names that differ only in case name two files.
    pub case_sensitive: bool,
    /// Whether a rename can replace an open file while its reader keeps the old content.
    pub replaces_open_files: bool,
    /// Whether a file can be created on condition that it does not exist yet.
    pub creates_exclusively: bool,
    /// Whether a directory can be fsynced.
    pub syncs_directories: bool,
    /// Whom a held lock kept out: `second descriptor` (of the same process), or `nobody`.
    pub lock_excludes: String,
    /// What weakens a promise of the store, as clauses for a person.
    pub warnings: Vec<String>,
}

const NETWORK: &str = "over a network, locks may not reach other machines and a rename may report a wrong result, so two \
     writers could both believe that they are alone";

const EXT4: u64 = 0xEF53;
const XFS: u64 = 0x5846_5342;
const BTRFS: u64 = 0x9123_683E;

/// The magic numbers are those of `linux/magic.h`.
fn classify(magic: u64) -> (String, FsVerdict) {
    let (name, verdict) = match magic {
        EXT4 => ("ext4", FsVerdict::Good),
        XFS => ("xfs", FsVerdict::Good),
        BTRFS => ("btrfs", FsVerdict::Good),
        0xF2F5_2010 => ("f2fs", FsVerdict::Good),
        0x2FC1_2FC1 => ("zfs", FsVerdict::Good),
        0xCA45_1A4E => ("bcachefs", FsVerdict::Good),
        0x0102_1994 => ("tmpfs", FsVerdict::Weak("everything on tmpfs is gone when the machine stops")),
        0x8584_58F6 => ("ramfs", FsVerdict::Weak("everything on ramfs is gone when the machine stops")),
        0x794C_7630 => (
            "overlay",
            FsVerdict::Weak(
                "an overlay is as durable as its upper directory, and in a container it often goes away with the container",
            ),
        ),
        0x6573_5546 => (
            "fuse",
            FsVerdict::Weak("what an fsync promises on a FUSE file system depends on the program behind it"),
        ),
        0x4D44 => (
            "vfat",
            FsVerdict::Weak("FAT keeps no journal: a power cut can damage what was not being written"),
        ),
        0x2011_BAB0 => (
            "exfat",
            FsVerdict::Weak("exFAT keeps no journal: a power cut can damage what was not being written"),
        ),
        0x6969 => ("nfs", FsVerdict::Refused(NETWORK)),
        0x517B | 0xFE53_4D42 | 0xFF53_4D42 => ("smb", FsVerdict::Refused(NETWORK)),
        0x0102_1997 => ("9p", FsVerdict::Refused(NETWORK)),
        other => {
            return (format!("{other:#x}"), FsVerdict::Weak("this kind of file system has not been tested"));
        }
    };
    (name.into(), verdict)
}

/// The kind of file system of a descriptor, as `linux/magic.h` numbers it.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "the type differs between systems")]
fn magic(root: &OwnedFd) -> io::Result<u64> {
    #[cfg(target_os = "linux")]
    return Ok(sys::fstatfs(root)?.f_type as u64 & 0xFFFF_FFFF);
    #[cfg(not(target_os = "linux"))]
    return Ok(0);
}

/// Looks at the file system of an open directory.
pub(crate) fn info(root: &OwnedFd) -> io::Result<FsInfo> {
    let magic = magic(root)?;
    let (filesystem, verdict) = classify(magic);
    let space = sys::fstatvfs(root)?;
    Ok(FsInfo {
        filesystem,
        verdict,
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        fast_commit: if magic == EXT4 { fast_commit(root) } else { Some(false) },
    })
}

/// Whether one syncfs may replace the fsyncs of barrier 1. That holds on the file systems for which
/// it was measured, and on kernels that report its errors (5.8 and later). It does not hold with
/// `fast_commit`, where it left images that could not be mounted.
pub(crate) fn allows_syncfs(root: &OwnedFd) -> bool {
    let measured = magic(root).is_ok_and(|magic| matches!(magic, EXT4 | XFS | BTRFS));
    measured
        && kernel_reports_errors()
        && !(magic(root).is_ok_and(|m| m == EXT4) && fast_commit(root) == Some(true))
}

fn kernel_reports_errors() -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 8)
}

/// Whether ext4 has `fast_commit`: from the superblock where the process may read it, else from the
/// count of fast commits.
///
/// `s_feature_compat` is at byte 0x5C of the superblock, which begins at byte 1024; the feature is
/// bit 0x400 (kernel documentation, ext4 "Super Block").
fn fast_commit(root: &OwnedFd) -> Option<bool> {
    use std::io::{Seek, SeekFrom};
    let dev = sys::fstat(root).ok()?.st_dev;
    let link = format!("/sys/dev/block/{}:{}", sys::major(dev), sys::minor(dev));
    let device = std::fs::read_link(link).ok()?.file_name()?.to_str()?.to_owned();
    let superblock = || -> io::Result<[u8; 4]> {
        let mut disk = std::fs::OpenOptions::new().read(true).open(format!("/dev/{device}"))?;
        disk.seek(SeekFrom::Start(1024 + 0x5C))?;
        let mut features = [0; 4];
        disk.read_exact(&mut features)?;
        Ok(features)
    };
    if let Ok(features) = superblock() {
        return Some(u32::from_le_bytes(features) & 0x400 != 0);
    }
    let info = std::fs::read_to_string(format!("/proc/fs/ext4/{device}/fc_info")).ok()?;
    let commits = info.lines().find_map(|line| line.strip_suffix(" commits")?.trim().parse::<u64>().ok())?;
    // A count of zero does not prove that the feature is off, though the first fsync after the
    // mount makes a fast commit.
    if commits > 0 { Some(true) } else { None }
}

/// The id of the current start of the machine, which is new at every start.
pub(crate) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Tests what the commit protocol needs, in the directories of a store that is being created.
///
/// # Errors
/// `Unsupported` when the medium lacks something, unless `force` turns that into a warning.
pub(crate) fn probe(fs: &dyn Fs, dir: &Path, force: bool) -> Result<ProbeReport> {
    let io = |error| Error::io(Operation::Probe, dir.display().to_string(), error);
    let info = fs.info().map_err(io)?;
    let mut probe = ProbeReport {
        filesystem: info.filesystem.clone(),
        free_bytes: info.free_bytes,
        case_sensitive: true,
        replaces_open_files: false,
        creates_exclusively: false,
        syncs_directories: false,
        lock_excludes: "nobody".into(),
        warnings: warnings(&info),
    };
    let tried = try_out(fs, &mut probe);
    let cleared = clear(fs);
    tried.and(cleared).map_err(io)?;
    let lacks = [
        (probe.replaces_open_files, "an open file cannot be replaced by a rename"),
        (probe.creates_exclusively, "a file cannot be created on condition that it does not exist yet"),
        (probe.syncs_directories, "a directory cannot be fsynced, so a power cut may lose a commit"),
        (probe.lock_excludes != "nobody", "a held lock does not keep others out"),
    ];
    for (_, reason) in lacks.iter().filter(|(has, _)| !has) {
        if !force {
            return Err(refused(&info, reason));
        }
        probe.warnings.push((*reason).into());
    }
    Ok(probe)
}

/// Refuses the kinds of file system on which the promises do not hold. Called before anything is
/// created.
pub(crate) fn check(info: &FsInfo, force: bool) -> Result<()> {
    match info.verdict {
        FsVerdict::Refused(reason) if !force => Err(refused(info, reason)),
        _ => Ok(()),
    }
}

fn refused(info: &FsInfo, reason: &str) -> Error {
    ErrorRepr::FilesystemRefused { filesystem: info.filesystem.clone(), reason: reason.into() }.into()
}

fn warnings(info: &FsInfo) -> Vec<String> {
    let mut warnings = Vec::new();
    if let FsVerdict::Weak(reason) | FsVerdict::Refused(reason) = info.verdict {
        warnings.push(format!("{}: {reason}", info.filesystem));
    }
    if info.fast_commit == Some(true) {
        warnings.push("ext4 with fast_commit: a power cut can leave a file system that cannot be mounted; turn it off with tune2fs -O ^fast_commit".into());
    }
    if info.free_bytes < LITTLE_SPACE {
        warnings.push(format!("only {} bytes are free", info.free_bytes));
    }
    warnings
}

fn try_out(fs: &dyn Fs, probe: &mut ProbeReport) -> io::Result<()> {
    clear(fs)?;
    write(fs, PROBE, b"old")?;
    probe.creates_exclusively = match fs.create(PROBE, Access::ReadOnly) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => true,
        other => other.map(|_| false)?,
    };
    probe.case_sensitive = fs.stat(PROBE_OTHER_CASE)?.is_none();
    write(fs, PROBE_NEXT, b"new")?;
    let mut reader = fs.open(PROBE)?;
    let replaced = works(fs.rename(PROBE_NEXT, PROBE))?;
    let mut old = Vec::new();
    let mut new = Vec::new();
    reader.read_to_end(&mut old)?;
    fs.open(PROBE)?.read_to_end(&mut new)?;
    probe.replaces_open_files = replaced && old == b"old" && new == b"new";
    probe.syncs_directories = works(fs.sync_dir("staging"))?;
    // A lock belongs to the open file, not to the process. So a second descriptor shows as much as
    // a second process would.
    if let Some(_held) = fs.try_lock(PROBE_LOCK, LockMode::Exclusive)?
        && fs.try_lock(PROBE_LOCK, LockMode::Exclusive)?.is_none()
    {
        probe.lock_excludes = "second descriptor".into();
    }
    Ok(())
}

/// Whether the medium can do something. Fails when it only failed to do it now.
fn works(tried: io::Result<()>) -> io::Result<bool> {
    use io::ErrorKind as K;
    match tried {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), K::Unsupported | K::InvalidInput | K::ResourceBusy) => Ok(false),
        Err(error) => Err(error),
    }
}

fn write(fs: &dyn Fs, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs.create(path, Access::ReadOnly)?;
    file.write_all(bytes)?;
    file.sync()
}

fn clear(fs: &dyn Fs) -> io::Result<()> {
    for path in [PROBE, PROBE_NEXT, PROBE_LOCK] {
        match fs.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(filesystem: &str, verdict: FsVerdict) -> FsInfo {
        FsInfo { filesystem: filesystem.into(), verdict, free_bytes: u64::MAX, fast_commit: Some(false) }
    }

    #[test]
    fn networks_are_refused_unless_forced_and_then_warned_of() {
        for magic in [0x6969, 0x517B, 0xFE53_4D42, 0xFF53_4D42, 0x0102_1997] {
            let (name, verdict) = classify(magic);
            let info = info(&name, verdict);
            let error = check(&info, false).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
            assert!(error.to_string().contains(&name) && error.to_string().contains("locks"), "{error}");
            check(&info, true).unwrap();
            assert!(warnings(&info)[0].starts_with(&format!("{name}: over a network")));
        }
    }

    #[test]
    fn what_weakens_a_promise_is_warned_of() {
        for (magic, word) in [(0x0102_1994, "tmpfs"), (0x794C_7630, "overlay"), (0x1234, "0x1234")] {
            let (name, verdict) = classify(magic);
            check(&info(&name, verdict), false).unwrap();
            assert!(warnings(&info(&name, verdict))[0].starts_with(word));
        }
        assert_eq!(warnings(&info("ext4", classify(EXT4).1)), Vec::<String>::new());
        let fast = FsInfo { fast_commit: Some(true), ..info("ext4", FsVerdict::Good) };
        assert!(warnings(&fast)[0].contains("fast_commit"));
        let full = FsInfo { free_bytes: 5, ..info("ext4", FsVerdict::Good) };
        assert_eq!(warnings(&full), ["only 5 bytes are free"]);
    }

    #[test]
    fn the_probe_finds_what_this_system_has_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let fs = super::super::real::RealFs::open(dir.path()).unwrap();
        fs.create_dir("staging").unwrap();
        fs.create_dir("locks").unwrap();
        let found = probe(&fs, dir.path(), false).unwrap();
        assert_eq!(found.lock_excludes, "second descriptor");
        assert!(found.replaces_open_files && found.creates_exclusively && found.syncs_directories);
        assert_eq!(fs.list("staging").unwrap(), []);
        assert_eq!(fs.list("locks").unwrap(), []);
    }
}
