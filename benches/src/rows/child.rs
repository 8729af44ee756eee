//! What this program does as a child of itself, so that its memory and its start are measured.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output};

use crate::Result;
use crate::machine::peak_memory;
use crate::peers::genstore::Genstore;
use crate::stats::time;

/// The first argument of a child that opens a store and reads a file.
pub const OPEN: &str = "child-open";
/// The first argument of a child that hashes files.
pub const HASH: &str = "child-hash";

/// Opens a store, reads a file, and prints the milliseconds and the peak memory in MiB.
///
/// # Errors
/// The store cannot be read.
pub fn open(store: &str, path: &str) -> Result<()> {
    let ms = time(|| {
        // The store is dropped after the clock is read.
        let store = Genstore::open(Path::new(store))?;
        let bytes = store.get(path)?;
        Ok((store, bytes))
    })?;
    println!("{ms} {}", peak_memory().ok_or("the kernel does not tell the peak memory")?);
    Ok(())
}

/// Prints the BLAKE3 hash of each file, as `b3sum` does: mapped into memory, with all cores.
///
/// # Errors
/// A file cannot be read.
pub fn hash(files: &[&str]) -> Result<()> {
    for file in files {
        let hash = blake3::Hasher::new().update_mmap_rayon(file)?.finalize();
        println!("{hash}  {file}");
    }
    Ok(())
}

/// The two figures that a child printed.
pub(super) fn figures(output: &Output) -> Result<[f64; 2]> {
    check(output.status, &output.stderr)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut figures = text.split_whitespace().map(str::parse);
    match (figures.next(), figures.next()) {
        (Some(first), Some(second)) => Ok([first?, second?]),
        _ => Err(format!("not two figures: {text:?}").into()),
    }
}

fn check(status: ExitStatus, errors: &[u8]) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{status}: {}", String::from_utf8_lossy(errors))).into())
}
