//! The tests of the command, in one program: it compiles faster than seven.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::disallowed_methods,
    reason = "a test may fail where it stands"
)]

#[path = "../sandbox/mod.rs"]
mod sandbox;

mod commands;
mod diff;
mod docs;
mod errors;
mod json;
mod refused;
mod signals;
