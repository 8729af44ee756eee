//! Pictures and tables of a file of results.

mod svg;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::results::Results;

/// Writes `targets.svg`, a picture of each row, and `tables.md` into a directory.
///
/// # Errors
/// A file cannot be written.
pub fn draw(results: &Results, into: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(into)?;
    let mut files = vec![("targets.svg".to_owned(), svg::targets(results))];
    files.extend(results.rows.iter().map(|row| (format!("{}.svg", row.name), svg::row(row))));
    files.push(("tables.md".to_owned(), tables::tables(results)));
    let mut paths = Vec::new();
    for (name, text) in files {
        fs::write(into.join(&name), text)?;
        paths.push(into.join(name));
    }
    Ok(paths)
}
