//! Tests of the protocol that need a failing disk, a clock that can be set, or the order of the
//! operations.

mod barriers;
mod faults;
mod numbers;
mod pins;
mod probing;
mod reading;
mod updating;
mod waiting;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::engine::create::create_on;
use crate::engine::open::open_on;
use crate::error::Result;
use crate::fs::real::RealFs;
use crate::options::OpenOptions;
use crate::proof::injector::FaultInjector;
use crate::store::Store;

/// A directory, and the faulty way to it.
struct Bed {
    dir: tempfile::TempDir,
    fs: FaultInjector,
}

impl Bed {
    /// An empty directory.
    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fs = FaultInjector::skipping_syncs(Arc::new(RealFs::open(dir.path()).unwrap()));
        Self { dir, fs }
    }

    /// A new store.
    fn store() -> (Self, Store) {
        let bed = Self::empty();
        let store = bed.create().unwrap();
        (bed, store)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn options() -> crate::engine::Options {
        OpenOptions::default().checkpoint_thread(false).author("test").into()
    }

    fn create(&self) -> Result<Store> {
        create_on(self.fs.way(), self.path(), Self::options()).map(|(engine, _)| engine.into())
    }

    fn open(&self) -> Result<Store> {
        open_on(self.fs.way(), self.path(), Self::options()).map(Store::from)
    }

    /// Every file of the store with its content, and every directory. Locks are left out: they come
    /// and go, and their notes mean nothing.
    fn tree(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        fn walk(dir: &Path, root: &Path, tree: &mut BTreeMap<String, Option<Vec<u8>>>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    tree.insert(name, None);
                    walk(&path, root, tree);
                } else if !name.starts_with("locks/") {
                    #[expect(clippy::disallowed_methods, reason = "the test reads the disk directly")]
                    tree.insert(name, Some(std::fs::read(&path).unwrap()));
                }
            }
        }
        let mut tree = BTreeMap::new();
        walk(self.path(), self.path(), &mut tree);
        tree
    }
}

/// Every file of the newest generation, with its content.
fn contents(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let snapshot = store.snapshot().unwrap();
    snapshot.list("").map(|entry| (entry.path.to_string(), snapshot.get(&entry.path).unwrap())).collect()
}
