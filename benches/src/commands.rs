//! The commands that take part.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// The versions of the commands that are installed.
#[derive(Debug)]
pub struct Commands {
    /// `git`.
    pub git: Option<String>,
    /// `sqlite3`, the shell of SQLite.
    pub sqlite3: Option<String>,
    /// `b3sum`.
    pub b3sum: Option<String>,
    /// `cp`.
    pub cp: Option<String>,
}

impl Commands {
    /// Asks each command for its version.
    #[must_use]
    pub fn find() -> Self {
        Self {
            git: version("git"),
            sqlite3: version("sqlite3").and_then(|text| text.split(' ').next().map(Into::into)),
            b3sum: version("b3sum"),
            cp: version("cp"),
        }
    }
}

/// The first line of what `NAME --version` prints. None if it is not installed.
fn version(name: &str) -> Option<String> {
    let output = Command::new(name).arg("--version").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Runs a command without input and output, except for what it says of errors.
///
/// # Errors
/// It cannot be run, or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(())
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Builds the program `genstore` as it is released.
pub(crate) fn build_genstore() -> Result<PathBuf> {
    let target = repository().join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(repository()).args(["build", "--quiet", "--release", "-p", "genstore-cli"]);
    run(build.arg("--target-dir").arg(&target))?;
    Ok(target.join("release/genstore"))
}

/// The commit of the repository, with `+` if files differ from it.
#[must_use]
pub fn revision() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(repository()).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}+") })
}
