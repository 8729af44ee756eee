//! The handle on a store, and the ways to open one.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::cancel::CancelFlag;
use crate::engine::finding::{Finding, RecoveryReport};
use crate::engine::validate::{Validator, Validators};
use crate::engine::{Engine, Options, create, open, resolve};
use crate::error::{Error, Operation, Result};
use crate::format::names::{DATA, MANIFESTS};
use crate::format::pointer::ManifestRef;
use crate::fs::probe::ProbeReport;
use crate::hash::StoreId;
use crate::revision::{Generation, IntoRevision};
use crate::snapshot::Snapshot;
use crate::time::Timestamp;
use crate::transaction::Transaction;

/// How long a writer waits for another writer by default.
const LOCK_WAIT: Duration = Duration::from_secs(30);

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

    /// The state of the store: its newest generation, its health, and its interrupted commits.
    ///
    /// This lists the names of all manifests and stored files, and reads no content.
    /// [`verify`](Store::verify) reads content.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let status = store.status()?;
    /// assert_eq!((status.health, status.files), (genstore::Health::Ok, 0));
    /// assert!(status.interrupted.is_empty() && status.interrupted_findings().is_empty());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`snapshot`](Store::snapshot). `Io` also when the store cannot be listed.
    pub fn status(&self) -> Result<Status> {
        let head = self.engine.refresh()?;
        let (findings, degraded) = match &head.recovery {
            Some(report) => (report.findings.clone(), report.degraded),
            None => (Vec::new(), false),
        };
        let mut status = Status {
            store: self.id(),
            generation: head.link.generation,
            time: head.time,
            message: head.message.clone(),
            files: head.table.files(),
            bytes: head.table.bytes(),
            health: if degraded { Health::Degraded } else { Health::Ok },
            interrupted: Vec::new(),
            findings,
        };
        for directory in [MANIFESTS, DATA] {
            let found = self
                .engine
                .storage()
                .scan(directory)
                .map_err(|error| Error::io(Operation::List, directory, error))?;
            let generations = found.iter().filter_map(|scanned| scanned.name.as_ref()?.generation());
            status.interrupted.extend(generations.filter(|generation| *generation > head.link.generation));
        }
        status.interrupted.sort_unstable();
        status.interrupted.dedup();
        // Another writer may have finished one of them since the pointer was read. And a generation
        // that an intact pointer names was committed, even if it cannot be read.
        let now =
            self.engine.refresh()?.link.generation.max(self.engine.pointed_at().unwrap_or(Generation::FIRST));
        status.interrupted.retain(|generation| *generation > now);
        Ok(status)
    }
}

/// The state of a store. See [`Store::status`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The id of the store.
    pub store: StoreId,
    /// The newest generation.
    pub generation: Generation,
    /// When that generation was committed.
    pub time: Timestamp,
    /// The message of its commit.
    pub message: String,
    /// The number of its files.
    pub files: u64,
    /// The length of its files together, in bytes.
    pub bytes: u64,
    /// Whether that generation is the last one that was committed.
    pub health: Health,
    /// The numbers of commits above the newest generation that were begun and not finished. A crash
    /// interrupted them, or they are still running.
    pub interrupted: Vec<Generation>,
    /// The damage on the way to the newest generation.
    pub findings: Vec<Finding>,
}

/// Whether a store serves the generation that was committed last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// The store serves it.
    Ok,
    /// The pointer or the newest manifest is damaged. The store serves the newest generation that
    /// verifies, and takes no commits.
    Degraded,
}

impl Status {
    /// The [interrupted](Status::interrupted) commits as findings, to show together with others.
    #[must_use]
    pub fn interrupted_findings(&self) -> Vec<Finding> {
        self.interrupted.iter().map(|generation| Finding::interrupted(*generation)).collect()
    }
}

/// The options for opening or creating a store. [`Store::options`] has the defaults.
///
/// They belong to the handle and are not written into the store.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path().join("store");
/// # use std::time::Duration;
/// use genstore::Store;
///
/// let store = Store::options()
///     .author("ann")
///     .lock_wait(Duration::from_secs(5))
///     .validate("**/*.json", genstore::json())?
///     .open_or_create(&dir)?;
/// assert!(store.update("no JSON", |tx| tx.put("index.json", "{")).is_err());
/// store.update("open", |tx| tx.put("index.json", "{}"))?;
/// assert_eq!(store.show("latest")?.author, "ann");
/// # Ok::<(), genstore::Error>(())
/// ```
#[derive(Clone)]
pub struct OpenOptions {
    options: Options,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            options: Options {
                lock_wait: LOCK_WAIT,
                on_lock_wait: None,
                author: String::new(),
                validators: Validators::default(),
                cancel: CancelFlag::new(),
                allow_unsafe_filesystem: false,
                checkpoint_thread: true,
            },
        }
    }
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Options { lock_wait, author, validators, allow_unsafe_filesystem, .. } = &self.options;
        f.debug_struct("OpenOptions")
            .field("lock_wait", lock_wait)
            .field("author", author)
            .field("validators", validators)
            .field("allow_unsafe_filesystem", allow_unsafe_filesystem)
            .finish_non_exhaustive()
    }
}

impl OpenOptions {
    /// The default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a commit waits for another writer before it fails with `Busy`. The default is 30
    /// seconds. Zero means that it does not wait.
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.options.lock_wait = wait;
        self
    }

    /// Calls `callback` before each wait for another writer, with the time that the call has waited
    /// so far. One wait takes at most 16 ms.
    ///
    /// `ControlFlow::Break` ends the call with an error that [is
    /// interrupted](Error::is_interrupted), and nothing is committed. A host language that runs in
    /// this process can look for its signals here.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use std::time::Duration;
    ///
    /// let options = genstore::Store::options().on_lock_wait(|waited| {
    ///     if waited < Duration::from_secs(5) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// });
    /// ```
    #[must_use]
    pub fn on_lock_wait(
        mut self,
        callback: impl Fn(Duration) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.options.on_lock_wait = Some(Arc::new(callback));
        self
    }

    /// The author of each commit whose transaction sets no [author](Transaction::author). Empty by
    /// default; at most 1024 bytes.
    #[must_use]
    pub fn author(mut self, author: &str) -> Self {
        self.options.author = author.to_owned();
        self
    }

    /// Passes every file whose path matches `glob` to `validator` before it is committed. The same
    /// happens before [`Snapshot::get_or_recover`] returns an older version.
    ///
    /// `*` matches within one part of a path; `**` matches across parts. May be called several
    /// times: a file must pass every validator whose glob matches.
    ///
    /// # Errors
    /// `Invalid` when the glob is malformed.
    pub fn validate(mut self, glob: &str, validator: impl Validator + 'static) -> Result<Self> {
        self.options.validators.add(glob, Arc::new(validator))?;
        Ok(self)
    }

    /// A flag that stops long calls. Once it is cancelled, each call through the handle that
    /// writes, exports or verifies fails with an error that [is
    /// interrupted](Error::is_interrupted).
    ///
    /// A commit stops only before its pointer is swapped, and removes what it wrote.
    #[must_use]
    pub fn cancel(mut self, flag: CancelFlag) -> Self {
        self.options.cancel = flag;
        self
    }

    /// Whether [`create`](Self::create) accepts a file system that it would refuse. `false` by
    /// default.
    ///
    /// A network file system is refused, and so is one that fails the probe of what a commit needs.
    /// If such a file system is accepted, the [warnings](ProbeReport::warnings) say what it lacks.
    #[must_use]
    pub const fn allow_unsafe_filesystem(mut self, allow: bool) -> Self {
        self.options.allow_unsafe_filesystem = allow;
        self
    }

    /// Whether checkpoints are written by a thread of their own. `true` by default.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) const fn checkpoint_thread(mut self, own: bool) -> Self {
        self.options.checkpoint_thread = own;
        self
    }

    /// Opens the store in `dir` with these options. See [`Store::open`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(self, dir: impl AsRef<Path>) -> Result<Store> {
        let engine = open::open(dir.as_ref(), self.options)?;
        Ok(Store { engine: Arc::new(engine), probe: None })
    }

    /// Creates a store in `dir` with these options. See [`Store::create`].
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create(self, dir: impl AsRef<Path>) -> Result<Store> {
        let (engine, probe) = create::create(dir.as_ref(), self.options)?;
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

impl From<OpenOptions> for Options {
    fn from(options: OpenOptions) -> Self {
        options.options
    }
}

impl From<Engine> for Store {
    fn from(engine: Engine) -> Self {
        Self { engine: Arc::new(engine), probe: None }
    }
}
