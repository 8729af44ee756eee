//! What the threads of a process share: locks, atomics and threads.
//!
//! They come from the standard library. With the feature `shuttle` of `crates/proof` they come from
//! `shuttle`, which runs one thread at a time. At every use it decides which thread goes on. So the
//! proof can try the orders in which threads run, and repeat one that failed. `Arc` is the standard
//! library's in both cases.

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
