//! The operations on a disk, as values.

use std::fmt;

/// One operation on a disk, with its paths.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Op {
    Create(String),
    Open(String),
    Stat(String),
    CreateDir(String),
    Remove(String),
    RemoveDir(String),
    Rename(String, String),
    RenameNew(String, String),
    List(String),
    SyncDir(String),
    OpenSyncFs,
    SyncFs,
    Lock(String),
    Note(String),
    Read(String),
    Write(String),
    Sync(String),
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(path) => write!(f, "creating {path}"),
            Self::Open(path) => write!(f, "opening {path}"),
            Self::Stat(path) => write!(f, "looking for {path}"),
            Self::CreateDir(path) => write!(f, "creating the directory {path}"),
            Self::Remove(path) | Self::RemoveDir(path) => write!(f, "removing {path}"),
            Self::Rename(from, to) | Self::RenameNew(from, to) => write!(f, "renaming {from} to {to}"),
            Self::List(path) | Self::SyncDir(path) if path.is_empty() => {
                f.write_str(if self.syncs() { "fsyncing the root directory" } else { "listing the root" })
            }
            Self::List(path) => write!(f, "listing {path}"),
            Self::SyncDir(path) => write!(f, "fsyncing the directory {path}"),
            Self::OpenSyncFs => f.write_str("opening the file system for syncfs"),
            Self::SyncFs => f.write_str("syncfs"),
            Self::Lock(path) => write!(f, "locking {path}"),
            Self::Note(path) => write!(f, "leaving a note in {path}"),
            Self::Read(path) => write!(f, "reading {path}"),
            Self::Write(path) => write!(f, "writing to {path}"),
            Self::Sync(path) => write!(f, "fsyncing {path}"),
        }
    }
}

impl Op {
    /// Whether the operation can fail for lack of space.
    pub(crate) const fn allocates(&self) -> bool {
        matches!(
            self,
            Self::Create(_)
                | Self::CreateDir(_)
                | Self::Rename(..)
                | Self::RenameNew(..)
                | Self::SyncDir(_)
                | Self::SyncFs
                | Self::Lock(_)
                | Self::Note(_)
                | Self::Write(_)
                | Self::Sync(_)
        )
    }

    /// Whether the operation needs a new descriptor.
    pub(crate) const fn opens(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Write(_) | Self::Note(_) | Self::Sync(_) | Self::SyncFs)
    }

    /// Whether the operation changes the disk.
    pub(crate) const fn changes(&self) -> bool {
        self.allocates() || matches!(self, Self::Remove(_) | Self::RemoveDir(_))
    }

    /// Whether the operation swaps the pointer of a store.
    pub(crate) fn swaps(&self) -> bool {
        matches!(self, Self::Rename(_, to) if to == "CURRENT")
    }

    /// Whether the operation waits until something is durable.
    pub(crate) const fn syncs(&self) -> bool {
        matches!(self, Self::SyncDir(_) | Self::SyncFs | Self::Sync(_))
    }
}
