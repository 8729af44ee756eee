//! The handle on a store, and the ways to open one.

use std::path::Path;
use std::sync::Arc;

use crate::engine::finding::RecoveryReport;
use crate::engine::{Engine, create, open, resolve};
use crate::error::Result;
use crate::format::pointer::ManifestRef;
use crate::fs::probe::ProbeReport;
use crate::hash::StoreId;
use crate::options::OpenOptions;
use crate::revision::{Generation, IntoRevision};
use crate::snapshot::Snapshot;
use crate::transaction::Transaction;

/// A handle on a store: opens it, begins transactions, takes snapshots, reads the history.
///
/// A handle is `Send` and `Sync`. A clone is cheap and is the same handle. Several threads may use
/// one handle, and several processes may have the same store open.
///
/// Every call blocks until the disk has answered. The [crate](crate#threads-processes-and-async)
/// shows how an asynchronous program calls it.
///
/// A commit may start a thread that writes a checkpoint. Whatever keeps the handle alive last, be
/// it a clone, a snapshot, a transaction or a history, waits for that thread when it is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) engine: Arc<Engine>,
    probe: Option<Arc<ProbeReport>>,
}

impl Store {
    /// Opens the store in `dir` with the default [`options`](Store::options).
    ///
    /// Opening changes nothing on the disk. If the pointer or the newest manifest is damaged, the
    /// store serves the newest generation whose chain of manifests verifies, for reading only.
    /// [`recovery`](Store::recovery) says what was wrong.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path().join("store");
    /// genstore::Store::create(&dir)?;
    /// let store = genstore::Store::open(&dir)?;
    /// assert!(store.snapshot()?.is_empty());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// * `NotFound` when there is no store in `dir`.
    /// * `Invalid` when `dir` is not a directory.
    /// * `Unsupported` when the store is in a newer format.
    /// * `Corrupt` when no generation can be read.
    /// * `Io` when the system refused.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(dir)
    }

    /// Creates a store in `dir`, with the missing directories above it. `dir` must not exist, or be
    /// empty.
    ///
    /// The store, its first generation and the directories are durable when this returns `Ok`. The
    /// first generation is empty. Its metadata has the [`ProbeReport`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path().join("store");
    /// let store = genstore::Store::create(&dir)?;
    /// assert_eq!((store.dir(), store.resolve("latest")?.get()), (dir.as_path(), 1));
    /// assert!(genstore::Store::create(&dir).is_err());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// * `Invalid` when `dir` is not empty, is not a directory, or is a store already.
    /// * `Unsupported` when the file system lacks what a store needs: see
    ///   [`OpenOptions::allow_unsafe_filesystem`].
    /// * `Busy` when another process is creating the store and holds the writer lock for too long.
    /// * `Io` when the system refused. What was begun does no harm: calling this again completes
    ///   it.
    /// * `CommitOutcomeUnknown` as for [`Transaction::commit`].
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::options().create(dir)
    }

    /// Opens the store in `dir`, or creates one there if the directory does not exist or is empty.
    ///
    /// Several processes may call this at once. One of them creates the store, and all of them open
    /// it.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path().join("store");
    /// let created = genstore::Store::open_or_create(&dir)?;
    /// let opened = genstore::Store::open_or_create(&dir)?;
    /// assert_eq!(created.id(), opened.id());
    /// assert!(created.probe_report().is_some() && opened.probe_report().is_none());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Store::open) and [`create`](Store::create).
    pub fn open_or_create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::options().open_or_create(dir)
    }

    /// The options for opening or creating a store.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::default()
    }

    /// The directory of the store, as the caller gave it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.engine.dir()
    }

    /// The id that tells this store from any other. A copy of a store has the same id.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.engine.id()
    }

    /// What [`create`](Store::create) found out about the file system. `None` unless this handle
    /// created the store.
    #[must_use]
    pub fn probe_report(&self) -> Option<&ProbeReport> {
        self.probe.as_deref()
    }

    /// The damage that the last look at the store met on the way to the newest generation. `None`
    /// if it met none.
    ///
    /// This call reads nothing from the disk. Opening the store is a look. So is every call that
    /// takes the newest generation, such as [`snapshot`](Store::snapshot), [`begin`](Store::begin)
    /// and [`status`](Store::status).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let pointer = store.dir().join("CURRENT");
    /// std::fs::write(pointer, "damaged").unwrap();
    /// assert!(store.recovery().is_none()); // the handle has not looked since
    /// let snapshot = store.snapshot()?;
    /// let report = store.recovery().unwrap();
    /// assert!(report.degraded && report.serving == snapshot.generation());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> Option<RecoveryReport> {
        self.engine.recovery()
    }

    /// Begins a transaction on the newest generation. It holds no lock before its commit.
    ///
    /// The commit fails with `Conflict` if another writer changes the same paths first.
    /// [`update`](Store::update) begins, commits, and tries again after a conflict.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let mut tx = store.begin()?;
    /// tx.put("stores/downtown.json", "{}")?;
    /// tx.put("index.json", r#"["downtown"]"#)?;
    /// let commit = tx.commit("open Downtown")?;
    /// assert_eq!((commit.generation.get(), commit.put), (2, 2));
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Poisoned` after a commit through this handle whose outcome is unknown. All else as
    /// [`snapshot`](Store::snapshot).
    pub fn begin(&self) -> Result<Transaction> {
        self.engine.poison().check()?;
        Ok(Transaction::new(self.snapshot()?))
    }

    /// Begins a transaction on an earlier generation, such as the one that an operator has on the
    /// screen.
    ///
    /// The commit applies the changes to the newest generation. It fails with `Conflict` if a later
    /// generation has changed a path that the transaction writes or reads. So an edit does not
    /// overwrite what the operator has not seen.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let shown = store.update("open", |tx| tx.put("hours", "9-17"))?.generation;
    /// store.update("longer", |tx| tx.put("hours", "9-20"))?;
    ///
    /// // An operator edits what the screen showed.
    /// let mut tx = store.begin_at(shown)?;
    /// tx.put("hours", "10-17")?;
    /// let error = tx.commit("later").unwrap_err();
    /// assert_eq!(error.kind(), genstore::ErrorKind::Conflict);
    /// assert_eq!(error.conflicts()[0].path.as_str(), "hours");
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`begin`](Store::begin) and [`snapshot_at`](Store::snapshot_at).
    pub fn begin_at(&self, revision: impl IntoRevision) -> Result<Transaction> {
        self.engine.poison().check()?;
        Ok(Transaction::new(self.snapshot_at(revision)?))
    }

    /// A consistent view of the newest generation.
    ///
    /// This call never waits for a writer. A reader may see a generation an instant before it is
    /// durable: only `Ok` from the commit means durable.
    ///
    /// To read, change and commit, do not read through a snapshot. Read with [`Transaction::get`],
    /// so that the commit notices a change by another writer.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// let snapshot = store.snapshot()?;
    /// store.update("longer", |tx| tx.put("hours", "9-20"))?;
    /// assert_eq!(snapshot.get("hours")?, b"9-17");
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Corrupt` when the store was replaced under this handle, or nothing in the store can be
    /// read. `Io` when the system cannot read just now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.engine, self.engine.refresh()?)
    }

    /// A consistent view of any generation, named by a number, `latest`, `latest~2`, a date or a
    /// time. See [`Revision`](crate::Revision).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// store.update("longer", |tx| tx.put("hours", "9-20"))?;
    /// for revision in ["2", "latest~1"] {
    ///     assert_eq!(store.snapshot_at(revision)?.get("hours")?, b"9-17");
    /// }
    /// assert!(store.snapshot_at(1)?.is_empty());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// * `Invalid` when the text is not a revision.
    /// * `NotFound` when there is no such generation.
    /// * `Corrupt` when a manifest on the way to the generation is damaged, and as
    ///   [`snapshot`](Store::snapshot).
    /// * `Io` when the system cannot read just now.
    pub fn snapshot_at(&self, revision: impl IntoRevision) -> Result<Snapshot> {
        let head = self.engine.refresh()?;
        let link = resolve::find(self.engine.storage(), self.id(), head.link, revision.into_revision()?)?;
        if link == head.link {
            return Snapshot::of(&self.engine, head);
        }
        Snapshot::of(&self.engine, Arc::new(self.engine.state_at(link)?))
    }

    /// The number of the generation that a revision names.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// store.update("open", |tx| tx.put("hours", "9-17"))?;
    /// assert_eq!(store.resolve("latest")?.get(), 2);
    /// assert_eq!(store.resolve("2999-12-31")?.get(), 2);
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`snapshot_at`](Store::snapshot_at).
    pub fn resolve(&self, revision: impl IntoRevision) -> Result<Generation> {
        Ok(self.find(revision)?.generation)
    }

    pub(crate) fn find(&self, revision: impl IntoRevision) -> Result<ManifestRef> {
        let revision = revision.into_revision()?;
        resolve::find(self.engine.storage(), self.id(), self.engine.refresh()?.link, revision)
    }
}

impl OpenOptions {
    /// Opens the store in `dir` with these options. See [`Store::open`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(self, dir: impl AsRef<Path>) -> Result<Store> {
        let engine = open::open(dir.as_ref(), self.into())?;
        Ok(Store { engine: Arc::new(engine), probe: None })
    }

    /// Creates a store in `dir` with these options. See [`Store::create`].
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create(self, dir: impl AsRef<Path>) -> Result<Store> {
        let (engine, probe) = create::create(dir.as_ref(), self.into())?;
        Ok(Store { engine: Arc::new(engine), probe: Some(Arc::new(probe)) })
    }

    /// Opens the store in `dir` with these options, or creates one there. See
    /// [`Store::open_or_create`].
    ///
    /// # Errors
    /// As [`Store::open_or_create`].
    pub fn open_or_create(self, dir: impl AsRef<Path>) -> Result<Store> {
        let dir = dir.as_ref();
        match self.clone().open(dir) {
            Err(error) if error.is_missing_store() => {}
            other => return other,
        }
        match self.clone().create(dir) {
            Err(error) if error.already_exists() => self.open(dir),
            other => other,
        }
    }
}

impl From<Engine> for Store {
    fn from(engine: Engine) -> Self {
        Self { engine: Arc::new(engine), probe: None }
    }
}
