//! A second reader, written from `docs/format.md` alone, for the fuzzers to compare with. It
//! follows the manifests and uses no checkpoint.

use std::collections::BTreeMap;

use serde_json::Value;

use super::disk::Tree;
use crate::hash::Blake3;

/// What the table says about a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// The generation that wrote the bytes.
    pub(super) generation: u64,
    pub(super) bytes: u64,
    pub(super) blake3: String,
    /// The path under which they were written.
    pub(super) stored: String,
}

/// The fold of a text. For each letter, its upper case if that is one letter, and then the lower
/// case of that.
pub(super) fn fold(text: &str) -> String {
    let one = |letter: char| {
        let upper: String = letter.to_uppercase().collect();
        if upper.chars().count() == 1 { upper } else { letter.to_string() }
    };
    text.chars()
        .flat_map(|letter| one(letter).chars().flat_map(char::to_lowercase).collect::<Vec<_>>())
        .collect()
}

/// The document in a file, if the file has this hash.
fn document(tree: &Tree, name: &str, hash: &str) -> Result<Value, String> {
    let bytes = tree.get(name).ok_or_else(|| format!("{name} is missing"))?;
    if Blake3::of(bytes).to_string() != hash {
        return Err(format!("{name} has another hash"));
    }
    let end = bytes.len().checked_sub(25).ok_or_else(|| format!("{name} is short"))?;
    serde_json::from_slice(&bytes[..end]).map_err(|error| format!("{name}: {error}"))
}

/// The table of a generation, or the rule that is broken on the way to it.
pub(super) fn table(tree: &Tree, generation: u64, hash: &str) -> Result<BTreeMap<String, Row>, String> {
    let mut manifests = Vec::new();
    let mut next = Some((generation, hash.to_owned()));
    while let Some((generation, hash)) = next {
        let manifest = document(tree, &format!("manifests/{generation:010}.json"), &hash)?;
        if manifest["generation"] != generation {
            return Err(format!("generation {generation} states another number"));
        }
        let parent = &manifest["parent"];
        next = match (parent["generation"].as_u64(), parent["manifest"].as_str()) {
            (Some(above), Some(hash)) if above < generation => Some((above, hash.to_owned())),
            _ if parent.is_null() => None,
            _ => return Err(format!("generation {generation} has the parent {parent}")),
        };
        manifests.push(manifest);
    }
    let store = manifests[0]["store"].clone();
    let mut table = BTreeMap::new();
    for manifest in manifests.iter().rev() {
        if manifest["store"] != store {
            return Err(format!("generation {} is of another store", manifest["generation"]));
        }
        apply(&mut table, manifest)?;
    }
    Ok(table)
}

fn apply(table: &mut BTreeMap<String, Row>, manifest: &Value) -> Result<(), String> {
    let own = manifest["generation"].as_u64().ok_or("no generation")?;
    let changes = manifest["changes"].as_array().ok_or("no changes")?;
    for path in changes.iter().filter_map(|change| change["remove"].as_str()) {
        table.remove(path).ok_or_else(|| format!("generation {own} removes {path}, which was not there"))?;
    }
    for change in changes.iter().filter(|change| change["remove"].is_null()) {
        let path = change["put"].as_str().ok_or("a change that is neither put nor remove")?;
        let text = |key: &str| change[key].as_str().map(str::to_owned);
        let row = Row {
            generation: change["from"].as_u64().unwrap_or(own),
            bytes: change["bytes"].as_u64().ok_or("no length")?,
            blake3: text("blake3").ok_or("no hash")?,
            stored: text("stored_as").unwrap_or_else(|| path.to_owned()),
        };
        if let Some(twin) = table.keys().find(|other| *other != path && fold(other) == fold(path)) {
            return Err(format!("generation {own} puts {path} beside {twin}"));
        }
        table.insert(path.to_owned(), row);
    }
    let bytes: u128 = table.values().map(|row| u128::from(row.bytes)).sum();
    let stated = (manifest["files"].as_u64(), manifest["bytes"].as_u64().map(u128::from));
    if stated == (Some(table.len() as u64), Some(bytes)) {
        return Ok(());
    }
    Err(format!("generation {own} states other totals than {} files and {bytes} bytes", table.len()))
}
