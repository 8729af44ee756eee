//! What an operation can learn of the disk.

use std::io;
use std::sync::Arc;

use crate::fs::op::Op;
use crate::fs::sim::disk::{Disk, Node};

/// All that an operation can learn of what was on a disk before a run.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Answer {
    Nothing,
    Refused(io::ErrorKind),
    Directory,
    /// A file of this length.
    File(usize),
    Bytes(Arc<Vec<u8>>),
    /// The names in a directory, and whether each is a directory.
    Names(Vec<(Arc<str>, bool)>),
    /// Everything in a directory.
    Tree(Vec<(Arc<str>, Answer)>),
    Both(Box<(Answer, Answer)>),
}

/// What an operation can learn of this disk. The operation may run later, after the same run has
/// changed the disk. The answer then still covers all that it learns of the disk as it was.
pub(crate) fn answer(disk: &Disk, op: &Op) -> Answer {
    match op {
        Op::Create(path)
        | Op::Open(path)
        | Op::Stat(path)
        | Op::CreateDir(path)
        | Op::Remove(path)
        | Op::SyncDir(path)
        | Op::Lock(path) => kind(disk, path),
        Op::Read(path) | Op::Note(path) => bytes(disk, path),
        Op::List(path) | Op::RemoveDir(path) => names(disk, path),
        // What has the old name may be read later under the new one.
        Op::Rename(from, to) | Op::RenameNew(from, to) => {
            Answer::Both(Box::new((all(disk, from), kind(disk, to))))
        }
        // These concern what is open, or no name at all.
        Op::OpenSyncFs | Op::SyncFs | Op::Write(_) | Op::Sync(_) => Answer::Nothing,
    }
}

fn kind(disk: &Disk, path: &str) -> Answer {
    // The root has no name.
    if path.is_empty() {
        return Answer::Directory;
    }
    match disk.find(path) {
        Err(error) => Answer::Refused(error.kind()),
        Ok(node) => node.map_or(Answer::Nothing, |node| of(disk, node)),
    }
}

fn of(disk: &Disk, node: Node) -> Answer {
    disk.files.get(&node).map_or(Answer::Directory, |data| Answer::File(data.now.len()))
}

fn bytes(disk: &Disk, path: &str) -> Answer {
    match disk.find(path).ok().flatten().and_then(|node| disk.files.get(&node)) {
        Some(data) => Answer::Bytes(Arc::clone(&data.now)),
        None => kind(disk, path),
    }
}

fn all(disk: &Disk, path: &str) -> Answer {
    disk.dir(path).map_or_else(|_| bytes(disk, path), |dir| tree(disk, dir))
}

fn tree(disk: &Disk, dir: Node) -> Answer {
    let names = disk.dirs.get(&dir).into_iter().flatten();
    let answer = |node: Node| match disk.files.get(&node) {
        Some(data) => Answer::Bytes(Arc::clone(&data.now)),
        None => tree(disk, node),
    };
    Answer::Tree(names.map(|(name, node)| (Arc::clone(name), answer(*node))).collect())
}

fn names(disk: &Disk, path: &str) -> Answer {
    match disk.dir(path) {
        Err(_) => kind(disk, path),
        Ok(dir) => {
            let names = disk.dirs.get(&dir).into_iter().flatten();
            Answer::Names(names.map(|(name, node)| (Arc::clone(name), disk.is_dir(*node))).collect())
        }
    }
}
