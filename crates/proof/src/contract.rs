//! The contract of [`Fs`], on the operating system and on the simulated disk. It says how much a
//! proof on the simulated disk is worth on a real one.
//!
//! It leaves out what no commit does: `rename_new` of a directory, and paths with `.`, `..` or two
//! slashes in a row.

mod commits;
mod files;
mod locks;
mod names;
mod random;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use crate::fs::real::RealFs;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::Disk;
use crate::fs::{Access, Fs};

/// Every file with its bytes, and every directory.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// Runs the same check on an empty directory of each.
fn on_both(check: impl Fn(&dyn Fs)) {
    let dir = tempfile::tempdir().unwrap();
    println!("on the operating system");
    check(&RealFs::open(dir.path()).unwrap());
    println!("on the simulated disk");
    check(&SimFs::start(Disk::default(), 1));
}

fn write(fs: &dyn Fs, path: &str, content: impl AsRef<[u8]>) {
    fs.create(path, Access::Writable).unwrap().write_all(content.as_ref()).unwrap();
}

fn read(fs: &dyn Fs, path: &str) -> Vec<u8> {
    let mut content = Vec::new();
    fs.open(path).unwrap().read_to_end(&mut content).unwrap();
    content
}

fn tree(fs: &dyn Fs) -> Tree {
    let mut tree = Tree::new();
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        for listed in fs.list(&directory).unwrap() {
            let path =
                if directory.is_empty() { listed.name } else { format!("{directory}/{}", listed.name) };
            if listed.is_directory {
                tree.insert(path.clone(), None);
                directories.push(path);
            } else {
                tree.insert(path.clone(), Some(read(fs, &path)));
            }
        }
    }
    tree
}

/// Copies everything in one tree to another one, which is empty.
fn copy(from: &dyn Fs, to: &Arc<dyn Fs>) {
    for (path, content) in tree(from) {
        match content {
            None => assert!(to.create_dir(&path).unwrap()),
            Some(content) => write(&**to, &path, content),
        }
    }
}
