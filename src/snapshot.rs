//! A consistent view of one generation.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::content::{self, ReadError};
use crate::engine::pins::SharedPin;
use crate::engine::table::Listing;
use crate::engine::{Engine, Head};
use crate::error::{Error, ErrorRepr, Operation, Result};
use crate::format::entry::Entry;
use crate::fs::FsFile;
use crate::hash::Blake3;
use crate::path::StorePath;
use crate::revision::Generation;

/// A consistent view of one generation. Later commits do not show in it.
///
/// A snapshot may be kept and read for as long as the program likes. It pins its generation:
/// retention removes none of its files while the snapshot or a clone of it lives. On a read-only
/// file system nothing can pin them. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) engine: Arc<Engine>,
    pub(crate) head: Arc<Head>,
    pin: Option<Arc<SharedPin>>,
}

/// What a generation records of one of its files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct FileEntry {
    /// The logical path.
    pub path: StorePath,
    /// The length in bytes.
    pub bytes: u64,
    /// The BLAKE3 hash of the content.
    pub blake3: Blake3,
    /// The generation that wrote the content. It may be earlier than the generation of the
    /// snapshot.
    pub generation: Generation,
}

impl From<&Entry> for FileEntry {
    fn from(entry: &Entry) -> Self {
        Self {
            path: entry.path.clone(),
            bytes: entry.bytes,
            blake3: entry.blake3,
            generation: entry.generation,
        }
    }
}

/// The files of a snapshot, sorted by path. See [`Snapshot::list`].
///
/// The iterator borrows nothing, and holds at most a few hundred entries in memory.
#[derive(Clone, Debug)]
#[must_use = "iterators do nothing unless they are consumed"]
pub struct Files(Listing);

impl Iterator for Files {
    type Item = FileEntry;

    fn next(&mut self) -> Option<FileEntry> {
        self.0.next().map(|entry| FileEntry::from(&entry))
    }
}

/// Where the content that [`Snapshot::get_or_recover`] returns comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Provenance {
    /// From the generation of the snapshot.
    Current,
    /// From an earlier generation, as the file of the snapshot's generation is damaged.
    Recovered {
        /// The newest generation before the snapshot's that has a good version.
        generation: Generation,
    },
    /// From the caller: there is no such file, or no good version is left.
    Default,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("current"),
            Self::Recovered { generation } => write!(f, "recovered from generation {generation}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Snapshot {
    pub(crate) fn of(engine: &Arc<Engine>, head: Arc<Head>) -> Result<Self> {
        let pin = engine.pin(head.link.generation)?;
        Ok(Self { engine: Arc::clone(engine), head, pin })
    }

    /// The generation that this snapshot shows.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.head.link.generation
    }

    /// The number of files.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.head.table.files()
    }

    /// Whether the generation has no files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of all files together, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.head.table.bytes()
    }

    /// The length, hash and origin of a file, without reading it. `None` when there is no file at
    /// `path`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// let snapshot = store.snapshot()?;
    /// let file = snapshot.metadata("hours").unwrap();
    /// assert_eq!((file.bytes, file.generation), (4, snapshot.generation()));
    /// assert_eq!((snapshot.len(), snapshot.total_bytes(), snapshot.is_empty()), (1, 4, false));
    /// # Ok::<(), genstore::Error>(())
    /// ```
    #[must_use]
    pub fn metadata(&self, path: impl AsRef<str>) -> Option<FileEntry> {
        let path = StorePath::new(path.as_ref()).ok()?;
        self.head.table.get(&path).map(FileEntry::from)
    }

    /// The files whose path begins with `prefix`, sorted by path. An empty prefix means all.
    ///
    /// The prefix is text, not a directory: `stores` also finds `stores-old/a`. End it with `/` for
    /// a directory.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| {
    ///     tx.put("stores/harbour.json", "{}")?;
    ///     tx.put("stores/downtown.json", "{}")?;
    ///     tx.put("index.json", "[]")
    /// })?;
    /// let files = store.snapshot()?.list("stores/");
    /// let paths: Vec<String> = files.map(|file| file.path.to_string()).collect();
    /// assert_eq!(paths, ["stores/downtown.json", "stores/harbour.json"]);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    pub fn list(&self, prefix: impl AsRef<str>) -> Files {
        Files(Listing::new(&self.head.table, prefix.as_ref()))
    }

    pub(crate) fn find(&self, path: &str) -> Result<&Entry> {
        let checked = StorePath::new(path)?;
        let table = &self.head.table;
        table.get(&checked).ok_or_else(|| {
            let generation = self.generation();
            if table.list(&format!("{checked}/")).next().is_none() {
                ErrorRepr::NoSuchPath { path: path.to_owned(), generation }.into()
            } else {
                ErrorRepr::IsDirectory { path: checked, generation }.into()
            }
        })
    }

    fn failed(&self, entry: &Entry, failed: ReadError) -> Error {
        self.engine.failed(entry, self.head.link, failed)
    }

    /// The content of a file. Its hash has been checked when this returns.
    ///
    /// No transaction knows of this read. To read, change and commit, read with
    /// [`Transaction::get`](crate::Transaction::get).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", r#"{"from":9,"to":17}"#))?;
    /// let snapshot = store.snapshot()?;
    /// assert_eq!(snapshot.get("hours")?.len(), 18);
    /// let hours: std::collections::BTreeMap<String, u8> = snapshot.get_json("hours")?;
    /// assert_eq!(hours["from"], 9);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// * `Invalid` when `path` is not a [valid path](StorePath).
    /// * `NotFound` when the generation has no file at `path`.
    /// * `Corrupt` when the file is missing, or its bytes are not those that were committed.
    ///   [`Error::intact`] has the newest generation with an intact version.
    /// * `Io` when the system cannot read just now.
    pub fn get(&self, path: impl AsRef<str>) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let entry = self.find(path)?;
        content::read(self.engine.storage(), entry).map_err(|failed| self.failed(entry, failed))
    }

    /// The content of a file, read as JSON.
    ///
    /// # Errors
    /// As [`get`](Snapshot::get). `Invalid` also when the intact content is not the JSON of a `T`.
    pub fn get_json<T: DeserializeOwned>(&self, path: impl AsRef<str>) -> Result<T> {
        let path = path.as_ref();
        let bytes = self.get(path)?;
        serde_json::from_slice(&bytes).map_err(|source| {
            let generation = self.find(path).map_or_else(|_| self.generation(), |entry| entry.generation);
            match StorePath::new(path) {
                Ok(path) => ErrorRepr::OtherJson { path, generation, source }.into(),
                Err(error) => error.into(),
            }
        })
    }

    /// A reader of a file of any size. The content is never in memory as a whole.
    ///
    /// The whole file has been read and its hash checked when this returns. The reader checks the
    /// hash again: if the file has changed in between, the reader ends with an error of kind
    /// `InvalidData` instead of the end of the file.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("log", "first\nsecond\n"))?;
    /// let reader = std::io::BufReader::new(store.snapshot()?.reader("log")?);
    /// let lines: Result<Vec<String>, _> = std::io::BufRead::lines(reader).collect();
    /// assert_eq!(lines.unwrap(), ["first", "second"]);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Snapshot::get).
    pub fn reader(&self, path: impl AsRef<str>) -> Result<FileReader> {
        let entry = self.find(path.as_ref())?;
        let opened = content::retry_once(|| {
            content::copy(self.engine.storage(), entry, &mut io::sink())?;
            content::open(self.engine.storage(), entry)
        });
        let file = opened.map_err(|failed| self.failed(entry, failed))?;
        Ok(FileReader { file, hasher: blake3::Hasher::new(), expected: entry.blake3, _pin: self.pin.clone() })
    }

    /// The content of a file, even if the file is damaged; and where the content comes from.
    ///
    /// If the file is damaged, this returns the newest older version that is intact and that the
    /// [validators](crate::OpenOptions::validate) accept. If there is no such version, or no such
    /// file, it returns `default`. It never writes: the damaged file stays as evidence.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// use genstore::Provenance;
    ///
    /// let good = store.update("open", |tx| tx.put_json("hours", &[9, 17]))?.generation;
    /// let newest = store.update("longer", |tx| tx.put_json("hours", &[9, 20]))?.generation;
    /// # let file = store.dir().join(format!("data/hours.g{newest}"));
    /// # std::fs::remove_file(file).unwrap();
    ///
    /// // The file that the newest generation wrote is damaged now.
    /// let snapshot = store.snapshot()?;
    /// assert!(snapshot.get("hours").is_err());
    /// let (hours, from) = snapshot.get_json_or_recover("hours", Vec::<u8>::new)?;
    /// assert_eq!((hours, from), (vec![9, 17], Provenance::Recovered { generation: good }));
    /// let (prices, from) = snapshot.get_or_recover("prices", b"none")?;
    /// assert_eq!((prices, from), (b"none".to_vec(), Provenance::Default));
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` when `path` is not a [valid path](StorePath). `Io` when the system cannot read
    /// just now.
    pub fn get_or_recover(&self, path: impl AsRef<str>, default: &[u8]) -> Result<(Vec<u8>, Provenance)> {
        let recovered = self.recover(path.as_ref(), |bytes| Some(bytes.to_vec()))?;
        Ok(recovered.unwrap_or_else(|| (default.to_vec(), Provenance::Default)))
    }

    /// As [`get_or_recover`](Snapshot::get_or_recover), read as JSON. A version that is not the
    /// JSON of a `T` counts as damaged.
    ///
    /// # Errors
    /// As [`get_or_recover`](Snapshot::get_or_recover).
    pub fn get_json_or_recover<T: DeserializeOwned>(
        &self,
        path: impl AsRef<str>,
        default: impl FnOnce() -> T,
    ) -> Result<(T, Provenance)> {
        let recovered = self.recover(path.as_ref(), |bytes| serde_json::from_slice(bytes).ok())?;
        Ok(recovered.unwrap_or_else(|| (default(), Provenance::Default)))
    }

    fn recover<T>(&self, path: &str, read: impl Fn(&[u8]) -> Option<T>) -> Result<Option<(T, Provenance)>> {
        let path = StorePath::new(path)?;
        let Some(entry) = self.head.table.get(&path) else { return Ok(None) };
        if let Some(value) = self.try_version(entry)?.and_then(|bytes| read(&bytes)) {
            return Ok(Some((value, Provenance::Current)));
        }
        for (generation, older) in self.engine.versions(entry, self.head.link) {
            let Some(bytes) = self.try_version(&older)? else { continue };
            let accepted = self
                .engine
                .options()
                .validators
                .check(&path, || Ok(Box::new(io::Cursor::new(bytes.clone()))));
            if let (Ok(()), Some(value)) = (accepted, read(&bytes)) {
                return Ok(Some((value, Provenance::Recovered { generation })));
            }
        }
        Ok(None)
    }

    /// The bytes of a version. `None` when they are damaged.
    fn try_version(&self, entry: &Entry) -> Result<Option<Vec<u8>>> {
        match content::read(self.engine.storage(), entry) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ReadError::Damaged(_)) => Ok(None),
            Err(ReadError::Unknown(error) | ReadError::Sink(error)) => {
                Err(Error::io(Operation::Read, entry.path.as_str(), error))
            }
        }
    }
}

/// A reader of one file of a snapshot. See [`Snapshot::reader`].
#[derive(Debug)]
pub struct FileReader {
    file: Box<dyn FsFile>,
    hasher: blake3::Hasher,
    expected: Blake3,
    /// Retention does not remove the file while it is read.
    _pin: Option<Arc<SharedPin>>,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.file.read(buffer)?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => self.hasher.update(bytes),
            _ if Blake3::from(self.hasher.finalize()) == self.expected => return Ok(0),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the file changed while it was being read",
                ));
            }
        };
        Ok(read)
    }
}
