//! Each file is replaced for itself. A power cut leaves each file whole, but the files may be of
//! different times.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Files, Peer};
use crate::Result;

/// A directory whose files are replaced one by one.
#[derive(Debug)]
pub struct EachRenamed(PathBuf);

impl EachRenamed {
    /// Works in this directory.
    ///
    /// # Errors
    /// It cannot be prepared.
    pub fn create(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir.join("stores"))?;
        Ok(Self(dir.into()))
    }
}

impl Peer for EachRenamed {
    fn commit(&mut self, files: Files) -> Result<()> {
        for (path, bytes) in &files {
            let path = self.0.join(path);
            let temporary = path.with_extension("tmp");
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}
