//! The rows of the comparison. Each builds what it needs, lets its contestants take turns, and sets
//! its targets.

pub mod child;
mod command;
mod commit;
mod open;
mod size;
mod sustained;
mod threads;
mod tree;

use crate::Result;
use crate::bench::Bench;
use crate::row::Row;

/// The bytes of a small file.
const SMALL: usize = 10_000;

/// A row, or several of one measurement.
pub type Run = fn(&Bench) -> Result<Vec<Row>>;

/// All rows, by their names. Those without processes and large stores come first.
pub const ALL: [(&str, Run); 13] = [
    ("commit-1", commit::one),
    ("commit-10", commit::ten),
    ("commit-100", commit::hundred),
    ("commit-10-large", commit::ten_large),
    ("sustained", sustained::run),
    ("threads", threads::run),
    ("command", command::run),
    ("tree-commit", tree::commit),
    ("tree-verify", tree::verify),
    ("tree-export", tree::export),
    ("old-generation", open::old_generation),
    ("open", open::open),
    ("commit-of-many", size::run),
];
