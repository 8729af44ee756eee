//! What can be asked of a disk, as a value.

use std::fmt;

/// One thing that was asked of a disk, with the paths that it was asked of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Op {
    Create(String),
    Open(String),
    Stat(String),
    MakeDir(String),
    Remove(String),
    RemoveDir(String),
    Rename(String, String),
    RenameNew(String, String),
    List(String),
    FlushDir(String),
    OpenWhole,
    FlushWhole,
    Lock(String),
    Note(String),
    Read(String),
    Write(String),
    Flush(String),
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(path) => write!(f, "making {path}"),
            Self::Open(path) => write!(f, "opening {path}"),
            Self::Stat(path) => write!(f, "looking for {path}"),
            Self::MakeDir(path) => write!(f, "making the directory {path}"),
            Self::Remove(path) | Self::RemoveDir(path) => write!(f, "removing {path}"),
            Self::Rename(from, to) | Self::RenameNew(from, to) => write!(f, "renaming {from} to {to}"),
            Self::List(path) | Self::FlushDir(path) if path.is_empty() => f.write_str(if self.flushes() {
                "flushing the names in the root"
            } else {
                "listing the root"
            }),
            Self::List(path) => write!(f, "listing {path}"),
            Self::FlushDir(path) => write!(f, "flushing the names in {path}"),
            Self::OpenWhole => f.write_str("opening the whole"),
            Self::FlushWhole => f.write_str("flushing the whole"),
            Self::Lock(path) => write!(f, "locking {path}"),
            Self::Note(path) => write!(f, "leaving a note in {path}"),
            Self::Read(path) => write!(f, "reading {path}"),
            Self::Write(path) => write!(f, "writing to {path}"),
            Self::Flush(path) => write!(f, "flushing {path}"),
        }
    }
}

impl Op {
    /// Whether it can fail for lack of space.
    pub(crate) const fn allocates(&self) -> bool {
        matches!(
            self,
            Self::Create(_)
                | Self::MakeDir(_)
                | Self::Rename(..)
                | Self::RenameNew(..)
                | Self::FlushDir(_)
                | Self::FlushWhole
                | Self::Lock(_)
                | Self::Note(_)
                | Self::Write(_)
                | Self::Flush(_)
        )
    }

    /// Whether it needs a new descriptor.
    pub(crate) const fn opens(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Write(_) | Self::Note(_) | Self::Flush(_) | Self::FlushWhole)
    }

    /// Whether it changes the disk.
    pub(crate) const fn changes(&self) -> bool {
        self.allocates() || matches!(self, Self::Remove(_) | Self::RemoveDir(_))
    }

    /// Whether it swaps the pointer of a store.
    pub(crate) fn swaps(&self) -> bool {
        matches!(self, Self::Rename(_, to) if to == "CURRENT")
    }

    /// Whether it waits until something is durable.
    pub(crate) const fn flushes(&self) -> bool {
        matches!(self, Self::FlushDir(_) | Self::FlushWhole | Self::Flush(_))
    }
}
