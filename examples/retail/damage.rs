//! A disk returns wrong bytes. A copy is damaged, so that the real store stays whole.

use std::fs;
use std::path::Path;

use genstore::{ErrorKind, Generation, Provenance, Store, VerifyOptions};

use crate::{Outcome, expect};

const PATH: &str = "stores/downtown.json";

pub fn damage_a_copy(store: &Store, copy: &Path) -> Outcome {
    // No other process writes to the store now, so a plain copy of the directory is a store as
    // well.
    copy_tree(store.dir(), copy)?;
    let written_by = store.snapshot()?.metadata(PATH).ok_or("there is no such file")?.generation;
    flip_a_byte(&copy.join("data").join(format!("{PATH}.g{written_by}")))?;

    let copied = Store::open(copy)?;
    let snapshot = copied.snapshot()?;
    let error = match snapshot.get(PATH) {
        Err(error) if error.kind() == ErrorKind::Corrupt => error,
        Err(error) => return Err(error.into()),
        Ok(_) => return expect(false, "a wrong byte is noticed"),
    };
    println!("Reading it: {error}.");
    println!("  What it means: {}", error.consequence());
    println!("  What to do: {}", error.advice());
    snapshot.get("stores/larkrise.json")?;
    println!("The other files are not affected.");

    let report = copied.verify(&VerifyOptions::new())?;
    for finding in &report.findings {
        let path = finding.path.as_deref().unwrap_or("the store");
        println!("verify says: {}: {path}: {}", finding.severity, finding.detail);
    }
    let named = report.findings.iter().any(|finding| finding.path.as_deref() == Some(PATH));
    expect(!report.ok && named, "verify finds the damage, and names the file")?;

    let (bytes, provenance) = snapshot.get_or_recover(PATH, b"{}")?;
    let Provenance::Recovered { generation } = provenance else {
        return expect(false, "an earlier version takes the place of the damaged one");
    };
    println!("get_or_recover gives the version of generation {generation}, and says so.");
    expect_version(store, generation, &bytes)?;
    expect(error.intact() == Some(generation), "the error names the version that is recovered")?;

    // The damaged bytes are evidence, so a recovery for a reader writes nothing.
    expect(snapshot.get(PATH).is_err(), "the damaged file is still there, and still damaged")
}

/// Compares with the original store, which is whole.
fn expect_version(original: &Store, generation: Generation, bytes: &[u8]) -> Outcome {
    let right = original.snapshot_at(generation)?.get(PATH)?;
    expect(right == bytes, "the recovered bytes are those of that generation")
}

/// Reads and writes, because `fs::copy` would copy the read-only permission too.
fn copy_tree(from: &Path, to: &Path) -> Outcome {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::write(target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn flip_a_byte(file: &Path) -> Outcome {
    let mut bytes = fs::read(file)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).ok_or("the file is empty")? ^= 1;
    Ok(fs::write(file, bytes)?)
}
