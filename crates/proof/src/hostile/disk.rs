//! The directories of the fuzzers' stores. Every handle is opened here.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::create::create_on;
use crate::engine::open::open_on;
use crate::error::Result;
use crate::fs::real::RealFs;
use crate::fs::{Access, Fs};
use crate::options::OpenOptions;
use crate::store::Store;

/// Every file below a directory, with its bytes.
pub(super) type Tree = BTreeMap<String, Vec<u8>>;

/// A directory tree of its own.
pub(super) struct Disk {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// Removes a real directory at the end.
    _made: Option<tempfile::TempDir>,
}

impl Disk {
    /// An empty directory, in memory if the system offers that.
    pub(super) fn empty() -> Self {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let fs = Arc::new(RealFs::open(made.path()).unwrap());
        Self { fs, dir: made.path().into(), _made: Some(made) }
    }

    /// The tree behind any way to a disk.
    #[cfg(test)]
    pub(super) fn on(fs: Arc<dyn Fs>) -> Self {
        Self { fs, dir: "simulated".into(), _made: None }
    }

    /// There is no other writer to wait for. A checkpoint is written before the commit returns.
    fn options() -> OpenOptions {
        OpenOptions::default().checkpoint_thread(false).lock_wait(Duration::ZERO).author("fuzzer")
    }

    /// Creates a store.
    pub(super) fn create(&self) -> Result<Store> {
        create_on(Arc::clone(&self.fs), &self.dir, Self::options().into()).map(|(engine, _)| engine.into())
    }

    /// Opens the store that is there.
    pub(super) fn open(&self) -> Result<Store> {
        open_on(Arc::clone(&self.fs), &self.dir, Self::options().into()).map(Store::from)
    }

    /// The start of the machine, as the note in the writer lock names it.
    pub(super) fn boot(&self) -> Option<String> {
        self.fs.process().boot
    }

    /// Writes a file in place of another one. Does nothing if a directory or a file is in the way.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        self.create_dirs(path.rsplit_once('/').map_or("", |(directory, _)| directory));
        let _ = self.fs.remove(path);
        if let Ok(mut file) = self.fs.create(path, Access::Writable) {
            file.write_all(bytes).unwrap();
        }
    }

    /// Creates a directory and those above it, unless something is in the way.
    pub(super) fn create_dirs(&self, path: &str) {
        for directory in
            crate::path::directories(&format!("{path}/")).filter(|directory| !directory.is_empty())
        {
            let _ = self.fs.create_dir(directory);
        }
    }

    /// Removes a file.
    pub(super) fn remove(&self, path: &str) {
        let _ = self.fs.remove(path);
    }

    /// Every file except locks, whose notes mean nothing.
    pub(super) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        let mut directories = vec![String::new()];
        while let Some(directory) = directories.pop() {
            for listed in self.fs.list(&directory).unwrap() {
                let path =
                    if directory.is_empty() { listed.name } else { format!("{directory}/{}", listed.name) };
                if listed.is_directory {
                    directories.push(path);
                } else if !path.starts_with("locks/") {
                    let mut bytes = Vec::new();
                    self.fs.open(&path).unwrap().read_to_end(&mut bytes).unwrap();
                    tree.insert(path, bytes);
                }
            }
        }
        tree
    }
}
