//! The names of all files in a store, to text and back. `docs/format.md` gives the grammar.

use std::fmt;

use crate::path::StorePath;
use crate::revision::Generation;

/// The directory of manifests.
pub(crate) const MANIFESTS: &str = "manifests";
/// The directory of checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The directory of file contents.
pub(crate) const DATA: &str = "data";
/// The directory of streamed content that has no generation yet.
pub(crate) const STAGING: &str = "staging";
/// The directory of evidence that was moved aside.
pub(crate) const QUARANTINE: &str = "quarantine";
/// The directory of the writer lock, the pins and the numbers of failed commits.
pub(crate) const LOCKS: &str = "locks";
/// Every directory that a new store gets.
pub(crate) const DIRECTORIES: [&str; 6] = [CHECKPOINTS, DATA, LOCKS, MANIFESTS, QUARANTINE, STAGING];

/// The name of one file in a store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Name {
    /// `CURRENT`
    Pointer,
    /// `CURRENT.next`
    NextPointer,
    /// `manifests/0000000042.json`
    Manifest(Generation),
    /// `checkpoints/0000000040.jsonl`
    Checkpoint(Generation),
    /// `data/stores/downtown.json.g42`
    Data(StorePath, Generation),
    /// `staging/` and 16 hexadecimal digits
    Staged(u64),
    /// `locks/writer`
    WriterLock,
    /// `locks/pin-42`
    Pin(Generation),
    /// `locks/used-42`, empty: a commit under this number failed and left nothing else.
    Used(Generation),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer => f.write_str("CURRENT"),
            Self::NextPointer => f.write_str("CURRENT.next"),
            Self::Manifest(generation) => write!(f, "{MANIFESTS}/{:010}.json", generation.get()),
            Self::Checkpoint(generation) => write!(f, "{CHECKPOINTS}/{:010}.jsonl", generation.get()),
            Self::Data(path, generation) => write!(f, "{DATA}/{path}.g{generation}"),
            Self::Staged(token) => write!(f, "{STAGING}/{token:016x}"),
            Self::WriterLock => write!(f, "{LOCKS}/writer"),
            Self::Pin(generation) => write!(f, "{LOCKS}/pin-{generation}"),
            Self::Used(generation) => write!(f, "{LOCKS}/used-{generation}"),
        }
    }
}

impl Name {
    /// What a path inside the store names. `None` when it is not a name of the store.
    ///
    /// Accepts exactly the texts that `Display` gives: no other number of leading zeros, no other
    /// case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.split_once('/') {
            None if text == "CURRENT" => Self::Pointer,
            None if text == "CURRENT.next" => Self::NextPointer,
            Some((MANIFESTS, file)) => Self::Manifest(padded(file.strip_suffix(".json")?)?),
            Some((CHECKPOINTS, file)) => Self::Checkpoint(padded(file.strip_suffix(".jsonl")?)?),
            Some((DATA, file)) => {
                let (path, number) = file.rsplit_once(".g")?;
                Self::Data(StorePath::new(path).ok()?, plain(number)?)
            }
            Some((STAGING, token)) => {
                let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                let is_token = token.len() == 16 && token.bytes().all(is_digit);
                Self::Staged(u64::from_str_radix(token, 16).ok().filter(|_| is_token)?)
            }
            Some((LOCKS, "writer")) => Self::WriterLock,
            Some((LOCKS, file)) => match file.split_once('-')? {
                ("pin", number) => Self::Pin(plain(number)?),
                ("used", number) => Self::Used(plain(number)?),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The generation whose commit created the file: for manifests and data files.
    pub(crate) const fn generation(&self) -> Option<Generation> {
        match self {
            Self::Manifest(generation) | Self::Data(_, generation) => Some(*generation),
            _ => None,
        }
    }
}

/// A generation in ten digits.
fn padded(digits: &str) -> Option<Generation> {
    let is_number = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    Generation::new(digits.parse().ok().filter(|_| is_number)?).ok()
}

/// A generation without leading zeros.
fn plain(digits: &str) -> Option<Generation> {
    let is_number = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    Generation::new(digits.parse().ok().filter(|_| is_number)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_they_are_written() {
        let g = |n| Generation::new(n).unwrap();
        let path = StorePath::new("stores/a.g.json").unwrap();
        let names = [
            (Name::Pointer, "CURRENT"),
            (Name::NextPointer, "CURRENT.next"),
            (Name::Manifest(g(42)), "manifests/0000000042.json"),
            (Name::Checkpoint(Generation::MAX), "checkpoints/9999999999.jsonl"),
            (Name::Data(path, g(42)), "data/stores/a.g.json.g42"),
            (Name::Staged(0xab), "staging/00000000000000ab"),
            (Name::WriterLock, "locks/writer"),
            (Name::Pin(g(7)), "locks/pin-7"),
            (Name::Used(g(8)), "locks/used-8"),
        ];
        for (name, text) in names {
            assert_eq!(name.to_string(), text);
            assert_eq!(Name::parse(text), Some(name), "{text}");
        }
    }

    #[test]
    fn what_is_nearly_a_name_is_none() {
        for text in [
            "",
            "current",
            "CURRENT ",
            "CURRENT/",
            "manifests",
            "manifests/42.json",
            "manifests/0000000000.json",
            "manifests/00000000042.json",
            "manifests/+000000042.json",
            "manifests/+0000000042.json",
            "manifests/0000000042.jsonl",
            "checkpoints/0000000040.json",
            "data/a",
            "data/a.g",
            "data/a.g0",
            "data/a.g01",
            "data/a.g+1",
            "data/.g1",
            "data/../x.g1",
            "data/a.g1.g2",
            "data//a.g1",
            "data/a.g10000000000",
            "staging/AB",
            "staging/ab",
            "staging/00000000000000AB",
            "staging/+0000000000000ab",
            "staging/000000000000000ab",
            "locks/pin-0",
            "locks/pin-07",
            "locks/pin--7",
            "locks/used-",
            "locks/used-0",
            "locks/used8",
            "locks/held-8",
            "locks/writer2",
            "journal",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
