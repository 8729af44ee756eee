//! Where paths lead on a simulated disk, and what a run can learn of a disk by asking.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::disk::{Disk, Node, ROOT};
use crate::fs::op::Op;

/// The longest name and the longest path on Linux, in bytes.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4095;

impl Disk {
    pub(crate) fn find(&self, path: &str) -> io::Result<Option<Node>> {
        let (dir, name) = self.place(path)?;
        Ok(self.dirs.get(&dir).and_then(|names| names.get(name)).copied())
    }

    pub(crate) fn dir(&self, path: &str) -> io::Result<Node> {
        if path.len() > PATH_MAX {
            return Err(Errno::NAMETOOLONG.into());
        }
        let mut at = ROOT;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let names = self.dirs.get(&at).ok_or_else(|| not_a_directory(part))?;
            check_name(part)?;
            at = *names.get(part).ok_or(Errno::NOENT)?;
        }
        if self.is_dir(at) { Ok(at) } else { Err(not_a_directory(path)) }
    }

    /// The directory that a path is in, and its name there.
    pub(crate) fn place<'a>(&self, path: &'a str) -> io::Result<(Node, &'a str)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = self.dir(dir)?;
        check_name(name)?;
        Ok((dir, name))
    }

    pub(crate) fn is_dir(&self, node: Node) -> bool {
        self.dirs.contains_key(&node)
    }

    pub(crate) fn existing(&self, path: &str) -> io::Result<Node> {
        Ok(self.find(path)?.ok_or(Errno::NOENT)?)
    }

    pub(crate) fn existing_file(&self, path: &str) -> io::Result<Node> {
        let node = self.existing(path)?;
        if self.is_dir(node) { Err(Errno::ISDIR.into()) } else { Ok(node) }
    }
}

impl Disk {
    /// Every file with its length in bytes, by path.
    pub(crate) fn tree(&self) -> Vec<(String, usize)> {
        let (mut found, mut dirs) = (Vec::new(), vec![(ROOT, String::new())]);
        while let Some((dir, path)) = dirs.pop() {
            for (name, node) in self.dirs.get(&dir).into_iter().flatten() {
                let path = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
                match self.files.get(node) {
                    Some(data) => found.push((path, data.now.len())),
                    None => dirs.push((*node, path)),
                }
            }
        }
        found.sort();
        found
    }
}

fn check_name(name: &str) -> io::Result<()> {
    match name.len() {
        0 => Err(Errno::NOENT.into()),
        1..=NAME_MAX => Ok(()),
        _ => Err(Errno::NAMETOOLONG.into()),
    }
}

fn not_a_directory(part: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{part} is not a directory"))
}

/// All that an operation can learn of what stood on a disk before a run.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Answer {
    Nothing,
    Refused(io::ErrorKind),
    Directory,
    /// A file of this length.
    File(usize),
    Bytes(Arc<Vec<u8>>),
    /// The names in a directory, and whether each is one itself.
    Names(Vec<(Arc<str>, bool)>),
    /// All that is in a directory.
    Tree(Vec<(Arc<str>, Answer)>),
    Both(Box<(Answer, Answer)>),
}

/// What an operation can learn of this disk. It is never less than what the operation did learn, as long as the disk
/// differs from this one only by what the same run has changed before.
pub(crate) fn answer(disk: &Disk, op: &Op) -> Answer {
    match op {
        Op::Create(path)
        | Op::Open(path)
        | Op::Stat(path)
        | Op::MakeDir(path)
        | Op::Remove(path)
        | Op::FlushDir(path)
        | Op::Lock(path) => kind(disk, path),
        Op::Read(path) | Op::Note(path) => bytes(disk, path),
        Op::List(path) | Op::RemoveDir(path) => names(disk, path),
        // What has the old name is read under the new one.
        Op::Rename(from, to) | Op::RenameNew(from, to) => {
            Answer::Both(Box::new((all(disk, from), kind(disk, to))))
        }
        // Of what is open, or of no name at all.
        Op::OpenWhole | Op::FlushWhole | Op::Write(_) | Op::Flush(_) => Answer::Nothing,
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
