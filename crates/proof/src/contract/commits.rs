//! The same commits on both file systems ask for the same operations in the same order. They leave
//! the same bytes under the same names.

use std::sync::Arc;

use super::super::workloads::{self, Workload};
use super::{Tree, copy, tree};
use crate::fs::Fs;
use crate::fs::op::Op;
use crate::fs::real::RealFs;
use crate::proof::injector::FaultInjector;

/// The operations of a workload, and what it leaves. With `dir`, it works in that directory.
/// Everything else of the machine is simulated, so that randomness, process and medium are the same
/// in each run.
fn run(workload: &Workload, dir: Option<&std::path::Path>) -> (Vec<Op>, Tree) {
    let mut world = (workload.prepare)();
    let simulated = world.way();
    let syncfs = simulated.syncfs().unwrap().is_some();
    let below: Arc<dyn Fs> = match dir {
        None => Arc::clone(&simulated),
        Some(dir) => {
            let real: Arc<dyn Fs> = Arc::new(RealFs::open(dir).unwrap());
            copy(&*simulated, &real);
            real
        }
    };
    let mut fault = FaultInjector::skipping_syncs(Arc::clone(&below));
    fault.host = Some(simulated);
    fault.offer_syncfs(syncfs);
    // The simulated clock counts operations, and there are fewer of them if the files are in a real
    // directory.
    fault.set_now("2026-06-01T12:00:00Z");
    (workload.work)(&mut world, fault.way()).unwrap_or_else(|error| panic!("{}: {error}", workload.name));
    (fault.take_trace(), tree(&*below))
}

#[test]
fn commits_ask_for_the_same_and_leave_the_same() {
    let mut operations = 0;
    let mut syncfs = 0;
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
        syncfs += usize::from(real.contains(&Op::SyncFs));
    }
    assert!(syncfs > 0, "some workloads use a syncfs");
    println!("contract: {} workloads, {operations} operations, the same on both", workloads.len());
}
