//! The manifest: what one generation changed, who committed it, when and why.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::marker::PhantomData;

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Entry, FILES_MAX};
use super::json::{self, Extra};
use super::pointer::ManifestRef;
use super::{FORMAT, FormatError, checksum};
use crate::hash::{Blake3, StoreId};
use crate::path::StorePath;
use crate::revision::Generation;
use crate::time::Timestamp;

/// The longest manifest, in bytes.
pub(crate) const MANIFEST_MAX: u64 = 256 << 20;
/// The most changes in one generation.
pub(crate) const CHANGES_MAX: usize = 1_000_000;
/// The longest message, in bytes.
pub(crate) const MESSAGE_MAX: usize = 64 << 10;
/// The most metadata and fields of later versions together, as JSON, in bytes.
pub(crate) const METADATA_MAX: usize = 1 << 20;
/// The longest author, in bytes.
pub(crate) const AUTHOR_MAX: usize = 1 << 10;

/// The kind of a generation: what it was committed for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GenerationKind {
    /// Files were committed.
    Commit,
    /// An earlier state was restored.
    Rollback,
    /// A generation was given a name.
    Tag,
    /// A name was removed.
    Untag,
    /// A rule expired generations.
    Retention,
    /// Damage was repaired.
    Repair,
    /// Files that were written without going through the store were taken in.
    Adopt,
}

impl fmt::Display for GenerationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Tag => "tag",
            Self::Untag => "untag",
            Self::Retention => "retention",
            Self::Repair => "repair",
            Self::Adopt => "adopt",
        })
    }
}

/// One change of the file table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// The path has these bytes from now on. This generation or an earlier one wrote them.
    Put(Entry),
    /// The path is removed.
    Remove(StorePath),
}

impl Change {
    pub(crate) const fn path(&self) -> &StorePath {
        match self {
            Self::Put(entry) => &entry.path,
            Self::Remove(path) => path,
        }
    }
}

/// What one generation changed, and how it continues the chain.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Manifest {
    pub(crate) store: StoreId,
    pub(crate) generation: Generation,
    /// The generation before this one; `None` for the first of a store.
    pub(crate) parent: Option<ManifestRef>,
    pub(crate) kind: GenerationKind,
    pub(crate) time: Timestamp,
    pub(crate) author: String,
    pub(crate) message: String,
    pub(crate) metadata: BTreeMap<String, Value>,
    /// The generation whose state a rollback restored.
    pub(crate) restores: Option<Generation>,
    /// The number of live files after this generation.
    pub(crate) files: u64,
    /// The length of all live files after this generation, in bytes.
    pub(crate) bytes: u64,
    /// Sorted by path, no path twice.
    pub(crate) changes: Vec<Change>,
    /// The fields that this version does not know.
    pub(crate) extra: Extra,
}

#[derive(Deserialize)]
struct Document {
    store: StoreId,
    generation: Generation,
    parent: Option<ManifestRef>,
    kind: GenerationKind,
    time: Timestamp,
    author: String,
    message: String,
    metadata: BTreeMap<String, Value>,
    #[serde(default)]
    restores: Option<Generation>,
    files: u64,
    bytes: u64,
    #[serde(deserialize_with = "bounded_list")]
    changes: Vec<Line>,
    format: u64,
    #[serde(flatten)]
    extra: Extra,
}

impl json::Versioned for Document {
    fn format(&self) -> u64 {
        self.format
    }
}

/// One change as it stands in the file. Unknown fields of a change are skipped: a manifest is never
/// written again.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    put: Option<StorePath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<StorePath>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<Blake3>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Generation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_as: Option<StorePath>,
}

impl Manifest {
    /// The bytes of the manifest file. Every field and every change has a line of its own, for
    /// `grep`.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut out = String::from("{\n");
        field(&mut out, "format", &FORMAT)?;
        field(&mut out, "store", &self.store)?;
        field(&mut out, "generation", &self.generation)?;
        field(&mut out, "parent", &self.parent)?;
        field(&mut out, "kind", &self.kind)?;
        field(&mut out, "time", &self.time)?;
        field(&mut out, "author", &self.author)?;
        field(&mut out, "message", &self.message)?;
        field(&mut out, "metadata", &self.metadata)?;
        if let Some(restores) = &self.restores {
            field(&mut out, "restores", restores)?;
        }
        field(&mut out, "files", &self.files)?;
        field(&mut out, "bytes", &self.bytes)?;
        for (name, value) in &self.extra {
            field(&mut out, name, value)?;
        }
        out.push_str("\"changes\":[");
        for (at, change) in self.changes.iter().enumerate() {
            out.push_str(if at == 0 { "\n" } else { ",\n" });
            out.push_str(&json::write(&Line::of(change, self.generation))?);
        }
        out.push_str("\n]}\n");
        Ok(checksum::seal(out.into_bytes()))
    }

    /// The manifest in these bytes. Every rule was checked.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let found = bytes.len() as u64;
        if found > MANIFEST_MAX {
            return Err(FormatError::TooLong { limit: MANIFEST_MAX, found });
        }
        let document: Document = json::read_versioned(checksum::unseal(bytes)?)?;
        let generation = document.generation;
        let changes = document.changes.into_iter().map(|line| line.into_change(generation));
        let manifest = Self {
            store: document.store,
            generation,
            parent: document.parent,
            kind: document.kind,
            time: document.time,
            author: document.author,
            message: document.message,
            metadata: document.metadata,
            restores: document.restores,
            files: document.files,
            bytes: document.bytes,
            changes: changes.collect::<Result<_, _>>()?,
            extra: document.extra,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// The rules that hold for every manifest, before it is written and after it is read.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        let rule = |text: &str| Err(FormatError::rule(text));
        if self.parent.is_some_and(|parent| parent.generation >= self.generation) {
            return rule("the parent must be an earlier generation");
        }
        if self.restores.is_some_and(|restored| restored >= self.generation) {
            return rule("a rollback must restore an earlier generation");
        }
        if self.message.len() > MESSAGE_MAX {
            return rule("a message must not be longer than 65536 bytes");
        }
        if self.author.len() > AUTHOR_MAX {
            return rule("an author must not be longer than 1024 bytes");
        }
        if json::write(&self.metadata)?.len() + json::write(&self.extra)?.len() > METADATA_MAX {
            return rule("metadata must not be longer than 1048576 bytes");
        }
        if self.changes.len() > CHANGES_MAX {
            return rule("a generation must not have more than 1000000 changes");
        }
        if self.files > FILES_MAX {
            return rule("a store must not have more than 10000000 files");
        }
        for pair in self.changes.windows(2) {
            if let [one, two] = pair
                && one.path() >= two.path()
            {
                return Err(FormatError::rule(format!(
                    "the changes must be sorted and unique by path, but {} follows {}",
                    two.path(),
                    one.path()
                )));
            }
        }
        self.changes.iter().try_for_each(|change| match change {
            Change::Put(entry) => entry.check(),
            Change::Remove(_) => Ok(()),
        })
    }
}

impl Line {
    fn of(change: &Change, generation: Generation) -> Self {
        match change {
            Change::Remove(path) => Self { remove: Some(path.clone()), ..Self::default() },
            Change::Put(entry) => Self {
                put: Some(entry.path.clone()),
                bytes: Some(entry.bytes),
                blake3: Some(entry.blake3),
                from: Some(entry.generation).filter(|from| *from != generation),
                stored_as: entry.stored_as.clone(),
                remove: None,
            },
        }
    }

    fn into_change(self, generation: Generation) -> Result<Change, FormatError> {
        match self {
            Self {
                put: Some(path),
                remove: None,
                bytes: Some(bytes),
                blake3: Some(blake3),
                from,
                stored_as,
            } => {
                if from.is_some_and(|from| from >= generation) {
                    return Err(FormatError::rule(format!(
                        "{path} comes from a generation that is not an earlier one"
                    )));
                }
                if stored_as.is_some() && from.is_none() {
                    return Err(FormatError::rule(format!("{path} has stored_as without from")));
                }
                Ok(Change::Put(Entry {
                    path,
                    generation: from.unwrap_or(generation),
                    bytes,
                    blake3,
                    stored_as,
                }))
            }
            Self {
                put: None,
                remove: Some(path),
                bytes: None,
                blake3: None,
                from: None,
                stored_as: None,
            } => Ok(Change::Remove(path)),
            _ => Err(FormatError::rule("a change is a put with bytes and blake3, or a remove")),
        }
    }
}

fn field<T: Serialize + ?Sized>(out: &mut String, name: &str, value: &T) -> Result<(), FormatError> {
    writeln!(out, "{}:{},", json::write(name)?, json::write(value)?)
        .map_err(|e| FormatError::Json(e.to_string()))
}

/// Reads a list and stops at the bound, so that a small file cannot become a large list in memory.
fn bounded_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Bounded<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {CHANGES_MAX} changes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = list.next_element()? {
                if items.len() == CHANGES_MAX {
                    return Err(A::Error::custom(format_args!("there are more than {CHANGES_MAX} changes")));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(Bounded(PhantomData))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn g(number: u64) -> Generation {
        Generation::new(number).unwrap()
    }

    fn path(text: &str) -> StorePath {
        StorePath::new(text).unwrap()
    }

    fn manifest() -> Manifest {
        let put = Entry {
            path: path("a.json"),
            generation: g(42),
            bytes: 3,
            blake3: Blake3::of(b"abc"),
            stored_as: None,
        };
        let linked = Entry { generation: g(7), ..put.renamed(path("b.json")) };
        Manifest {
            store: StoreId::from_bytes([7; 16]),
            generation: g(42),
            parent: Some(ManifestRef { generation: g(40), manifest: Blake3::of(b"p") }),
            kind: GenerationKind::Rollback,
            time: "2026-11-22T10:00:00.123Z".parse().unwrap(),
            author: "ann".into(),
            message: "say \"why\"\nin two lines".into(),
            metadata: BTreeMap::from([("ticket".into(), Value::from(12))]),
            restores: Some(g(7)),
            files: 2,
            bytes: 6,
            changes: vec![Change::Put(put), Change::Put(linked), Change::Remove(path("c.json"))],
            extra: Extra::from([("later".into(), Value::from("kept"))]),
        }
    }

    fn sealed(body: &str) -> Vec<u8> {
        checksum::seal(body.as_bytes().to_vec())
    }

    fn body() -> String {
        let bytes = manifest().encode().unwrap();
        String::from_utf8(bytes[..bytes.len() - checksum::LINE].to_vec()).unwrap()
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let abc = Blake3::of(b"abc");
        let expected = format!(
            "{{\n\"format\":1,\n\"store\":\"07070707070707070707070707070707\",\n\"generation\":42,\n\
             \"parent\":{{\"generation\":40,\"manifest\":\"{}\"}},\n\"kind\":\"rollback\",\n\
             \"time\":\"2026-11-22T10:00:00.123Z\",\n\"author\":\"ann\",\n\
             \"message\":\"say \\\"why\\\"\\nin two lines\",\n\"metadata\":{{\"ticket\":12}},\n\"restores\":7,\n\
             \"files\":2,\n\"bytes\":6,\n\"later\":\"kept\",\n\"changes\":[\n\
             {{\"put\":\"a.json\",\"bytes\":3,\"blake3\":\"{abc}\"}},\n\
             {{\"put\":\"b.json\",\"bytes\":3,\"blake3\":\"{abc}\",\"from\":7,\"stored_as\":\"a.json\"}},\n\
             {{\"remove\":\"c.json\"}}\n]}}\n",
            Blake3::of(b"p")
        );
        assert_eq!(body(), expected);
        assert_eq!(Manifest::decode(&manifest().encode().unwrap()).unwrap(), manifest());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let good = manifest().encode().unwrap();
        for at in 0..good.len() {
            assert!(Manifest::decode(&good[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(Manifest::decode(&bad).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_right_checksum_over_hostile_content_does_not_help() {
        let cases = [
            ("\"format\":1", "\"format\":9", "format 9"),
            ("\"generation\":42", "\"generation\":0", "1 to 9999999999"),
            ("\"generation\":42", "\"generation\":10000000000", "1 to 9999999999"),
            ("\"generation\":42,", "\"generation\":42,\n\"generation\":42,", "twice"),
            ("\"generation\":42,", "\"generation\":40,", "earlier generation"),
            ("\"generation\":40", "\"generation\":42", "earlier generation"),
            ("\"parent\":{", "\"parent\":{\"generation\":1,", "twice"),
            ("\"restores\":7", "\"restores\":42", "earlier generation"),
            ("\"kind\":\"rollback\"", "\"kind\":\"prank\"", "unknown variant"),
            ("\"time\":\"2026", "\"time\":\"x2026", "JSON"),
            ("\"files\":2", "\"files\":-2", "JSON"),
            ("\"files\":2", "\"files\":10000001", "10000000 files"),
            ("\"files\":2", "\"files\":18446744073709551616", "JSON"),
            ("\"bytes\":3", "\"bytes\":9223372036854775808", "more than a file can have"),
            ("\"bytes\":3", "\"bytes\":18446744073709551615", "more than a file can have"),
            ("\"bytes\":3", "\"bytes\":1e400", "out of range"),
            ("\"put\":\"a.json\"", "\"put\":\"../a.json\"", "'.' or '..'"),
            ("\"put\":\"a.json\"", "\"put\":\"/CURRENT\"", "relative"),
            ("\"put\":\"a.json\"", "\"put\":\"b.json\"", "sorted and unique"),
            ("\"put\":\"a.json\"", "\"put\":\"z.json\"", "sorted and unique"),
            ("\"from\":7", "\"from\":42", "not an earlier one"),
            ("\"from\":7,", "", "stored_as without from"),
            ("\"stored_as\":\"a.json\"", "\"stored_as\":\"b.json\"", "names itself"),
            ("{\"remove\"", "{\"bytes\":1,\"remove\"", "a change is"),
            ("{\"remove\":\"c.json\"}", "{}", "a change is"),
            ("\"author\":\"ann\",\n", "", "missing field `author`"),
        ];
        for (from, to, reason) in cases {
            let body = body();
            assert!(body.contains(from), "{from}");
            let error = Manifest::decode(&sealed(&body.replacen(from, to, 1))).expect_err(to).to_string();
            assert!(error.contains(reason), "{to}: {error}");
        }
        let deep =
            format!("\"metadata\":{}{}", "{\"a\":".repeat(100_000), "1".to_owned() + &"}".repeat(100_000));
        let error =
            Manifest::decode(&sealed(&body().replace("\"metadata\":{\"ticket\":12}", &deep))).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
        assert!(Manifest::decode(&sealed(&format!("\u{feff}{}", body()))).is_err());
        assert!(Manifest::decode(&sealed(&format!("{}{{}}\n", body()))).is_err());
        let author = body().replace("\"ann\"", &format!("\"{}\"", "a".repeat(AUTHOR_MAX + 1)));
        assert!(Manifest::decode(&sealed(&author)).unwrap_err().to_string().contains("1024 bytes"));
        let noted = body().replace("{\"ticket\":12}", &format!("{{\"x\":\"{}\"}}", "a".repeat(METADATA_MAX)));
        assert!(Manifest::decode(&sealed(&noted)).unwrap_err().to_string().contains("1048576 bytes"));
    }

    #[test]
    fn ten_million_entries_are_refused_early() {
        let body =
            body().replace("\"changes\":[\n", &format!("\"changes\":[\n{}", "{},".repeat(CHANGES_MAX + 1)));
        let error = Manifest::decode(&sealed(&body)).unwrap_err().to_string();
        assert!(error.contains("more than 1000000 changes"), "{error}");
        let error = Manifest::decode(&vec![b'x'; MANIFEST_MAX as usize + 1]).unwrap_err();
        assert_eq!(error, FormatError::TooLong { limit: MANIFEST_MAX, found: MANIFEST_MAX + 1 });
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Manifest::decode(&bytes);
        }

        #[test]
        fn any_text_survives(author in "\\PC{0,30}", message in any::<String>(), key in "\\PC{0,10}") {
            let mut manifest = manifest();
            manifest.author = author;
            manifest.message = message;
            manifest.metadata.insert(key, Value::from(1.5));
            prop_assert_eq!(Manifest::decode(&manifest.encode().unwrap()).unwrap(), manifest);
        }
    }
}
