//! Folders that a save before this one may have left are made anew.

use super::Bed;
use crate::fs::op::Op;
use crate::store::Store;

fn save(store: &Store, path: &str) -> crate::Result<u64> {
    let mut tx = store.begin()?;
    tx.put(path, format!("{path} and more"))?;
    Ok(tx.commit("save")?.generation.get())
}

/// A save that is killed in its first barrier: from then on nothing can be done.
fn killed(bed: &Bed, path: &str) {
    bed.fs.plan(Some(crate::fs::fault::Plan {
        after: 0,
        errno: rustix::io::Errno::IO.raw_os_error(),
        for_ever: true,
        matches: |op| op.flushes() || matches!(op, Op::Remove(_) | Op::RemoveDir(_) | Op::Rename(..)),
        takes_effect: false,
    }));
    save(&bed.open().unwrap(), path).unwrap_err();
    bed.fs.plan(None);
}

fn is_made_anew(trace: &[Op], folder: &str) -> bool {
    let back = |op: &Op| matches!(op, Op::Rename(from, to) if to == folder && from.starts_with("data/"));
    let flushed = |op: &Op| *op == Op::FlushDir(folder.rsplit_once('/').unwrap().0.to_owned());
    let at = trace.iter().position(back);
    at.is_some_and(|at| trace[at..].iter().any(flushed))
}

#[test]
fn a_folder_that_a_killed_save_has_left_gets_its_name_anew_and_keeps_what_is_in_it() {
    let (bed, store) = Bed::store();
    save(&store, "known/a").unwrap();
    killed(&bed, "known/new/deep/b");
    bed.fs.take_trace();
    let left = bed.tree();
    save(&bed.open().unwrap(), "known/c").unwrap();
    let trace = bed.fs.take_trace();
    assert!(left.contains_key("data/known/new/deep/b.g3"), "{:?}", left.keys());
    assert!(is_made_anew(&trace, "data/known/new") && is_made_anew(&trace, "data/known/new/deep"));
    assert!(!is_made_anew(&trace, "data/known"), "it holds what was saved");
    for name in left.keys().filter(|name| name.starts_with("data/")) {
        assert_eq!(bed.tree().get(name), left.get(name), "{name}");
    }
    save(&bed.open().unwrap(), "known/d").unwrap();
    assert!(!bed.fs.take_trace().contains(&Op::List("data".into())), "once is enough");
}

#[test]
fn an_empty_folder_that_a_killed_save_has_left_is_removed() {
    let (bed, store) = Bed::store();
    save(&store, "known/a").unwrap();
    killed(&bed, "known/other/b");
    std::fs::create_dir_all(bed.path().join("data/known/empty/deep")).unwrap();
    save(&bed.open().unwrap(), "known/c").unwrap();
    assert!(!bed.tree().contains_key("data/known/empty"), "{:?}", bed.tree().keys());
}

#[test]
fn a_folder_of_files_that_a_copy_has_lost_is_durable_before_anything_is_in_it() {
    let (bed, store) = Bed::store();
    std::fs::remove_dir(bed.path().join("data")).unwrap();
    bed.fs.take_trace();
    save(&store, "a").unwrap();
    let trace = bed.fs.take_trace();
    let place = |is: &Op| trace.iter().position(|op| op == is).unwrap();
    let made = place(&Op::MakeDir("data".into()));
    assert_eq!(trace[made + 1], Op::FlushDir(String::new()));
    assert!(made < place(&Op::Create("data/a.g2".into())));
}
