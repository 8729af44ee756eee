//! What genstore costs, beside what others cost. README.md has the programs and their options.

pub mod args;
pub mod bench;
pub mod big;
pub mod commands;
pub mod contents;
pub mod contest;
pub mod disk;
pub mod draw;
pub mod machine;
pub mod peers;
pub mod results;
pub mod row;
pub mod rows;
pub mod stats;

/// Any error ends the program, which prints it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
