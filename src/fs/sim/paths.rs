//! Path lookup on a simulated disk, and the listing of its files.

use std::io;

use rustix::io::Errno;

use super::disk::{Disk, Node, ROOT};

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
    /// Every file with its length in bytes, sorted by path.
    pub(crate) fn tree(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        let mut dirs = vec![(ROOT, String::new())];
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
