//! Commits plain files that must change together as numbered, checksummed generations.
//!
//! A program keeps a [`Store`], which is a directory of plain files. Every commit becomes one
//! [`Generation`]: all its files become visible at once and durably, or none of them does. Nothing is
//! overwritten, so every earlier generation can be read, compared and restored.
//!
//! ```
//! use genstore::Store;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Shop {
//!     delivery: String,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().join("settings");
//! let store = Store::open_or_create(&dir)?;
//!
//! // Both files, or neither.
//! store.update("open Downtown", |tx| {
//!     tx.put_json("shops/downtown.json", &Shop { delivery: "thursday".into() })?;
//!     tx.put("schedule.txt", "thursday: downtown")
//! })?;
//!
//! // Read through the transaction what the change depends on. After a conflict the closure runs again.
//! store.update("move Downtown to Friday", |tx| {
//!     let mut shop: Shop = tx.get_json("shops/downtown.json")?;
//!     shop.delivery = "friday".into();
//!     tx.put_json("shops/downtown.json", &shop)?;
//!     tx.put("schedule.txt", format!("{}: downtown", shop.delivery))
//! })?;
//!
//! // A snapshot stays at its generation, whatever is committed meanwhile.
//! let friday = store.snapshot()?;
//! store.rollback("latest~1", "Friday was a mistake")?;
//! assert_eq!(friday.get("schedule.txt")?, b"friday: downtown");
//! assert_eq!(store.snapshot()?.get("schedule.txt")?, b"thursday: downtown");
//!
//! for generation in store.history()? {
//!     println!("{}", generation?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A tour
//!
//! | to | see |
//! |---|---|
//! | open or create a store | [`Store::open_or_create`], [`Store::options`] |
//! | change files | [`Store::update`]; for an edit that a person makes, [`Store::begin_at`] and [`Transaction::commit`] |
//! | put files or a directory from outside the store | [`Transaction::put_file`], [`Transaction::put_dir`] |
//! | read | [`Store::snapshot`], [`Snapshot::get`], [`Snapshot::reader`] |
//! | read although a file is damaged | [`Snapshot::get_or_recover`] |
//! | name an earlier generation | [`Revision`] |
//! | see and compare what happened | [`Store::history`], [`Store::diff`] |
//! | go back | [`Store::rollback`]; for some paths only, [`Transaction::restore`] |
//! | copy files out of the store | [`Snapshot::export`] |
//! | refuse bad content before it is committed | [`OpenOptions::validate`] |
//! | look for damage | [`Store::status`], [`Store::verify`], [`Store::recovery`] |
//! | react to a failure | [`Error::kind`] |
//! | stop a long call, or show how far it is | [`CancelFlag`], [`Progress`] |
//! | cut the power in the tests of an application | `genstore::sim` (feature `sim`) |
//!
//! # Concepts
//!
//! - A **generation** is one committed state of the whole store. It has a number. Its **manifest**
//!   says what changed, when, by whom and why. History is linear: each generation has one parent.
//! - A **path** is the name of a file in the store, such as `shops/downtown.json`. [`StorePath`]
//!   has the rules. A store has no empty directories.
//! - The **pointer**, the file `CURRENT`, names the newest generation: the **head**. A commit swaps
//!   it by a rename, and this makes all changes of the commit visible at once.
//! - A **snapshot** is a view of one generation. It never waits for a writer, and no writer waits
//!   for it.
//! - A **transaction** collects changes on a base generation. It holds no lock before its commit.
//! - A **conflict**: another commit has changed, since the base, a path that the transaction wrote
//!   or read. Its commit then fails with [`ErrorKind::Conflict`] and names the paths.
//!   [`Store::update`] runs the change again on the newest generation.
//! - An **interrupted commit** is what a crash left of a commit that never happened. It is never
//!   served while the pointer is intact. Its number stays unused, so numbers may have gaps.
//!
//! # Durability
//!
//! [`Transaction::commit`] returns `Ok` only when the generation survives a power cut, as far as
//! the disk keeps its own promises. So do [`Store::update`] and [`Store::rollback`], which commit
//! through it. If the outcome cannot be known, the error is [`ErrorKind::CommitOutcomeUnknown`].
//! `docs/durability.md` says what is fsynced, in which order and why, and what is assumed of disks
//! and file systems.
//!
//! # Damage
//!
//! Every read of a committed file checks its BLAKE3 hash. A damaged file costs that file: the error
//! names the newest intact version, and the damaged file stays on the disk as evidence. If the
//! pointer or the newest manifest is damaged, the store serves the newest generation that verifies.
//! It is then [degraded](Health::Degraded): it can be read, and takes no commits.
//!
//! # Threads, processes and async
//!
//! A [`Store`] is `Send`, `Sync` and `Clone`; all clones are the same handle. Snapshots,
//! transactions and iterators are `Send` and `Sync` too, and borrow nothing from the store. Several
//! processes of one machine may have a store open. One writer commits at a time; the others wait
//! for it, up to [`OpenOptions::lock_wait`].
//!
//! Every call blocks: it waits for the disk, and a commit may also wait for another writer. An
//! asynchronous program makes these calls on a thread that may block, for instance by
//! `spawn_blocking`:
//!
//! ```
//! # mod tokio { pub mod task { pub async fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static)
//! #     -> Result<T, std::convert::Infallible> { Ok(work()) } } }
//! type BoxError = Box<dyn std::error::Error + Send + Sync>;
//!
//! async fn rename_shop(store: &genstore::Store, name: String) -> Result<genstore::Commit, BoxError> {
//!     let store = store.clone(); // the same handle
//!     let change = move || store.update("rename the shop", |tx| tx.put("name.txt", name.as_str()));
//!     Ok(tokio::task::spawn_blocking(change).await??)
//! }
//! ```
//!
//! Dropping the future does not stop the call. A [`CancelFlag`] does.
//!
//! The library never prints and never reads the environment. It starts two kinds of threads: one
//! that writes a checkpoint after a commit has returned, and those of [`Store::verify`], which end
//! with the call.
//!
//! # Platforms
//!
//! Linux only, so far. macOS was not tried, and Windows does not build; `docs/limits.md` has the
//! reasons and all limits.
//!
//! # Features
//!
//! `sim` (off by default) adds `genstore::sim` for the tests of an application: a simulated disk
//! whose power is cut at every operation of the application's commits.

#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!(
    "genstore needs a system that can fsync a directory: docs/durability.md says what other systems lack"
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
mod options;
mod path;
mod progress;
#[cfg(feature = "proof")] // Set only by the unpublished package crates/proof.
#[path = "../crates/proof/src/lib.rs"]
pub mod proof;
mod revision;
mod rollback;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod snapshot;
mod status;
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
pub use options::OpenOptions;
pub use path::{PART_MAX, PATH_MAX, PathError, StorePath};
pub use progress::Progress;
pub use revision::{Generation, IntoRevision, Revision, RevisionError};
pub use snapshot::{FileEntry, FileReader, Files, Provenance, Snapshot};
pub use status::{Health, Status};
pub use store::Store;
pub use time::{Timestamp, TimestampError};
pub use transaction::{Commit, Paths, Transaction};
pub use verify::{VerifyOptions, VerifyReport, VerifyScope};

/// The examples of the README, tested together with those of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
