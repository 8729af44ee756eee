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
}

impl Disk {
    /// Finds the disk under a directory. There is none under tmpfs.
    ///
    /// # Errors
    /// The directory or the list of mounts cannot be read.
    pub fn under(dir: &Path) -> Result<Self> {
        let dir = fs::canonicalize(dir)?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        // `36 35 98:0 /root /mount options ... - type source ...`. On btrfs every subvolume has its
        // own device number, so the longest mount path decides. Of equal paths the last hides the
        // others.
        let found = mounts.lines().filter_map(|line| {
            let (place, what) = line.split_once(" - ")?;
            let mount = place.split(' ').nth(4).filter(|mount| dir.starts_with(mount))?;
            let mut words = what.split(' ');
            Some((mount.len(), words.next()?.to_owned(), PathBuf::from(words.next()?)))
        });
        let found = found.max_by_key(|(length, ..)| *length).map(|(_, kind, source)| (kind, source));
        let Some((kind, source)) = found else { return Ok(Self { stat: None, name: "unknown".into() }) };
        let device = fs::canonicalize(&source).unwrap_or(source);
        let device = device.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let class = Path::new("/sys/class/block").join(&device);
        // Flushes are counted for the whole disk only.
        let whole =
            if class.join("partition").exists() { fs::canonicalize(&class)?.join("..") } else { class };
        let stat = Some(whole.join("stat")).filter(|stat| stat.exists());
        Ok(Self { stat, name: format!("{kind} on {device}") })
    }

    /// The cache flushes of the disk so far, those of other programs included: field 16 of `stat`
    /// (kernel: Documentation/block/stat.rst).
    #[must_use]
    pub fn flushes(&self) -> Option<u64> {
        let stat = fs::read_to_string(self.stat.as_ref()?).ok()?;
        stat.split_whitespace().nth(15)?.parse().ok()
    }
}

/// One line about the machine, for the head of every table.
#[must_use]
pub fn machine() -> String {
    let uname = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!(
        "{} {}, {cores} cores, load {load} at start",
        uname.sysname().to_string_lossy(),
        uname.release().to_string_lossy()
    )
}
