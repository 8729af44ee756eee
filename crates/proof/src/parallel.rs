//! Work on all processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::oracle::Verdict;
use crate::fs::sim::random::Random;
use crate::sim::said;

/// Checks each item, until a check fails.
pub(super) fn on_all_processors<T: Sync>(items: &[T], check: impl Fn(&T) -> Verdict + Sync) -> Verdict {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(text) = caught(|| check(item)) {
                        *wrong.lock().unwrap() = Some(text);
                        next.store(items.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// The result of a check. A panic counts as a failure, as a mutant can cause anything.
pub(super) fn caught<T>(check: impl FnOnce() -> Verdict<T>) -> Verdict<T> {
    catch_unwind(AssertUnwindSafe(check))
        .unwrap_or_else(|panic| Err(said(&*panic).unwrap_or_else(|| "a panic".into())))
}

/// The items in an order that the seed decides.
pub(super) fn shuffled<T>(mut all: Vec<T>, seed: u64) -> Vec<T> {
    let mut random = Random::new(seed);
    for place in (1..all.len()).rev() {
        all.swap(place, usize::try_from(random.below(place as u64 + 1)).unwrap());
    }
    all
}
