//! What the threads of a process share: locks, atomics and the threads themselves.
//!
//! They are those of the standard library. With the feature `shuttle` of `crates/proof` they are those of `shuttle`, which
//! runs one thread at a time and decides at every use of them which one goes on. So the proof can try the orders in which
//! threads run, and repeat the one that went wrong. `Arc` is the standard library's in both cases.

#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::*;
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::thread;

#[cfg(feature = "shuttle")]
pub(crate) use scheduled::{OnceLock, thread};
#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::*;

#[cfg(feature = "shuttle")]
#[path = "../crates/proof/src/scheduled.rs"]
mod scheduled;
