//! The order of what a commit asks of the disk.

use super::Bed;
use crate::fs::op::Op;

/// What one commit of these paths asks, from its first write on.
fn trace_of(paths: &[String], whole: bool) -> Vec<Op> {
    let (bed, store) = Bed::store();
    bed.fs.offer_whole(whole);
    let mut tx = store.begin().unwrap();
    for (number, path) in paths.iter().enumerate() {
        if number % 2 == 0 {
            tx.put(path, format!("content of {path}")).unwrap();
        } else {
            tx.put_reader(path, format!("content of {path}").as_bytes()).unwrap();
        }
    }
    bed.fs.take_trace();
    tx.commit("trace").unwrap();
    bed.fs.take_trace()
}

fn position(trace: &[Op], wanted: &Op) -> usize {
    trace.iter().position(|op| op == wanted).unwrap_or_else(|| panic!("{wanted:?} is not in {trace:#?}"))
}

fn swap() -> Op {
    Op::Rename("CURRENT.next".into(), "CURRENT".into())
}

/// Everything that gained a name or bytes is flushed before the pointer is swapped, and the root after it.
fn assert_order(paths: &[String], trace: &[Op]) {
    let swap = position(trace, &swap());
    assert_eq!(
        trace[swap + 1],
        Op::FlushDir(String::new()),
        "the flush of the root follows the swap at once"
    );
    assert_eq!(trace.iter().filter(|op| **op == self::swap()).count(), 1);
    let (before, after) = trace.split_at(swap);
    assert!(
        !after[2..].iter().any(|op| matches!(op, Op::Write(_) | Op::Create(_) | Op::RenameNew(..))),
        "{after:?}"
    );
    let whole = before.iter().rposition(|op| *op == Op::FlushWhole);
    let last_write = before
        .iter()
        .rposition(|op| matches!(op, Op::Write(_) | Op::Create(_) | Op::RenameNew(..) | Op::MakeDir(_)))
        .unwrap();
    let flushed = |flush: Op, name: &str| {
        let at = whole
            .or_else(|| before.iter().rposition(|op| *op == flush))
            .unwrap_or_else(|| panic!("{name} is not flushed"));
        assert!(at > last_write, "{name} is flushed before everything is written");
    };
    for (number, path) in paths.iter().enumerate() {
        let name = format!("data/{path}.g2");
        if number % 2 == 0 {
            flushed(Op::Flush(name.clone()), &name);
        } else {
            let adopted =
                before.iter().position(|op| matches!(op, Op::RenameNew(_, to) if *to == name)).unwrap();
            let Op::RenameNew(staged, _) = &before[adopted] else { unreachable!() };
            let flush = before
                .iter()
                .position(|op| matches!(op, Op::Flush(file) if file == staged) || *op == Op::FlushWhole);
            let lock = position(before, &Op::Lock("locks/writer".into()));
            assert!(flush.unwrap() < lock, "what is staged is flushed before the lock is taken");
        }
        for folder in crate::path::folders(&name) {
            flushed(Op::FlushDir(folder.to_owned()), folder);
        }
    }
    flushed(Op::Flush("manifests/0000000002.json".into()), "the manifest");
    flushed(Op::FlushDir("manifests".into()), "manifests");
    flushed(Op::Flush("CURRENT.next".into()), "CURRENT.next");
    flushed(Op::FlushDir(String::new()), "the root");
    let names = |op: &&Op| matches!(op, Op::Create(name) | Op::RenameNew(_, name) if name.ends_with(".g2") || name.starts_with("manifests/"));
    assert_eq!(
        before.iter().find(names),
        Some(&Op::Create("manifests/0000000002.json".into())),
        "the manifest takes the number"
    );
}

fn paths(count: usize, folder: &str) -> Vec<String> {
    (0..count).map(|number| format!("{folder}f{number}.json")).collect()
}

#[test]
fn one_three_and_a_hundred_files() {
    for count in [1, 2, 3, 100] {
        for whole in [false, true] {
            let paths = paths(count, "stores/");
            assert_order(&paths, &trace_of(&paths, whole));
        }
    }
}

#[test]
fn new_folders_are_flushed_up_to_the_root() {
    let paths = paths(3, "a/b/c/");
    assert_order(&paths, &trace_of(&paths, false));
    assert_order(&paths, &trace_of(&paths, true));
}

#[test]
fn one_flush_stands_in_for_many_and_only_in_barrier_1() {
    let whole = |trace: &[Op]| trace.iter().filter(|op| **op == Op::FlushWhole).count();
    let many = paths(100, "");
    let trace = trace_of(&many, true);
    assert_eq!(whole(&trace), 2, "one for what was staged, one for barrier 1");
    assert!(
        trace.iter().position(|op| *op == Op::OpenWhole).unwrap()
            < position(&trace, &Op::Create("manifests/0000000002.json".into()))
    );
    assert!(!trace.iter().any(|op| matches!(op, Op::Flush(_))));
    assert_eq!(whole(&trace_of(&paths(2, ""), true)), 0, "few files are flushed one by one");
    assert_eq!(whole(&trace_of(&many, false)), 0);
}

#[test]
fn the_first_generation_is_a_commit_like_any_other() {
    let bed = Bed::empty();
    bed.create().unwrap();
    let trace = bed.fs.take_trace();
    let swap = position(&trace, &swap());
    assert_eq!(trace[swap + 1], Op::FlushDir(String::new()));
    let root = trace[..swap].iter().rposition(|op| *op == Op::FlushDir(String::new())).unwrap();
    for folder in crate::format::names::FOLDERS {
        assert!(root > position(&trace, &Op::MakeDir(folder.to_owned())), "the name of {folder} is flushed");
    }
    assert!(root > position(&trace, &Op::Create("CURRENT.next".into())));
    assert!(position(&trace, &Op::Flush("manifests/0000000001.json".into())) < swap);
}

#[test]
fn an_open_changes_nothing() {
    let (bed, store) = Bed::store();
    let mut tx = store.begin().unwrap();
    tx.put("a", "1").unwrap();
    tx.commit("one").unwrap();
    let before = bed.tree();
    bed.fs.take_trace();
    bed.open().unwrap();
    assert!(!bed.fs.take_trace().iter().any(Op::changes));
    assert_eq!(bed.tree(), before);
}
