//! The disk under a directory: its name, and how often it was told to flush its cache.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// The disk under a directory, and the kernel's counters of its requests.
#[derive(Debug)]
pub struct Disk {
    stat: Option<PathBuf>,
    /// File system and device, such as `ext4 on vda`.
    pub name: String,
    /// The options of the mount, then those of the file system.
    pub options: String,
    in_memory: bool,
}

/// A line of the list of mounts.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    kind: String,
    source: String,
    options: String,
}

impl Disk {
    /// Finds the disk under a directory. There is none under tmpfs.
    ///
    /// # Errors
    /// The directory or the list of mounts cannot be read.
    pub fn under(dir: &Path) -> Result<Self> {
        let dir = fs::canonicalize(dir)?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let Some(mount) = mount_of(&mounts, &dir) else {
            return Ok(Self { stat: None, name: "unknown".into(), options: String::new(), in_memory: false });
        };
        let in_memory = is_in_memory(&mounts, &mount);
        let Mount { kind, source, options } = mount;
        let source = PathBuf::from(source);
        let device = fs::canonicalize(&source).unwrap_or(source);
        let device = device.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let class = Path::new("/sys/class/block").join(&device);
        // Flushes are counted for the whole disk only.
        let whole =
            if class.join("partition").exists() { fs::canonicalize(&class)?.join("..") } else { class };
        let stat = Some(whole.join("stat")).filter(|stat| stat.exists());
        Ok(Self { stat, name: format!("{kind} on {device}"), options, in_memory })
    }

    /// Refuses a file system in memory, where an fsync costs nothing.
    ///
    /// # Errors
    /// The files would be in memory: tmpfs, or an overlay whose upper directory is on one.
    pub fn refuse_memory(&self) -> Result<()> {
        if self.in_memory {
            return Err(format!("{}: an fsync costs nothing in memory; name a disk", self.name).into());
        }
        Ok(())
    }

    /// The cache flushes of the disk so far, those of other programs included: field 16 of `stat`
    /// (kernel: Documentation/block/stat.rst).
    #[must_use]
    pub fn flushes(&self) -> Option<u64> {
        let stat = fs::read_to_string(self.stat.as_ref()?).ok()?;
        stat.split_whitespace().nth(15)?.parse().ok()
    }
}

/// The mount that holds a directory.
fn mount_of(mounts: &str, dir: &Path) -> Option<Mount> {
    // `36 35 98:0 /root /mount options ... - type source ...`. On btrfs every subvolume has its
    // own device number, so the longest mount path decides. Of equal paths the last hides the
    // others.
    let found = mounts.lines().filter_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(4);
        let mount = place.next().filter(|mount| dir.starts_with(mount))?;
        let of_mount = place.next()?;
        let mut words = what.split(' ');
        let kind = words.next()?.to_owned();
        let source = words.next()?.to_owned();
        let options = format!("{of_mount}; {}", words.next().unwrap_or_default());
        Some((mount.len(), Mount { kind, source, options }))
    });
    found.max_by_key(|(length, _)| *length).map(|(_, mount)| mount)
}

fn is_in_memory(mounts: &str, mount: &Mount) -> bool {
    match mount.kind.as_str() {
        "tmpfs" | "ramfs" | "devtmpfs" => true,
        // In a container the path of the upper directory may be one of the host. Then the longest
        // mount path is the overlay again, and nothing is known.
        "overlay" => {
            let upper =
                mount.options.split([';', ',']).find_map(|word| word.trim().strip_prefix("upperdir="));
            let under = upper.and_then(|upper| mount_of(mounts, Path::new(upper)));
            under.is_some_and(|under| under != *mount && is_in_memory(mounts, &under))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
1 0 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
2 1 0:5 / /tmp rw shared:1 - tmpfs tmpfs rw,size=1g
3 1 0:6 / /over rw - overlay overlay rw,lowerdir=/lower,upperdir=/tmp/upper,workdir=/tmp/work
4 1 0:7 / /layered rw - overlay overlay rw,lowerdir=/lower,upperdir=/upper,workdir=/work
5 1 0:8 / /nested rw - overlay overlay rw,upperdir=/over/upper
6 1 0:9 / /inside rw - overlay overlay rw,upperdir=/inside/upper
7 1 254:1 / /tmp/disk rw - xfs /dev/vdb rw
";

    #[test]
    fn only_files_in_memory_are_refused() {
        for (dir, kind, in_memory) in [
            ("/home", "ext4", false),
            ("/tmp/a", "tmpfs", true),
            ("/tmp/disk/a", "xfs", false),
            ("/over/a", "overlay", true),
            ("/layered", "overlay", false),
            ("/nested", "overlay", true),
            ("/inside", "overlay", false),
        ] {
            let mount = mount_of(MOUNTS, Path::new(dir));
            assert_eq!(mount.as_ref().map(|mount| mount.kind.as_str()), Some(kind), "{dir}");
            assert_eq!(mount.map(|mount| is_in_memory(MOUNTS, &mount)), Some(in_memory), "{dir}");
        }
    }

    #[test]
    fn options_are_of_the_mount_and_of_the_file_system() {
        let options = mount_of(MOUNTS, Path::new("/")).map(|mount| mount.options);
        assert_eq!(options.as_deref(), Some("rw,relatime; rw,discard"));
    }
}
