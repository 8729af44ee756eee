//! The same saves on both: the same operations in the same order, and the same bytes under the same names.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::super::workloads::{self, Workload};
use super::{Tree, copy, tree};
use crate::fs::fault::FaultFs;
use crate::fs::lock::Mode;
use crate::fs::medium::Carrier;
use crate::fs::op::Op;
use crate::fs::real::RealFs;
use crate::fs::{Access, Fs, FsFile, FsLock, Listed, Process, Stat, WholeFlush};
use crate::time::Timestamp;

/// A directory of the operating system in a machine that is otherwise simulated: randomness, process and medium are
/// the same in each run.
#[derive(Debug)]
struct Hosted {
    tree: RealFs,
    host: Arc<dyn Fs>,
}

impl Fs for Hosted {
    fn create(&self, path: &str, access: Access) -> io::Result<Box<dyn FsFile>> {
        self.tree.create(path, access)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn FsFile>> {
        self.tree.open(path)
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        self.tree.stat(path)
    }

    fn make_dir(&self, path: &str) -> io::Result<bool> {
        self.tree.make_dir(path)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.tree.remove(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.tree.remove_dir(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.tree.rename(from, to)
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.tree.rename_new(from, to)
    }

    fn list(&self, path: &str) -> io::Result<Vec<Listed>> {
        self.tree.list(path)
    }

    fn flush_dir(&self, path: &str) -> io::Result<()> {
        self.tree.flush_dir(path)
    }

    fn whole_flush(&self) -> io::Result<Option<Box<dyn WholeFlush>>> {
        self.tree.whole_flush()
    }

    fn try_lock(&self, path: &str, mode: Mode) -> io::Result<Option<Box<dyn FsLock>>> {
        self.tree.try_lock(path, mode)
    }

    fn remove_locked(&self, path: &str, lock: &dyn FsLock) -> io::Result<()> {
        self.tree.remove_locked(path, lock)
    }

    fn is_in_place(&self) -> io::Result<bool> {
        self.tree.is_in_place()
    }

    fn carrier(&self) -> io::Result<Carrier> {
        self.host.carrier()
    }

    fn now(&self) -> Timestamp {
        self.host.now()
    }

    fn uptime(&self) -> Duration {
        self.host.uptime()
    }

    fn pause(&self, time: Duration) {
        self.host.pause(time);
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.host.random()
    }

    fn process(&self) -> Process {
        self.host.process()
    }
}

/// What a piece of work asks for, and what it leaves. With `dir`, it is done in that directory.
fn run(workload: &Workload, dir: Option<&std::path::Path>) -> (Vec<Op>, Tree) {
    let mut scene = (workload.prepare)();
    let simulated = scene.way();
    let whole = simulated.whole_flush().unwrap().is_some();
    let below: Arc<dyn Fs> = match dir {
        None => simulated,
        Some(dir) => {
            let hosted: Arc<dyn Fs> =
                Arc::new(Hosted { tree: RealFs::open(dir).unwrap(), host: Arc::clone(&simulated) });
            copy(&*simulated, &hosted);
            hosted
        }
    };
    let way = FaultFs::new(Arc::clone(&below));
    way.offer_whole(whole);
    // The simulated clock counts operations, and there are fewer of them where the files are elsewhere.
    way.set_now("2026-06-01T12:00:00Z");
    (workload.work)(&mut scene, Arc::new(way.clone()))
        .unwrap_or_else(|error| panic!("{}: {error}", workload.name));
    (way.take_trace(), tree(&*below))
}

#[test]
fn l3_saves_ask_for_the_same_and_leave_the_same() {
    let (mut operations, mut whole) = (0, 0);
    let workloads = workloads::all();
    for workload in &workloads {
        let dir = tempfile::tempdir().unwrap();
        let (real, real_tree) = run(workload, Some(dir.path()));
        let (simulated, simulated_tree) = run(workload, None);
        let differs = real.iter().zip(&simulated).position(|(real, simulated)| real != simulated);
        if let Some(at) = differs {
            panic!("{}: operation {at}: {:?} and simulated {:?}", workload.name, real[at], simulated[at]);
        }
        assert_eq!(real.len(), simulated.len(), "{}", workload.name);
        assert!(real.contains(&Op::Rename("CURRENT.next".into(), "CURRENT".into())), "{}", workload.name);
        assert_eq!(
            real_tree.keys().collect::<Vec<_>>(),
            simulated_tree.keys().collect::<Vec<_>>(),
            "{}",
            workload.name
        );
        for (path, content) in &real_tree {
            assert_eq!(content, &simulated_tree[path], "{}: {path}", workload.name);
        }
        operations += real.len();
        whole += usize::from(real.contains(&Op::FlushWhole));
    }
    assert!(whole > 0, "some of them flush the whole");
    println!("L3: {} workloads, {operations} operations, the same on both", workloads.len());
}
