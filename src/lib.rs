//! Commits plain files that must change together as numbered, checksummed generations.
//!
//! A [`Store`] is a directory. A [`Transaction`] stages changes to any number of files and commits them as one
//! [`Generation`]: all of them become visible at once and durably, or nothing does. Nothing is overwritten, so a
//! [`Snapshot`] reads any generation, [`Store::diff`] compares two, [`Store::rollback`] brings one back as a new
//! generation, and [`Store::history`] tells what happened.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().join("settings");
//! let store = genstore::Store::open_or_create(&dir)?;
//!
//! let mut tx = store.begin()?;
//! tx.put("stores/downtown.json", r#"{"delivery":"thursday"}"#)?;
//! tx.put("schedule.json", r#"{"thursday":["downtown"]}"#)?;
//! let first = tx.commit("the first plan")?;
//!
//! // Again, if another writer was first.
//! store.update("move Downtown to Friday", |tx| {
//!     tx.put("stores/downtown.json", r#"{"delivery":"friday"}"#)?;
//!     tx.put("schedule.json", r#"{"friday":["downtown"]}"#)
//! })?;
//!
//! assert_eq!(store.snapshot()?.get("schedule.json")?, br#"{"friday":["downtown"]}"#);
//! store.rollback(first.generation, "Friday was a mistake")?;
//! assert_eq!(store.snapshot()?.get("schedule.json")?, br#"{"thursday":["downtown"]}"#);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! | to | see |
//! |---|---|
//! | open or make a store, with validators and limits | [`Store`], [`OpenOptions`] |
//! | commit | [`Store::update`], [`Transaction`], [`Commit`] |
//! | read, also from damaged files | [`Snapshot`], [`Provenance`] |
//! | name a generation | [`Revision`] |
//! | see and compare what happened | [`HistoryEntry`], [`Difference`] |
//! | undo | [`Store::rollback`], [`Transaction::restore`] |
//! | check | [`Store::status`], [`Store::verify`], [`RecoveryReport`] |
//! | stop what takes long, see how far it is | [`CancelFlag`], [`Progress`] |
//! | react to a failure | [`Error`], [`ErrorKind`] |
//! | cut the power in a test of your own | `genstore::sim` (feature `sim`) |
//!
//! # Durability
//!
//! [`Transaction::commit`] returns `Ok` only when the generation survives a power cut, as far as the disk keeps its
//! own promises; `docs/durability.md` says what is fsynced, why, and what is assumed. Nothing here prints, reads the
//! environment, or starts a thread other than the one that writes a checkpoint after a commit has returned.
//!
//! # Features
//!
//! `sim` (off by default) gives an application's own tests `genstore::sim`, a disk on which the power is cut at every
//! operation of its commits.

#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!(
    "genstore needs a system on which a directory can be fsynced: see docs/durability.md for what is missing elsewhere"
);

mod cancel;
mod engine;
mod error;
mod export;
mod format;
mod fs;
mod hash;
mod history;
mod import;
mod json_value;
mod path;
mod progress;
#[cfg(feature = "proof")] // Set by the unpublished package crates/proof alone.
#[path = "../crates/proof/src/lib.rs"]
pub mod proof;
mod revision;
mod rollback;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod snapshot;
mod storage;
mod store;
mod sync;
mod time;
mod transaction;
mod update;
mod verify;

pub use cancel::CancelFlag;
pub use engine::finding::{Finding, FindingKind, RecoveryReport, Severity};
pub use engine::validate::{Validator, json, json_as};
pub use error::{ConflictingPath, Error, ErrorKind, LockHolder, Result, Subject};
pub use export::{ExportOptions, ExportReport};
pub use format::manifest::GenerationKind;
pub use fs::probe::ProbeReport;
pub use hash::{Blake3, HexError, StoreId};
pub use history::{ChangeKind, Difference, History, HistoryEntry};
pub use import::{PutDirOptions, PutDirReport};
pub use path::{PART_MAX, PATH_MAX, PathError, StorePath};
pub use progress::Progress;
pub use revision::{Generation, IntoRevision, Revision, RevisionError};
pub use snapshot::{FileEntry, FileReader, Files, Provenance, Snapshot};
pub use store::{Health, OpenOptions, Status, Store};
pub use time::{Timestamp, TimestampError};
pub use transaction::{Commit, Paths, Transaction};
pub use verify::{VerifyOptions, VerifyReport, VerifyScope};

/// The examples of the README, which are tested with those here.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
