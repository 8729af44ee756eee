//! An open store: the newest state that this handle has seen, and how the handle follows the
//! pointer.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::finding::RecoveryReport;
use super::head::Head;
use super::pins::{Pins, SharedPin};
use super::poison::Poison;
use super::read::{self, LoadError};
use super::validate::Validators;
use super::{recover, replay};
use crate::cancel::CancelFlag;
use crate::error::{Error, ErrorKind, ErrorRepr, Operation, Result};
use crate::format::json::Extra;
use crate::format::pointer::{ManifestRef, Pointer};
use crate::hash::StoreId;
use crate::revision::Generation;
use crate::storage::Storage;
use crate::sync::thread::JoinHandle;
use crate::sync::{Mutex, PoisonError, RwLock};

/// Decides whether to keep waiting for the writer lock, given how long the wait has lasted.
pub(crate) type OnLockWait = dyn Fn(Duration) -> ControlFlow<()> + Send + Sync;

/// How a handle behaves.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) lock_wait: Duration,
    pub(crate) on_lock_wait: Option<Arc<OnLockWait>>,
    pub(crate) author: String,
    pub(crate) validators: Validators,
    pub(crate) cancel: CancelFlag,
    pub(crate) allow_unsafe_filesystem: bool,
    /// Whether a thread of its own writes a checkpoint.
    pub(crate) checkpoint_thread: bool,
}

/// An open store.
pub(crate) struct Engine {
    pub(super) storage: Arc<dyn Storage>,
    dir: PathBuf,
    id: StoreId,
    options: Options,
    poison: Poison,
    pins: Pins,
    head: RwLock<Arc<Head>>,
    recovery: Mutex<Option<RecoveryReport>>,
    pub(super) checkpointer: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("dir", &self.dir).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        id: StoreId,
        options: Options,
        head: Head,
    ) -> Self {
        Self {
            storage,
            dir,
            id,
            options,
            poison: Poison::default(),
            pins: Pins::default(),
            recovery: Mutex::new(head.recovery.clone()),
            head: RwLock::new(Arc::new(head)),
            checkpointer: Mutex::new(None),
        }
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) const fn dir(&self) -> &PathBuf {
        &self.dir
    }

    pub(crate) const fn id(&self) -> StoreId {
        self.id
    }

    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) const fn poison(&self) -> &Poison {
        &self.poison
    }

    /// Pins the files of a generation. Snapshots of one generation through this handle share a pin.
    /// `None` where nothing can be pinned.
    pub(crate) fn pin(&self, generation: Generation) -> Result<Option<Arc<SharedPin>>> {
        self.pins.pin(self.storage(), generation)
    }

    /// The newest state that this handle has seen. Does not read the disk.
    pub(crate) fn known(&self) -> Arc<Head> {
        Arc::clone(&self.head.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers a state, unless another thread has remembered a newer one meanwhile.
    pub(crate) fn remember(&self, head: Head) -> Arc<Head> {
        let head = Arc::new(head);
        let mut known = self.head.write().unwrap_or_else(PoisonError::into_inner);
        if known.is_degraded() || head.link.generation >= known.link.generation {
            *known = Arc::clone(&head);
        }
        head
    }

    /// Fails once the caller's flag says that it wants no more.
    pub(crate) fn check_cancel(&self) -> Result<()> {
        self.options.cancel.check()
    }

    /// Poisons the handle when the outcome of a commit is unknown.
    pub(crate) fn or_poison<T>(&self, committed: Result<T>) -> Result<T> {
        let unknown =
            committed.as_ref().err().filter(|error| error.kind() == ErrorKind::CommitOutcomeUnknown);
        if let Some(generation) = unknown.and_then(Error::generation) {
            self.poison.set(generation);
        }
        committed
    }

    /// Reads the pointer and follows it if another writer has swapped it. Never waits for a writer.
    pub(crate) fn refresh(&self) -> Result<Arc<Head>> {
        let head = self.newest()?;
        let mut recovery = self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        if *recovery != head.recovery {
            recovery.clone_from(&head.recovery);
        }
        drop(recovery);
        Ok(head)
    }

    /// What the last successful open or refresh found damaged.
    pub(crate) fn recovery(&self) -> Option<RecoveryReport> {
        self.recovery.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn newest(&self) -> Result<Arc<Head>> {
        let cannot_read = |error| Error::io(Operation::Read, self.dir.display().to_string(), error);
        if !self.storage.is_same_dir().map_err(cannot_read)? {
            return Err(ErrorRepr::DirectoryReplaced(self.dir.clone()).into());
        }
        let known = self.known();
        let found = read::pointer(self.storage()).and_then(|pointer| {
            if pointer.head == known.link && !known.is_degraded() {
                return Ok(None);
            }
            let from = Some(&*known).filter(|known| !known.is_degraded());
            replay::head(self.storage(), pointer, from, |store| self.check_id(store)).map(Some)
        });
        match found {
            Ok(Some((_, head))) => Ok(self.remember(head)),
            Ok(None) => Ok(known),
            Err(LoadError::Fatal(error)) => Err(error),
            Err(fault) => self.recovered(fault),
        }
    }

    /// Fails when the id is that of another store.
    fn check_id(&self, found: StoreId) -> Result<()> {
        if found == self.id {
            return Ok(());
        }
        Err(ErrorRepr::OtherStore { dir: self.dir.clone(), expected: self.id, found }.into())
    }

    /// The generation that the pointer names, even if that generation cannot be read. `None` when
    /// the pointer cannot be read.
    pub(crate) fn pointed_at(&self) -> Option<Generation> {
        read::pointer(self.storage()).ok().map(|pointer| pointer.head.generation)
    }

    /// The state at an earlier link of the chain.
    pub(crate) fn state_at(&self, link: ManifestRef) -> Result<Head> {
        let loaded = || {
            let manifest = read::manifest(self.storage(), link)?;
            read::check_store(&manifest, self.id)?;
            let loaded = replay::table(self.storage(), link, &manifest, None)?;
            Ok(loaded.into_head(Pointer::new(link, manifest.parent, Extra::new()), manifest))
        };
        loaded().map_err(LoadError::into_error)
    }

    /// The state to serve in place of one that cannot be read. The handle does not remember it: a
    /// repair becomes visible at once, and the newest intact state stays known.
    fn recovered(&self, fault: LoadError) -> Result<Arc<Head>> {
        let (id, head) = recover::recover(self.storage(), &self.dir, fault)?;
        self.check_id(id)?;
        Ok(Arc::new(head))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let running = self.checkpointer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = running {
            let _ = thread.join();
        }
    }
}
