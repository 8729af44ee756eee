//! Facts about the machine and the versions of all peers.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::commands::{Commands, revision};
use crate::disk::Disk;

/// The machine on which a result was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The name and release of the kernel.
    pub kernel: String,
    /// File system and device, such as `ext4 on vda`.
    pub disk: String,
    /// The options of the mount and of the file system.
    pub mount: String,
    /// The model of the processor.
    pub cpu: String,
    /// The number of processors that the program may use.
    pub cores: usize,
    /// The memory, in MiB.
    pub memory: u64,
    /// The load average over a minute, before the first row.
    pub load: String,
}

impl Machine {
    /// This machine, with the file system to measure.
    #[must_use]
    pub fn with(disk: &Disk) -> Self {
        let uname = rustix::system::uname();
        let kilobytes = field("/proc/meminfo", "MemTotal").and_then(|text| first_number(&text));
        Self {
            kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
            disk: disk.name.clone(),
            mount: disk.options.clone(),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory: kilobytes.unwrap_or_default() / 1024,
            load: load(),
        }
    }
}

/// One line about the machine, for the head of every table.
#[must_use]
pub fn machine() -> String {
    let uname = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{} {}, {cores} cores, load {} at start",
        uname.sysname().to_string_lossy(),
        uname.release().to_string_lossy(),
        load()
    )
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("?").to_owned()
}

/// The most memory that this process has ever had, in MiB.
#[must_use]
pub fn peak_memory() -> Option<f64> {
    let kilobytes = first_number(&field("/proc/self/status", "VmHWM")?)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Some(kilobytes as f64 / 1024.0)
}

/// The text after `name` and a colon in a file of the kernel.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The versions of genstore and of all peers.
#[must_use]
pub fn versions(commands: &Commands) -> BTreeMap<String, String> {
    let locked = |name: &str| locked(name).unwrap_or_else(|| "unknown".into());
    let heed::LmdbVersion { major, minor, patch, .. } = heed::lmdb_version();
    let genstore = locked("genstore");
    let genstore = revision().map_or(genstore.clone(), |commit| format!("{genstore} ({commit})"));
    let mut versions = BTreeMap::from(
        [
            ("genstore", genstore),
            ("SQLite", format!("{} (rusqlite {})", rusqlite::version(), locked("rusqlite"))),
            ("redb", locked("redb")),
            ("LMDB", format!("{major}.{minor}.{patch} (heed {})", locked("heed"))),
            ("fjall", locked("fjall")),
        ]
        .map(|(name, version)| (name.to_owned(), version)),
    );
    let absent = || "not installed".to_owned();
    for (name, version) in [
        ("git (command)", &commands.git),
        ("sqlite3 (command)", &commands.sqlite3),
        ("cp (command)", &commands.cp),
    ] {
        versions.insert(name.into(), version.clone().unwrap_or_else(absent));
    }
    let b3sum = commands.b3sum.clone();
    let b3sum = b3sum.unwrap_or_else(|| format!("not installed (crate blake3 {})", locked("blake3")));
    versions.insert("b3sum (command)".into(), b3sum);
    versions
}

/// The version of a crate in the lock file with which this program was built.
fn locked(name: &str) -> Option<String> {
    let mut lines = include_str!("../Cargo.lock").lines();
    lines.find(|line| *line == format!("name = \"{name}\""))?;
    Some(lines.next()?.strip_prefix("version = \"")?.trim_end_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_is_locked() {
        for name in ["genstore", "rusqlite", "redb", "heed", "fjall", "blake3"] {
            assert!(locked(name).is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())));
        }
        assert_eq!(locked("no-such-crate"), None);
    }

    #[test]
    fn the_kernel_says_how_much_memory_there_was() {
        assert!(peak_memory().is_some_and(|mib| mib > 0.1));
    }
}
