//! What every row needs: where to work, how much, and what to skip.

use std::cell::{OnceCell, RefCell};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::big::Big;
use crate::commands::Commands;
use crate::disk::Disk;

/// The rounds of a quick run, unless a row has fewer.
const QUICK_ROUNDS: usize = 5;

/// One run of the comparison.
#[derive(Debug)]
pub struct Bench {
    dir: PathBuf,
    whole: File,
    rounds: Option<usize>,
    /// How long a row may take before it ends with fewer rounds.
    pub limit: Duration,
    /// Whether the big rows are scaled down.
    pub quick: bool,
    /// The disk that is measured.
    pub disk: Disk,
    /// The commands that are peers.
    pub commands: Commands,
    /// The large stores and trees, which are built when a row first needs them.
    pub big: Big,
    genstore: OnceCell<PathBuf>,
    skipped: RefCell<Vec<String>>,
}

impl Bench {
    /// A run that keeps all its files under `dir`.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn new(dir: &Path, disk: Disk, rounds: Option<usize>, limit: Duration, quick: bool) -> Result<Self> {
        Ok(Self {
            dir: dir.into(),
            whole: File::open(dir)?,
            rounds,
            limit,
            quick,
            disk,
            commands: Commands::find(),
            big: Big::default(),
            genstore: OnceCell::new(),
            skipped: RefCell::default(),
        })
    }

    /// A new directory of this name.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// The number of rounds of a row that has this many by default. They are fewer in a quick run.
    #[must_use]
    pub fn rounds(&self, default: usize) -> usize {
        self.rounds.unwrap_or(if self.quick { default.min(QUICK_ROUNDS) } else { default })
    }

    /// The size of a thing, and what to say if it is not the full one.
    #[must_use]
    pub fn size(&self, what: &str, full: usize, quick: usize) -> (usize, Option<String>) {
        if self.quick { (quick, Some(format!("{quick} {what} for {full}"))) } else { (full, None) }
    }

    /// Writes everything to the disk, so that no contestant pays for the unwritten data of another.
    ///
    /// # Errors
    /// The disk fails.
    pub fn settle(&self) -> Result<()> {
        Ok(rustix::fs::syncfs(&self.whole)?)
    }

    /// The program `genstore`, which is built when a row first needs it.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn genstore(&self) -> Result<&Path> {
        if self.genstore.get().is_none() {
            let _ = self.genstore.set(crate::commands::build_genstore()?);
        }
        Ok(self.genstore.get().ok_or("the program genstore is missing")?)
    }

    /// Says what is left out and why.
    pub fn skip(&self, line: &str) {
        let mut skipped = self.skipped.borrow_mut();
        if !skipped.iter().any(|own| own == line) {
            println!("skipped: {line}");
            skipped.push(line.to_owned());
        }
    }

    /// What was left out so far.
    #[must_use]
    pub fn skipped(&self) -> Vec<String> {
        self.skipped.borrow().clone()
    }
}
