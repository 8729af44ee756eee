//! A whole tree by the command: commit, verify, export.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::HASH;
use crate::Result;
use crate::bench::Bench;
use crate::big::TREE_FILES;
use crate::commands::run;
use crate::contest::Contest;
use crate::peers::genstore::{self, Genstore};
use crate::peers::git::Git;
use crate::peers::{GENSTORE, GIT};
use crate::row::Bound::AtMost;
use crate::row::Row;
use crate::stats::time;

const CP: &str = "cp -r";
const CP_SYNC: &str = "cp -r, sync";

pub(super) fn commit(bench: &Bench) -> Result<Vec<Row>> {
    let program = bench.genstore()?;
    let tree = bench.big.tree(bench)?;
    let mut contest = Contest::new();
    contest.enter(GENSTORE, |round: &usize| {
        let dir = bench.directory(&format!("tree-commit/genstore-{round}"))?;
        drop(Genstore::create(&dir)?);
        bench.settle()?;
        Ok([time(|| run(&mut genstore::commit(program, &dir, tree)))?])
    });
    contest.enter(CP_SYNC, |round: &usize| {
        let dir = bench.directory("tree-commit")?.join(format!("cp-{round}"));
        Ok([time(|| cp_and_sync(tree, &dir))?])
    });
    if bench.commands.git.is_some() {
        contest.enter(GIT, |round: &usize| {
            let git = Git::of(&bench.directory(&format!("tree-commit/git-{round}"))?, tree)?;
            bench.settle()?;
            Ok([time(|| git.add_and_commit())?])
        });
    } else {
        bench.skip("the peer git of the row tree-commit: not installed");
    }
    let [times] = contest.run(bench, 11, Ok)?;
    let title = format!("commit a directory of {TREE_FILES} files, 40 MB, to a new store, by the command");
    let row = Row::new("tree-commit", &title, "ms", CP_SYNC, times);
    Ok(vec![row.ratio(GENSTORE, CP_SYNC, AtMost, 1.3).ratio(GENSTORE, GIT, AtMost, 0.5)])
}

pub(super) fn verify(bench: &Bench) -> Result<Vec<Row>> {
    let program = bench.genstore()?;
    let tree = bench.big.tree(bench)?;
    let store = store_of(bench, "tree-verify", program, tree)?;
    let mut contest = Contest::new();
    let mut verify = genstore::verify(program, &store);
    contest.enter(GENSTORE, move |_: &usize| Ok([time(|| run(&mut verify))?]));
    let files = files(tree)?;
    let (name, mut b3sum) = if bench.commands.b3sum.is_some() {
        ("b3sum", Command::new("b3sum"))
    } else {
        bench.skip("the command b3sum: not installed; the crate blake3 does the same in its place");
        let mut child = Command::new(std::env::current_exe()?);
        child.arg(HASH);
        ("b3sum (crate blake3)", child)
    };
    b3sum.args(files);
    contest.enter(name, move |_: &usize| Ok([time(|| run(&mut b3sum))?]));
    let [times] = contest.run(bench, 31, Ok)?;
    let title = format!("verify {TREE_FILES} files, 40 MB, by the command");
    let row = Row::new("tree-verify", &title, "ms", name, times);
    Ok(vec![row.ratio(GENSTORE, name, AtMost, 1.3)])
}

pub(super) fn export(bench: &Bench) -> Result<Vec<Row>> {
    let program = bench.genstore()?;
    let tree = bench.big.tree(bench)?;
    let store = store_of(bench, "tree-export", program, tree)?;
    let parent = bench.directory("tree-export")?;
    // A new directory each time, as nothing may be deleted.
    let number = Cell::new(0);
    let next = |name: &str| {
        number.set(number.get() + 1);
        parent.join(format!("{name}-{}", number.get()))
    };
    let mut contest = Contest::new();
    contest.enter(GENSTORE, |_: &usize| {
        Ok([time(|| run(&mut genstore::export(program, &store, &next("genstore"))))?])
    });
    contest.enter(CP, |_: &usize| Ok([time(|| cp(tree, &next("cp")))?]));
    contest.enter(CP_SYNC, |_: &usize| Ok([time(|| cp_and_sync(tree, &next("cp")))?]));
    let [times] = contest.run(bench, 15, Ok)?;
    let title = format!("export {TREE_FILES} files, 40 MB, by the command");
    let row = Row::new("tree-export", &title, "ms", CP, times);
    Ok(vec![row.ratio(GENSTORE, CP, AtMost, 1.3)])
}

/// A new store that holds the tree.
fn store_of(bench: &Bench, row: &str, program: &Path, tree: &Path) -> Result<PathBuf> {
    let dir = bench.directory(&format!("{row}/store"))?;
    drop(Genstore::create(&dir)?);
    run(&mut genstore::commit(program, &dir, tree))?;
    Ok(dir)
}

fn cp(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").arg("-r").arg(from).arg(to))
}

/// Copies, and syncs the file system of the copy. Without `-f`, `sync` would wait for all others
/// too.
fn cp_and_sync(from: &Path, to: &Path) -> Result<()> {
    cp(from, to)?;
    run(Command::new("sync").arg("-f").arg(to))
}

/// The paths of all files of the tree, whose directories have no directories.
fn files(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for dir in std::fs::read_dir(tree)? {
        for file in std::fs::read_dir(dir?.path())? {
            files.push(file?.path());
        }
    }
    files.sort();
    Ok(files)
}
