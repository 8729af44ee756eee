//! Opening a store, and the handle on it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::cancel::CancelFlag;
use crate::engine::finding::{Finding, RecoveryReport};
use crate::engine::validate::Validator;
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

/// How long a writer waits for another one unless it is told otherwise.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// A handle on a store.
///
/// A clone is cheap and is the same handle. Handles may be used from several threads, and a store may be open in
/// several processes. Every call waits for the disk, so an asynchronous program makes it where blocking is allowed, such
/// as in `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) engine: Arc<Engine>,
    probe: Option<Arc<ProbeReport>>,
}

impl Store {
    /// Opens the store in `dir` with the default [`options`](Store::options).
    ///
    /// Opening changes nothing on disk. When the pointer or the newest manifest is damaged, the newest generation
    /// whose chain verifies is served for reading, and [`recovery`](Store::recovery) says what was wrong.
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
    /// `NotFound` when there is no store, `Unsupported` when it is in a newer format, `Corrupt` when no generation
    /// can be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(dir)
    }

    /// Makes a store in `dir`, which must not exist or be empty, and the directories above it that are missing. All of
    /// that is durable when this returns.
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
    /// `Invalid` when the directory is not empty, `Unsupported` when the file system does not keep what a store needs:
    /// see [`OpenOptions::allow_unsafe_filesystem`]; `Io`. What was begun then does no harm: to call this again completes it.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::options().create(dir)
    }

    /// Opens the store in `dir`, or makes one there if the directory does not exist or is empty.
    ///
    /// Several processes may call this at once: one makes the store and all open it.
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

    /// The options with which a store can be opened or made.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::default()
    }

    /// The directory of the store, as it was given.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.engine.dir()
    }

    /// What tells this store from any other.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.engine.id()
    }

    /// What creating the store found out about its file system. `None` unless this handle created it.
    #[must_use]
    pub fn probe_report(&self) -> Option<&ProbeReport> {
        self.probe.as_deref()
    }

    /// What the last look at the store found damaged on the way to its newest generation. `None` when nothing was.
    ///
    /// This reads nothing from the disk. Opening is a look, and so is every call that takes the newest generation, such
    /// as [`snapshot`](Store::snapshot), [`begin`](Store::begin) and [`status`](Store::status).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let pointer = store.dir().join("CURRENT");
    /// std::fs::write(pointer, "damaged").unwrap();
    /// assert!(store.recovery().is_none()); // it has not looked since
    /// let snapshot = store.snapshot()?;
    /// let report = store.recovery().unwrap();
    /// assert!(report.degraded && report.serving == snapshot.generation());
    /// # Ok::<(), genstore::Error>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> Option<RecoveryReport> {
        self.engine.recovery()
    }

    /// Begins a transaction on the newest generation. Nobody is kept from anything until it commits.
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
    /// `Poisoned` after a commit with an unknown outcome, `Corrupt` when the store was replaced under this handle.
    pub fn begin(&self) -> Result<Transaction> {
        self.engine.poison().check()?;
        Ok(Transaction::new(self.snapshot()?))
    }

    /// Begins a transaction on an earlier generation, such as the one that an operator has looked at. A commit of it
    /// conflicts with whatever later generations changed of what it writes or reads.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let shown = store.update("open", |tx| tx.put("hours", "9-17"))?.generation;
    /// store.update("longer", |tx| tx.put("hours", "9-20"))?;
    ///
    /// // An operator edits what the screen has shown.
    /// let mut tx = store.begin_at(shown)?;
    /// tx.put("hours", "10-17")?;
    /// let error = tx.commit("later").unwrap_err();
    /// assert_eq!(error.kind(), genstore::ErrorKind::Conflict);
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
    /// It never waits for a writer. Another process may see a generation an instant before it is durable.
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
    /// `Corrupt` when the store was replaced under this handle or nothing in it can be read.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.engine, self.engine.refresh()?)
    }

    /// A consistent view of an earlier generation, named by a number, `latest`, `latest~2`, a date or a time.
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
    /// `Invalid` when that is no revision, `NotFound` when there is no such generation, `Corrupt` when the way there
    /// is damaged.
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

    /// Where the store stands: its newest generation, its health, and the commits that were begun and never finished.
    ///
    /// Looks at the names of everything in the store and at the contents of nothing.
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
    /// As [`snapshot`](Store::snapshot), and `Io`.
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
        // Another writer may have finished one of them since the pointer was read, and what an intact pointer names
        // was committed even if it cannot be read.
        let now =
            self.engine.refresh()?.link.generation.max(self.engine.pointed_at().unwrap_or(Generation::FIRST));
        status.interrupted.retain(|generation| *generation > now);
        Ok(status)
    }
}

/// Where a store stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The id of the store.
    pub store: StoreId,
    /// The newest generation.
    pub generation: Generation,
    /// When it was made.
    pub time: Timestamp,
    /// Why it was made.
    pub message: String,
    /// The number of its files.
    pub files: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// Whether it is the last one that was committed.
    pub health: Health,
    /// The numbers of commits above it that were begun and not committed: interrupted, or going on just now.
    pub interrupted: Vec<Generation>,
    /// What was found damaged on the way to it.
    pub findings: Vec<Finding>,
}

/// Whether a store serves what was committed last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// It does.
    Ok,
    /// Its pointer or newest manifest is damaged: it serves the newest generation that verifies, and commits nothing.
    Degraded,
}

impl Status {
    /// The interrupted commits as findings.
    #[must_use]
    pub fn interrupted_findings(&self) -> Vec<Finding> {
        self.interrupted.iter().map(|generation| Finding::interrupted(*generation)).collect()
    }
}

/// How a store is opened or made.
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
        let (author, validators, cancel) = Default::default();
        let (lock_wait, allow_unsafe_filesystem, checkpoint_thread) = (LOCK_WAIT, false, true);
        Self {
            options: Options {
                lock_wait,
                on_lock_wait: None,
                author,
                validators,
                cancel,
                allow_unsafe_filesystem,
                checkpoint_thread,
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
    /// The usual options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a commit waits for another writer before it fails with `Busy`. 30 seconds unless set; zero means not
    /// at all.
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.options.lock_wait = wait;
        self
    }

    /// Asks this before each wait for another writer, told how long the wait has lasted. The waits take up to 16 ms each.
    /// `ControlFlow::Break` ends the call with an error that [is interrupted](Error::is_interrupted), and nothing is
    /// committed. A language that runs in this process can look for its signals here.
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
    pub fn on_lock_wait(mut self, ask: impl Fn(Duration) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        self.options.on_lock_wait = Some(Arc::new(ask));
        self
    }

    /// Who commits, unless a transaction says otherwise. Empty unless set.
    #[must_use]
    pub fn author(mut self, author: &str) -> Self {
        self.options.author = author.to_owned();
        self
    }

    /// Shows every file whose path matches `glob` to `validator` before it is committed, and before an older version of
    /// it is served in place of a damaged one. `*` stays within one part of a path, `**` does not.
    ///
    /// # Errors
    /// `Invalid` when the glob is malformed.
    pub fn validate(mut self, glob: &str, validator: impl Validator + 'static) -> Result<Self> {
        self.options.validators.add(glob, Arc::new(validator))?;
        Ok(self)
    }

    /// A flag that ends whatever takes long: once it is cancelled, each call through the handle that writes, exports or
    /// verifies stops. A commit does so before its pointer is swapped and removes what it wrote. The call fails with an
    /// error that [is interrupted](Error::is_interrupted).
    #[must_use]
    pub fn cancel(mut self, flag: CancelFlag) -> Self {
        self.options.cancel = flag;
        self
    }

    /// Whether to create a store on a file system that is refused: one over a network, or one that fails the tests of
    /// what a commit needs. What it lacks is then among the [warnings](ProbeReport::warnings). `false` unless set.
    #[must_use]
    pub const fn allow_unsafe_filesystem(mut self, allow: bool) -> Self {
        self.options.allow_unsafe_filesystem = allow;
        self
    }

    /// Whether checkpoints are written by a thread of their own, as they are unless set.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) const fn checkpoint_thread(mut self, own: bool) -> Self {
        self.options.checkpoint_thread = own;
        self
    }

    /// See [`Store::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(self, dir: impl AsRef<Path>) -> Result<Store> {
        let engine = open::open(dir.as_ref(), self.options)?;
        Ok(Store { engine: Arc::new(engine), probe: None })
    }

    /// See [`Store::create`].
    ///
    /// # Errors
    /// As there.
    pub fn create(self, dir: impl AsRef<Path>) -> Result<Store> {
        let (engine, probe) = create::create(dir.as_ref(), self.options)?;
        Ok(Store { engine: Arc::new(engine), probe: Some(Arc::new(probe)) })
    }

    /// See [`Store::open_or_create`].
    ///
    /// # Errors
    /// As there.
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
