//! If a run cannot tell two disks apart, one run is enough. It would ask both the same, get the
//! same answers, and so do the same.
//!
//! That what recovery reads decides which states there are is from Gorjiara, Xu and Demsky, "Jaaru:
//! Efficiently Model Checking Persistent Memory Programs", ASPLOS 2021.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{PoisonError, RwLock};

use super::answer::{Answer, answer};
use super::oracle::Verdict;
use crate::fs::op::Op;
use crate::fs::sim::Watch;
use crate::fs::sim::disk::Disk;

/// What the successful runs have asked, the answers that they got, and what each has shown.
#[derive(Debug)]
pub(super) struct RunCache<T> {
    /// By the key of what else the runs depend on.
    runs: RwLock<HashMap<u64, Known<T>>>,
}

/// What is known from here on.
#[derive(Debug)]
enum Known<T> {
    /// The runs ask this next, and got these answers.
    Asks(Op, HashMap<Answer, Known<T>>),
    Ends(T),
}

impl<T> Default for RunCache<T> {
    fn default() -> Self {
        Self { runs: RwLock::default() }
    }
}

impl<T: Copy + PartialEq + Debug> RunCache<T> {
    /// What a run over this disk shows. It is run only if no earlier run was the same, or if
    /// `proof` asks to check that.
    pub(super) fn settle(
        &self,
        key: u64,
        disk: &Disk,
        proof: bool,
        run: impl FnOnce(&Watch) -> Verdict<T>,
    ) -> Verdict<T> {
        if !proof && let Some(shown) = self.known(key, disk) {
            return Ok(shown);
        }
        let watch = Watch::default();
        let shown = run(&watch)?;
        self.learn(key, disk, watch.taken(), shown);
        Ok(shown)
    }

    fn known(&self, key: u64, disk: &Disk) -> Option<T> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        let mut at = runs.get(&key)?;
        loop {
            match at {
                Known::Asks(op, answers) => at = answers.get(&answer(disk, op))?,
                Known::Ends(shown) => return Some(*shown),
            }
        }
    }

    /// Two runs that got the same answers must have asked the same. Else something besides the disk
    /// decides.
    fn learn(&self, key: u64, disk: &Disk, asked: Vec<Op>, shown: T) {
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        let known = |op: Option<Op>| op.map_or(Known::Ends(shown), |op| Known::Asks(op, HashMap::new()));
        let mut asked = asked.into_iter().peekable();
        let mut at = runs.entry(key).or_insert_with(|| known(asked.peek().cloned()));
        while let Some(op) = asked.next() {
            let Known::Asks(expected, answers) = at else { panic!("a run asked {op:?} after the end") };
            assert_eq!(*expected, op, "after the same answers");
            at = answers.entry(answer(disk, &op)).or_insert_with(|| known(asked.peek().cloned()));
        }
        assert!(matches!(at, Known::Ends(other) if *other == shown), "{shown:?} and {at:?}");
    }

    /// The number of runs.
    pub(super) fn count(&self) -> usize {
        fn ends<T>(known: &Known<T>) -> usize {
            match known {
                Known::Ends(_) => 1,
                Known::Asks(_, answers) => answers.values().map(ends).sum(),
            }
        }
        self.runs.read().unwrap_or_else(PoisonError::into_inner).values().map(ends).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::fs::sim::SimFs;
    use crate::fs::sim::disk::ROOT;
    use crate::fs::{Access, Fs};

    /// Files with these contents.
    fn disk(files: &[(&str, &str)]) -> Disk {
        let mut disk = Disk::default();
        for (name, content) in files {
            let node = disk.add_file(ROOT, name, false);
            disk.write(node, 0, content.as_bytes());
        }
        disk.sync_all().unwrap();
        disk
    }

    /// Reads `a` under another name. Looks for `b`, and lists all names only if it is there.
    fn run(disk: &Disk, watch: &Watch) -> usize {
        let fs = SimFs::start(disk.clone(), 1).watched(watch);
        let mut read = Vec::new();
        fs.create("new", Access::ReadOnly).unwrap();
        fs.rename("a", "moved").unwrap();
        fs.open("moved").unwrap().read_to_end(&mut read).unwrap();
        let names = if fs.stat("b").unwrap().is_some() { fs.list("").unwrap().len() } else { 0 };
        100 * read.len() + names
    }

    #[test]
    fn disks_are_told_apart_by_what_is_asked_of_them_and_by_nothing_else() {
        let run_cache = RunCache::default();
        let mut runs = 0;
        let mut shown = |key, files: &[(&str, &str)]| {
            let disk = disk(files);
            let shown = run_cache.settle(key, &disk, false, |watch| {
                runs += 1;
                Ok(run(&disk, watch))
            });
            (shown.unwrap(), runs)
        };
        assert_eq!(shown(1, &[("a", "1"), ("c", "2")]), (100, 1));
        assert_eq!(shown(1, &[("c", "never read"), ("a", "1"), ("d", "")]), (100, 1));
        assert_eq!(shown(1, &[("a", "7"), ("c", "2")]), (100, 2), "other bytes in what is read");
        assert_eq!(shown(1, &[("a", "11"), ("c", "2")]), (200, 3), "another length");
        assert_eq!(shown(1, &[("a", "1"), ("b", "2")]), (103, 4), "another name");
        assert_eq!(shown(1, &[("a", "1"), ("b", "2"), ("c", "")]), (104, 5), "one more that is listed");
        let unread = shown(1, &[("a", "1"), ("b", "3"), ("c", "4")]);
        assert_eq!(unread, (104, 5), "other bytes in what is not read");
        let longer = shown(1, &[("a", "1"), ("b", "33"), ("c", "4")]);
        assert_eq!(longer, (104, 6), "another length of a file whose length is asked");
        assert_eq!(shown(2, &[("a", "1"), ("c", "2")]), (100, 7), "something else besides the disk");
        assert_eq!(run_cache.count(), 7);
    }

    #[test]
    #[should_panic(expected = "after the same answers")]
    fn a_run_that_the_disk_does_not_decide_is_noticed() {
        let run_cache = RunCache::default();
        let disk = disk(&[("a", "1")]);
        for name in ["a", "b"] {
            let stat = |watch: &Watch| {
                SimFs::start(disk.clone(), 1).watched(watch).stat(name).unwrap();
                Ok(())
            };
            run_cache.settle(1, &disk, true, stat).unwrap();
        }
    }
}
