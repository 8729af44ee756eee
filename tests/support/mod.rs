//! Helpers of the tests: a directory for each test, its content byte for byte, and ways to damage a
//! store.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use genstore::{Blake3, Commit, Error, ErrorKind, Finding, FindingKind, Generation, Severity, Store};
use serde_json::Value;
use tempfile::TempDir;

/// The fastest place for temporary directories: in memory, if the system has that. It is for tests
/// that do not need anything to be durable.
pub fn quick_dir() -> PathBuf {
    memory().map_or_else(std::env::temp_dir, Path::to_owned)
}

/// A temporary directory for a store and for other files.
pub struct Place {
    dir: TempDir,
}

impl Place {
    /// A directory without a store.
    pub fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// A directory without a store, inside another directory.
    pub fn new_in(dir: &Path) -> Self {
        Self { dir: tempfile::Builder::new().prefix("genstore-test-").tempdir_in(dir).unwrap() }
    }

    /// A directory without a store, in memory if the system has that.
    pub fn quick() -> Self {
        Self::new_in(&quick_dir())
    }

    /// A directory with an empty store, which is at generation 1.
    pub fn with_store() -> (Self, Store) {
        let place = Self::new();
        let store = Store::create(place.store()).unwrap();
        (place, store)
    }

    /// A directory with a store in which each item is one commit: generations 2, 3 and so on.
    pub fn with_commits(commits: &[&[(&str, &str)]]) -> (Self, Store) {
        let (place, store) = Self::with_store();
        for files in commits {
            save(&store, files);
        }
        (place, store)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path of the store, which may not exist yet.
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// The path of a name in the store's directory.
    pub fn inside(&self, name: &str) -> PathBuf {
        self.store().join(name)
    }

    pub fn open(&self) -> Store {
        Store::open(self.store()).unwrap()
    }

    /// Creates a file outside the store, with the directories above it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// A directory in memory, if the system has one.
pub fn memory() -> Option<&'static Path> {
    Some(Path::new("/dev/shm")).filter(|dir| dir.is_dir())
}

/// Puts these files and commits them.
pub fn save(store: &Store, files: &[(&str, &str)]) -> Commit {
    let mut tx = store.begin().unwrap();
    for (path, text) in files {
        tx.put(path, *text).unwrap();
    }
    tx.commit("commit").unwrap()
}

/// Removes a path and commits that.
pub fn remove(store: &Store, path: &str) -> Commit {
    let mut tx = store.begin().unwrap();
    tx.remove(path).unwrap();
    tx.commit("remove").unwrap()
}

/// Renames a path and commits that.
pub fn rename(store: &Store, from: &str, to: &str) -> Commit {
    let mut tx = store.begin().unwrap();
    tx.rename(from, to).unwrap();
    tx.commit("rename").unwrap()
}

pub fn g(number: u64) -> Generation {
    Generation::new(number).unwrap()
}

/// The content of a path in the newest generation.
pub fn text(store: &Store, path: &str) -> String {
    String::from_utf8(store.snapshot().unwrap().get(path).unwrap()).unwrap()
}

/// Path and content of everything in the newest generation.
pub fn state(store: &Store) -> BTreeMap<String, String> {
    state_of(&store.snapshot().unwrap())
}

/// Path and content of everything in a snapshot.
pub fn state_of(snapshot: &genstore::Snapshot) -> BTreeMap<String, String> {
    let read = |path: &str| String::from_utf8(snapshot.get(path).unwrap()).unwrap();
    let files = snapshot.list("");
    files.map(|file| (file.path.to_string(), read(file.path.as_str()))).collect()
}

/// The expected result of [`state`].
pub fn files(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// The error of a call that must fail with this kind.
pub fn refused<T>(result: Result<T, Error>, kind: ErrorKind) -> Error {
    match result {
        Ok(_) => panic!("it should have failed with {kind}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error:?}");
            error
        }
    }
}

/// Content. Debug output shows its start only.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = String::from_utf8_lossy(&self.0[..self.0.len().min(300)]).into_owned();
        write!(f, "{} bytes {shown:?}", self.0.len())
    }
}

/// One thing in a directory tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    pub kind: &'static str,
    pub bytes: Bytes,
    pub mode: u32,
    pub inode: u64,
    pub modified: (i64, i64),
}

/// Everything below a directory, with its metadata. Links are not followed.
pub fn tree(dir: &Path) -> BTreeMap<String, Item> {
    let mut found = BTreeMap::new();
    collect(dir, "", &mut found);
    found
}

fn collect(dir: &Path, above: &str, found: &mut BTreeMap<String, Item>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        let meta = fs::symlink_metadata(entry.path()).unwrap();
        let kind = meta.file_type();
        let (kind, bytes) = if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), found);
            ("directory", Vec::new())
        } else if kind.is_symlink() {
            ("link", fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes())
        } else if kind.is_fifo() {
            ("fifo", Vec::new())
        } else {
            ("file", fs::read(entry.path()).unwrap())
        };
        let modified = (meta.mtime(), meta.mtime_nsec());
        let (mode, inode) = (meta.mode(), meta.ino());
        found.insert(name, Item { kind, bytes: Bytes(bytes), mode, inode, modified });
    }
}

/// Kind and content of everything below a directory, without times and without the files in
/// `locks/`. A snapshot creates a pin there and removes it, and each holder of the writer lock
/// writes a note there.
pub fn contents(dir: &Path) -> BTreeMap<String, (&'static str, Bytes)> {
    let kept = tree(dir).into_iter().filter(|(name, _)| !name.starts_with("locks/"));
    kept.map(|(name, item)| (name, (item.kind, item.bytes))).collect()
}

/// Fails, with the names that differ, unless both are equal.
pub fn assert_same<T: PartialEq + std::fmt::Debug>(now: &BTreeMap<String, T>, before: &BTreeMap<String, T>) {
    let names: std::collections::BTreeSet<&String> = now.keys().chain(before.keys()).collect();
    let differ = names.into_iter().filter(|name| now.get(*name) != before.get(*name));
    let differ: Vec<_> = differ.map(|name| (name, before.get(name), now.get(name))).collect();
    assert!(differ.is_empty(), "name, before, now: {differ:#?}");
}

/// The names below one directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    tree(dir).into_keys().collect()
}

/// Replaces a file of a store, which is read-only.
pub fn overwrite(file: &Path, bytes: impl AsRef<[u8]>) {
    clear(file);
    fs::write(file, bytes).unwrap();
}

/// Removes anything that has this name.
pub fn clear(name: &Path) {
    match fs::symlink_metadata(name) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(name).unwrap(),
        Ok(_) => fs::remove_file(name).unwrap(),
        Err(_) => {}
    }
}

/// Flips one bit of a file.
pub fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    overwrite(file, bytes);
}

/// Removes the second half of a file.
pub fn truncate(file: &Path) {
    let bytes = fs::read(file).unwrap();
    overwrite(file, &bytes[..bytes.len() / 2]);
}

pub fn fifo(name: &Path) {
    clear(name);
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, name, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

pub fn link(name: &Path, target: &Path) {
    clear(name);
    std::os::unix::fs::symlink(target, name).unwrap();
}

/// Copies a directory tree of files and directories.
pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// The text with the checksum line of the format.
pub fn seal(body: &str) -> Vec<u8> {
    format!("{body}{{\"sum\":\"crc32:{:08x}\"}}\n", crc32fast::hash(body.as_bytes())).into_bytes()
}

/// The document in a sealed file.
pub fn unseal(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).unwrap();
    let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
    serde_json::from_str(body).unwrap()
}

pub fn manifest_name(generation: u64) -> String {
    format!("manifests/{generation:010}.json")
}

/// The bytes of a pointer.
pub fn pointer(generation: u64, manifest: &[u8]) -> Vec<u8> {
    let hash = Blake3::of(manifest);
    seal(&format!("{{\"format\":1,\"generation\":{generation},\"manifest\":\"{hash}\"}}\n"))
}

/// Changes the manifest of the newest generation, and writes a pointer to it. A program of another
/// version, or on a machine with another clock, would have written such files.
pub fn rewrite_newest(place: &Place, change: impl Fn(&mut Value)) {
    let current = unseal(&fs::read(place.inside("CURRENT")).unwrap());
    let generation = current["generation"].as_u64().unwrap();
    let file = place.inside(&manifest_name(generation));
    let mut manifest = unseal(&fs::read(&file).unwrap());
    change(&mut manifest);
    let bytes = seal(&format!("{manifest}\n"));
    overwrite(&file, &bytes);
    overwrite(&place.inside("CURRENT"), pointer(generation, &bytes));
}

/// Changes the note in the lock file to one from before a restart of the machine. Uncommitted files
/// then count as left by a crash of the machine.
pub fn restart_machine(place: &Place) {
    let file = place.inside("locks/writer");
    let mut note: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    note["boot"] = "an earlier one".into();
    overwrite(&file, note.to_string());
}

pub fn has(findings: &[Finding], severity: Severity, kind: FindingKind, path: Option<&str>) -> bool {
    let path = path.map(str::to_owned);
    findings.iter().any(|found| found.severity == severity && found.kind == kind && found.path == path)
}

/// Bytes that do not repeat and are the same in every run.
pub struct Noise {
    state: u64,
    left: u64,
}

impl Noise {
    pub const fn new(bytes: u64) -> Self {
        Self { state: 0x9E37_79B9_7F4A_7C15, left: bytes }
    }

    pub fn bytes(length: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        Self::new(length).read_to_end(&mut bytes).unwrap();
        bytes
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        for piece in buffer[..wanted].chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            let bytes = self.state.to_le_bytes();
            piece.copy_from_slice(&bytes[..piece.len()]);
        }
        self.left -= wanted as u64;
        Ok(wanted)
    }
}
