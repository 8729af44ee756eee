//! git by its command: the index and a commit, with an fsync of all that it writes.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Files, Peer};
use crate::Result;
use crate::commands::run;

/// The settings of every repository. By default git makes only some of its files durable. It must
/// not pack its objects meanwhile, which deletes files.
const CONFIG: &str = "
[core]
\tfsync = all
\tfsyncMethod = fsync
[gc]
\tauto = 0
[maintenance]
\tauto = false
[user]
\tname = bench
\temail = bench@localhost
";

/// A repository, and the directory whose files it keeps.
#[derive(Debug)]
pub struct Git {
    repository: PathBuf,
    tree: PathBuf,
}

impl Git {
    /// Creates a repository with a tree of its own in this directory.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir.join("tree/stores"))?;
        Self::of(dir, &dir.join("tree"))
    }

    /// Creates a repository in `dir` that keeps the files of `tree`.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn of(dir: &Path, tree: &Path) -> Result<Self> {
        let git = Self { repository: dir.join("git"), tree: tree.into() };
        run(git.command().args(["init", "--quiet"]))?;
        let mut config = OpenOptions::new().append(true).open(git.repository.join("config"))?;
        config.write_all(CONFIG.as_bytes())?;
        Ok(git)
    }

    /// Adds everything to the index and commits it.
    ///
    /// # Errors
    /// git fails.
    pub fn add_and_commit(&self) -> Result<()> {
        run(self.command().args(["add", "--all"]))?;
        run(self.command().args(["commit", "--quiet", "--message", "commit"]))
    }

    fn command(&self) -> Command {
        let mut git = Command::new("git");
        // Settings of the user and of the machine would make it another peer.
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        git.current_dir(&self.tree).env("GIT_DIR", &self.repository).env("GIT_WORK_TREE", &self.tree);
        git
    }
}

impl Peer for Git {
    fn commit(&mut self, files: Files) -> Result<()> {
        // The tree needs no fsync: the repository holds what it had.
        for (path, bytes) in &files {
            fs::write(self.tree.join(path), bytes)?;
        }
        self.add_and_commit()
    }
}
