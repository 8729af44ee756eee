//! Large stores and trees. Each is built once, when a row first needs it, and serves several rows.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::bench::Bench;
use crate::contents::{Contents, path};
use crate::peers::genstore::Genstore;

/// The files of the store of many generations, and of the small store.
pub const FEW: usize = 10;
/// The files of the tree.
pub const TREE_FILES: usize = 1500;
/// The most files of one commit that builds a store. It is the limit of a commit.
const COMMIT_FILES: usize = 1_000_000;

/// What was built so far.
#[derive(Debug, Default)]
pub struct Big {
    files: OnceCell<PathBuf>,
    generations: OnceCell<PathBuf>,
    tree: OnceCell<PathBuf>,
}

/// The number of files of the store of many files.
#[must_use]
pub fn many_files(bench: &Bench) -> (usize, Option<String>) {
    bench.size("files", 1_000_000, 20_000)
}

/// The number of generations of the store of many generations.
#[must_use]
pub fn many_generations(bench: &Bench) -> (usize, Option<String>) {
    bench.size("generations", 100_000, 2000)
}

/// The path of a file of the store of many files: a thousand in each directory.
#[must_use]
pub fn path_of_many(number: usize) -> String {
    format!("stores/{:03}/{number:06}.json", number / 1000)
}

/// A new store of few files and few generations.
///
/// # Errors
/// It cannot be built.
pub fn few(bench: &Bench, row: &str) -> Result<PathBuf> {
    let dir = bench.directory(&format!("{row}/few"))?;
    let store = Genstore::create(&dir)?;
    for number in 0..FEW {
        store.put(vec![(path(number), content(number))])?;
    }
    Ok(dir)
}

impl Big {
    /// The store of many files, which has as few generations as possible.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn files(&self, bench: &Bench) -> Result<&Path> {
        once(&self.files, || {
            let dir = bench.directory("big-files")?;
            let (count, _) = many_files(bench);
            println!("building a store of {count} files");
            let store = Genstore::create(&dir)?;
            for first in (0..count).step_by(COMMIT_FILES) {
                let numbers = first..count.min(first + COMMIT_FILES);
                let files: Vec<_> = numbers.map(|number| (path_of_many(number), content(number))).collect();
                store.put(files)?;
            }
            Ok(dir)
        })
    }

    /// The store of many generations. They put few files in turn, so that only their number grows.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn generations(&self, bench: &Bench) -> Result<&Path> {
        once(&self.generations, || {
            let dir = bench.directory("big-generations")?;
            let (count, _) = many_generations(bench);
            println!("building a store of {count} generations");
            let store = Genstore::create(&dir)?;
            // The first generation is empty.
            for number in 0..count - 1 {
                store.put(vec![(path(number % FEW), content(number))])?;
            }
            Ok(dir)
        })
    }

    /// A tree of [`TREE_FILES`] files that have 40 MB together, of which every 15th is larger.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn tree(&self, bench: &Bench) -> Result<&Path> {
        once(&self.tree, || {
            let dir = bench.directory("tree")?;
            let mut contents = Contents::default();
            for number in 0..TREE_FILES {
                let sub = dir.join(format!("{:02}", number / 30));
                fs::create_dir_all(&sub)?;
                let bytes = if number % 15 == 0 { 260_000 } else { 10_000 };
                fs::write(sub.join(format!("{number:04}.json")), contents.next_of(bytes))?;
            }
            Ok(dir)
        })
    }
}

fn once(cell: &OnceCell<PathBuf>, build: impl FnOnce() -> Result<PathBuf>) -> Result<&Path> {
    if cell.get().is_none() {
        let _ = cell.set(build()?);
    }
    Ok(cell.get().ok_or("nothing was built")?)
}

fn content(number: usize) -> Vec<u8> {
    format!("{{\"number\":{number}}}").into_bytes()
}
