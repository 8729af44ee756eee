//! genstore itself. All that the rows use of the library and of its command is here.

use std::path::Path;
use std::process::Command;

use genstore::{Generation, OpenOptions, Store};

use super::{Files, Peer};
use crate::Result;

/// The options with which every store is created and opened: those of the library by default.
fn options() -> OpenOptions {
    Store::options()
}

/// An open store.
#[derive(Clone, Debug)]
pub struct Genstore(Store);

impl Genstore {
    /// Creates a store in a new or empty directory.
    ///
    /// # Errors
    /// See `OpenOptions::create`.
    pub fn create(dir: &Path) -> Result<Self> {
        Ok(Self(options().create(dir)?))
    }

    /// Opens a store, which must be whole.
    ///
    /// # Errors
    /// It cannot be opened, or is damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        let store = options().open(dir)?;
        if let Some(found) = store.recovery() {
            return Err(format!("the store is damaged: {found:?}").into());
        }
        Ok(Self(store))
    }

    /// Commits files, from any thread.
    ///
    /// # Errors
    /// The commit fails.
    pub fn put(&self, files: Files) -> Result<()> {
        let mut tx = self.0.begin()?;
        for (path, bytes) in files {
            tx.put(path, bytes)?;
        }
        tx.commit("commit")?;
        Ok(())
    }

    /// A file of the newest generation.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.0.snapshot()?.get(path)?)
    }

    /// A file of this generation.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn get_at(&self, generation: u64, path: &str) -> Result<Vec<u8>> {
        Ok(self.0.snapshot_at(Generation::new(generation)?)?.get(path)?)
    }

    /// The number of the newest generation.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn newest(&self) -> Result<u64> {
        Ok(self.0.snapshot()?.generation().get())
    }
}

impl Peer for Genstore {
    fn commit(&mut self, files: Files) -> Result<()> {
        self.put(files)
    }
}

/// The command `genstore` on this store.
fn command(program: &Path, store: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("--quiet").arg("--store").arg(store);
    command
}

/// `genstore put`.
#[must_use]
pub fn put(program: &Path, store: &Path, path: &str, file: &Path) -> Command {
    let mut put = command(program, store);
    put.args(["put", path]).arg(file).args(["-m", "commit"]);
    put
}

/// `genstore commit`.
#[must_use]
pub fn commit(program: &Path, store: &Path, dir: &Path) -> Command {
    let mut commit = command(program, store);
    commit.arg("commit").arg(dir).args(["-m", "commit"]);
    commit
}

/// `genstore verify`.
#[must_use]
pub fn verify(program: &Path, store: &Path) -> Command {
    let mut verify = command(program, store);
    verify.arg("verify");
    verify
}

/// `genstore export`.
#[must_use]
pub fn export(program: &Path, store: &Path, dir: &Path) -> Command {
    let mut export = command(program, store);
    export.arg("export").arg(dir);
    export
}
