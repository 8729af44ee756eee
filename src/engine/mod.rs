//! The protocol: how a store is opened, read, changed and recovered, in terms of [`Storage`].

pub(crate) mod backoff;
pub(crate) mod chain;
pub(crate) mod checkpoint;
pub(crate) mod commit;
pub(crate) mod content;
pub(crate) mod create;
pub(crate) mod finding;
mod folders;
pub(crate) mod load;
pub(crate) mod lock;
pub(crate) mod poison;
pub(crate) mod publish;
pub(crate) mod recover;
pub(crate) mod table;
pub(crate) mod validate;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cancel::CancelFlag;
use crate::error::{Error, Problem, Result};
use crate::format::json::Extra;
use crate::format::pointer::{Link, Pointer};
use crate::hash::{Blake3, StoreId};
use crate::revision::Generation;
use crate::storage::Storage;
use crate::sync::thread::JoinHandle;
use crate::sync::{Mutex, PoisonError, RwLock};
use crate::time::Timestamp;
use finding::{Finding, RecoveryReport};
use load::Fault;
use poison::Poison;
use table::Table;
use validate::Validators;

/// Told how long a wait for the writer lock has lasted, says whether to go on.
pub(crate) type OnLockWait = dyn Fn(Duration) -> ControlFlow<()> + Send + Sync;

/// How a handle behaves.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) lock_wait: Duration,
    pub(crate) on_lock_wait: Option<Arc<OnLockWait>>,
    pub(crate) author: String,
    pub(crate) validators: Validators,
    pub(crate) cancel: CancelFlag,
    pub(crate) force_medium: bool,
    pub(crate) lock_witness: Option<Arc<crate::fs::medium::LockWitness>>,
    /// Whether checkpoints are written by a thread of their own.
    pub(crate) checkpoint_thread: bool,
}

/// One committed state, as it was read or made.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) link: Link,
    pub(crate) time: Timestamp,
    pub(crate) message: String,
    pub(crate) table: Table,
    /// What it costs to make the table again from the last checkpoint.
    pub(crate) cost: u64,
    /// The last checkpoint that this handle knows of.
    pub(crate) checkpoint: Option<Generation>,
    pub(crate) pointer_extra: Extra,
    pub(crate) recovery: Option<RecoveryReport>,
}

impl Head {
    /// Whether it may be older than the last acknowledged generation.
    pub(crate) fn is_degraded(&self) -> bool {
        self.recovery.as_ref().is_some_and(|report| report.degraded)
    }
}

/// An open store.
pub(crate) struct Engine {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    id: StoreId,
    options: Options,
    poison: Poison,
    head: RwLock<Arc<Head>>,
    checkpointer: Mutex<Option<JoinHandle<()>>>,
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
        let (poison, checkpointer) = (Poison::default(), Mutex::new(None));
        Self { storage, dir, id, options, poison, head: RwLock::new(Arc::new(head)), checkpointer }
    }

    /// A handle on a store that has no generation yet, for the commit of its first.
    pub(crate) fn unborn(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        id: StoreId,
        options: Options,
        now: Timestamp,
    ) -> Self {
        let link = Link { generation: Generation::FIRST, manifest: Blake3::from_bytes([0; 32]) };
        let (table, message, pointer_extra) = (Table::default(), String::new(), Extra::new());
        let head = Head {
            link,
            time: now,
            message,
            table,
            cost: 0,
            checkpoint: None,
            pointer_extra,
            recovery: None,
        };
        Self::new(storage, dir, id, options, head)
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

    /// The newest state that this handle has seen, without looking at the disk.
    pub(crate) fn known(&self) -> Arc<Head> {
        Arc::clone(&self.head.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers a state, unless a newer one was remembered meanwhile by another thread.
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

    /// Looks at the pointer and follows it if another writer has moved it. Never waits for a writer.
    pub(crate) fn refresh(&self) -> Result<Arc<Head>> {
        let in_place = self.storage.is_in_place();
        if !in_place.map_err(|error| Error::io("cannot read", self.dir.display().to_string(), error))? {
            return Err(Problem::DirectoryReplaced(self.dir.clone()).into());
        }
        let known = self.known();
        match load::pointer(self.storage()) {
            Ok(pointer) if pointer.head == known.link && !known.is_degraded() => Ok(known),
            Ok(pointer) => self.follow(pointer, &known),
            Err(Fault::Fatal(error)) => Err(error),
            Err(fault) => self.recovered(fault),
        }
    }

    fn follow(&self, pointer: Pointer, known: &Head) -> Result<Arc<Head>> {
        let head = pointer.head;
        let is_replaced = !known.is_degraded() && head.generation <= known.link.generation;
        let replaced = || Problem::HistoryReplaced { known: known.link.generation }.into();
        let manifest = match load::manifest(self.storage(), head) {
            Err(fault) if is_replaced && !matches!(fault, Fault::Fatal(_)) => return Err(replaced()),
            Ok(manifest) => manifest,
            Err(Fault::Fatal(error)) => return Err(error),
            Err(fault) => return self.recovered(fault),
        };
        if manifest.store != self.id {
            let (dir, expected, found) = (self.dir.clone(), self.id, manifest.store);
            return Err(Problem::OtherStore { dir, expected, found }.into());
        }
        if is_replaced {
            return Err(replaced());
        }
        match load::check_not_behind(self.storage(), head) {
            Err(Fault::Fatal(error)) => return Err(error),
            Err(fault) => return self.recovered(fault),
            Ok(()) => {}
        }
        let from_known = Some(known).filter(|known| !known.is_degraded());
        let loaded = match load::table(self.storage(), head, &manifest, from_known) {
            // A manifest on the way to the known state is damaged: a checkpoint above it will do.
            Err(fault) if from_known.is_some() && !matches!(fault, Fault::Fatal(_)) => {
                load::table(self.storage(), head, &manifest, None)
            }
            other => other,
        };
        match loaded {
            Ok(loaded) => Ok(self.remember(Head::of(pointer, manifest.time, manifest.message, loaded))),
            Err(Fault::Fatal(error)) => Err(error),
            Err(fault) => self.recovered(fault),
        }
    }

    /// The generation that the pointer names, whether or not that can be read; `None` when the pointer cannot.
    pub(crate) fn pointed_at(&self) -> Option<Generation> {
        load::pointer(self.storage()).ok().map(|pointer| pointer.head.generation)
    }

    /// The state at an earlier link of the chain.
    pub(crate) fn state_at(&self, link: Link) -> Result<Head> {
        let loaded = || {
            let manifest = load::manifest(self.storage(), link)?;
            load::check_store(&manifest, self.id)?;
            let loaded = load::table(self.storage(), link, &manifest, None)?;
            Ok(Head::of(
                Pointer::new(link, manifest.parent, Extra::new()),
                manifest.time,
                manifest.message,
                loaded,
            ))
        };
        loaded().map_err(Fault::into_error)
    }

    /// The state that is served in place of one that cannot be read. It is not remembered: whoever mends the store
    /// is to see it at once, and the newest intact state that was seen stays known.
    fn recovered(&self, fault: Fault) -> Result<Arc<Head>> {
        let (id, head) = recover::recover(self.storage(), &self.dir, fault)?;
        if id != self.id {
            return Err(Problem::OtherStore { dir: self.dir.clone(), expected: self.id, found: id }.into());
        }
        Ok(Arc::new(head))
    }
}

impl Head {
    /// The state that an intact pointer leads to.
    pub(crate) fn of(pointer: Pointer, time: Timestamp, message: String, loaded: load::Loaded) -> Self {
        let findings: Vec<Finding> = loaded.damaged_checkpoints.iter().filter_map(Finding::of).collect();
        let serving = pointer.head.generation;
        let recovery =
            (!findings.is_empty()).then_some(RecoveryReport { findings, serving, degraded: false });
        let (link, pointer_extra) = (pointer.head, pointer.extra);
        Self {
            link,
            time,
            message,
            table: loaded.table,
            cost: loaded.cost,
            checkpoint: loaded.checkpoint,
            pointer_extra,
            recovery,
        }
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
