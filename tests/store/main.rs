//! The tests of the library on real directories, in one program: it compiles faster than ten.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::disallowed_methods,
    reason = "a test may fail where it stands"
)]

#[path = "../support/mod.rs"]
mod support;

mod committing;
mod conflicts;
mod damage;
mod damaged_files;
mod exporting;
mod replaced;
mod revisions;
mod rolling_back;
mod surface;
mod validators;
mod verifying;
