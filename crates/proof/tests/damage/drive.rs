//! Runs many cases on two threads. Ends the process if a case hangs.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

const THREADS: usize = 2;
/// A case takes some milliseconds. One that takes this long waits for ever, for example for the
/// other end of a FIFO.
const HANGS_AFTER: Duration = Duration::from_secs(120);
/// The most failures that are reported.
const TOLD_MAX: usize = 10;

/// Calls `run` with every number below `count`. Each thread has a state of its own from `start()`.
/// Gives the results in order, or panics with the names of the cases that panicked.
pub(crate) fn each<S, T: Send>(
    count: usize,
    start: impl Fn() -> S + Sync,
    name: impl Fn(usize) -> String + Sync,
    run: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(count));
    let failures = Mutex::new(Vec::new());
    let busy: [Mutex<Option<(usize, Instant)>>; THREADS] = Default::default();
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let busy = &busy;
        let name = &name;
        scope.spawn(move || watch(&is_done, busy, name));
        let workers: Vec<_> = busy
            .iter()
            .map(|busy| {
                let next = &next;
                let results = &results;
                let failures = &failures;
                let start = &start;
                let run = &run;
                scope.spawn(move || {
                    let mut state = start();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count || failures.lock().unwrap().len() >= TOLD_MAX {
                            *busy.lock().unwrap() = None;
                            return;
                        }
                        *busy.lock().unwrap() = Some((number, Instant::now()));
                        match catch_unwind(AssertUnwindSafe(|| run(&mut state, number))) {
                            Ok(result) => results.lock().unwrap().push((number, result)),
                            Err(panic) => {
                                failures.lock().unwrap().push(format!("{}: {}", name(number), said(&*panic)));
                                state = start();
                            }
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        drop(done);
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn watch(
    is_done: &mpsc::Receiver<()>,
    busy: &[Mutex<Option<(usize, Instant)>>],
    name: &(impl Fn(usize) -> String + Sync),
) {
    while matches!(is_done.recv_timeout(Duration::from_secs(1)), Err(mpsc::RecvTimeoutError::Timeout)) {
        for (number, since) in busy.iter().filter_map(|busy| *busy.lock().unwrap()) {
            if since.elapsed() > HANGS_AFTER {
                // The test harness would capture `eprintln`, and an abort leaves it no time to
                // print.
                let _ = writeln!(std::io::stderr(), "hangs: {}", name(number));
                std::process::abort();
            }
        }
    }
}
