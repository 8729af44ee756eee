//! What the fuzzers run. Each entry point takes any bytes and panics when a property does not hold.
//!
//! The fuzzers themselves are in `fuzz/`, a package of its own. What they have found is kept in
//! `fuzz/corpus/`, and every `cargo test` runs the same entry points on it. This module exists only
//! in tests and for fuzzers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic reports a property that does not hold"
)]

mod build;
#[cfg(test)]
mod crashes;
mod disk;
mod documents;
mod examine;
mod model;
mod operations;
mod reader;
mod texts;

#[cfg(test)]
mod tests;

/// An entry point. It takes any bytes, and panics if a property does not hold.
pub type Target = fn(&[u8]);

/// Every entry point, under its name in `fuzz/`.
pub const TARGETS: [(&str, Target); 8] = [
    ("pointer", pointer),
    ("manifest", manifest),
    ("checkpoint", checkpoint),
    ("path", path),
    ("revision", revision),
    ("name", name),
    ("store", store),
    ("operations", operations),
];

/// Reads the bytes as `CURRENT`. See `fuzz/README.md` for what is asserted.
pub fn pointer(bytes: &[u8]) {
    documents::pointer(bytes);
    documents::pointer(&documents::resealed(bytes));
}

/// Reads the bytes as a manifest.
pub fn manifest(bytes: &[u8]) {
    documents::manifest(bytes);
    documents::manifest(&documents::resealed(bytes));
}

/// Reads the bytes as a checkpoint.
pub fn checkpoint(bytes: &[u8]) {
    documents::checkpoint(bytes);
    documents::checkpoint(&documents::resealed(bytes));
}

/// Reads the bytes as a store path.
pub fn path(bytes: &[u8]) {
    texts::path(&String::from_utf8_lossy(bytes));
}

/// Reads the bytes as a revision.
pub fn revision(bytes: &[u8]) {
    texts::revision(&String::from_utf8_lossy(bytes));
}

/// Reads the bytes as the name of something in a store, and builds a name from them.
pub fn name(bytes: &[u8]) {
    texts::name(&String::from_utf8_lossy(bytes));
    texts::name_of(bytes);
}

/// Builds a hostile store from the bytes, and does everything with it that a store can do.
pub fn store(bytes: &[u8]) {
    let disk = disk::Disk::empty();
    build::build(&disk, bytes);
    examine::examine(&disk);
}

/// Reads operations from the bytes, and compares what a store does with what the model predicts.
pub fn operations(bytes: &[u8]) {
    let _ = operations::run(&operations::read(bytes));
}
