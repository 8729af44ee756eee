//! The file of results, and the same in print.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::machine::Machine;
use crate::row::{Check, Figures, Row};

/// All that one run of the comparison measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Results {
    /// When it began, in UTC.
    pub date: String,
    /// Whether the big rows were scaled down.
    pub quick: bool,
    /// The seed of the orders of the contestants.
    pub seed: u64,
    /// The machine.
    pub machine: Machine,
    /// The versions of genstore and of all peers.
    pub versions: BTreeMap<String, String>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Results {
    /// Reads a file of results.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    }

    /// Writes the file of these results into a directory, and returns its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        fs::create_dir_all(dir)?;
        let kind = if self.quick { "-quick" } else { "" };
        let file = dir.join(format!("{}{kind}.json", self.date.replace(':', "-")));
        fs::write(&file, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(file)
    }

    /// The lines about the machine and the versions.
    #[must_use]
    pub fn head(&self) -> String {
        let Machine { kernel, disk, mount, cpu, cores, memory, load } = &self.machine;
        let mut text = format!(
            "{}: {kernel}, {disk} ({mount}), {cpu}, {cores} cores, {memory} MiB, load {load} at start\n",
            self.date
        );
        for (name, version) in &self.versions {
            text += &format!("{name}: {version}\n");
        }
        text
    }
}

/// A row in print.
#[must_use]
pub fn print(row: &Row) -> String {
    let Row { name, title, unit, peer, scaled, contestants, checks, .. } = row;
    let mut text = format!("\n{name}: {title}, {unit}\n");
    if let Some(scaled) = scaled {
        text += &format!("SCALED DOWN, so that no target is claimed: {scaled}\n");
    }
    let ratio = format!("to {peer}");
    text += &format!(
        "{:<32} {:>6} {:>11} {:>11} {:>11} {:>11}  {ratio}\n",
        "contestant", "rounds", "p10", "median", "p90", "p99"
    );
    for Figures { name, rounds, p10, median, p90, p99, ratio } in contestants {
        let [p10, median, p90, p99] = [p10, median, p90, p99].map(|value| short(*value));
        let ratio = ratio.map_or_else(|| "-".into(), short);
        text += &format!("{name:<32} {rounds:>6} {p10:>11} {median:>11} {p90:>11} {p99:>11}  {ratio}\n");
    }
    for check in checks {
        let Check { of, low, high, value, bound, target, .. } = check;
        let against = check.against.as_ref().map(|peer| format!(" / {peer}")).unwrap_or_default();
        let [value, low, high] = [value, low, high].map(|value| short(*value));
        text += &format!(
            "{of}{against}: {value} ({low} to {high}), {} {target}: {}\n",
            bound.as_str(),
            verdict(check)
        );
    }
    text
}

/// Whether a target is met, in words.
#[must_use]
pub const fn verdict(check: &Check) -> &'static str {
    match check.met {
        Some(true) => "met",
        Some(false) => "NOT MET",
        None => "not claimed",
    }
}

/// A figure with three digits, or all before the point.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let values = [1234.56, 99.96, 12.345, 1.005, 0.12345, 0.012_345, 0.0];
        assert_eq!(values.map(short), ["1235", "100.0", "12.3", "1.00", "0.12", "0.0123", "0.0000"]);
    }
}
