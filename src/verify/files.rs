//! The check of stored files against their hashes, on several threads.

use std::collections::BTreeMap;

use super::options::VerifyOptions;
use crate::engine::content::{self, Check};
use crate::engine::finding::{Finding, FindingKind, Severity};
use crate::error::{Error, Operation, Result};
use crate::format::entry::Entry;
use crate::format::names::Name;
use crate::progress::Progress;
use crate::store::Store;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, PoisonError, thread};

/// The most threads that a check uses.
const THREADS_MAX: usize = 64;

/// What the threads share.
struct Shared {
    findings: Vec<Finding>,
    progress: Progress,
    failure: Option<Error>,
}

pub(super) fn check(
    store: &Store,
    files: &BTreeMap<Name, Entry>,
    options: &VerifyOptions,
) -> Result<Vec<Finding>> {
    let work: Vec<(&Name, &Entry)> = files.iter().collect();
    let progress = Progress::of(work.iter().map(|(_, entry)| entry.bytes));
    let shared = Mutex::new(Shared { findings: Vec::new(), progress, failure: None });
    let next = AtomicUsize::new(0);
    let one_thread = || {
        while let Some((name, entry)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !check_one(store, name, entry, options, &shared) {
                return;
            }
        }
    };
    let threads = match options.threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(THREADS_MAX).min(work.len()) {
            scope.spawn(one_thread);
        }
        one_thread();
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    shared.failure.map_or(Ok(shared.findings), Err)
}

/// Checks one file. Returns whether to go on.
fn check_one(
    store: &Store,
    name: &Name,
    entry: &Entry,
    options: &VerifyOptions,
    shared: &Mutex<Shared>,
) -> bool {
    let storage = store.engine.storage();
    let checked = options.cancel.check().and_then(|()| store.engine.check_cancel()).map(|()| {
        if options.quick { content::check_length(storage, entry) } else { content::check(storage, entry) }
    });
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let found = match checked {
        Err(error) => Err(error),
        Ok(Check::Intact) => Ok(None),
        Ok(Check::Damaged(damage)) if damage.is_missing => {
            Ok(Some((FindingKind::FileMissing, damage.detail)))
        }
        Ok(Check::Damaged(damage)) => Ok(Some((FindingKind::FileDamaged, damage.detail))),
        Ok(Check::Unknown(error)) if content::is_of_one_file(&error) => {
            Ok(Some((FindingKind::FileUnreadable, format!("it cannot be read: {error}"))))
        }
        Ok(Check::Unknown(error)) => Err(Error::io(Operation::Read, name.to_string(), error)),
    };
    match found {
        Err(error) => {
            shared.failure.get_or_insert(error);
        }
        Ok(found) => shared.findings.extend(found.map(|(kind, detail)| Finding {
            severity: Severity::Error,
            kind,
            path: Some(entry.stored_path().to_string()),
            generation: Some(entry.generation),
            detail,
        })),
    }
    shared.progress.done(entry.bytes);
    if let Some(callback) = &options.progress {
        callback(&shared.progress);
    }
    shared.failure.is_none()
}
