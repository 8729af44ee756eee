//! Waiting for the writer lock, on a disk on which waiting takes no time.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::create::create_on;
use crate::engine::open::open_on;
use crate::error::ErrorKind;
use crate::fs::sim::SimFs;
use crate::fs::sim::disk::Disk;
use crate::options::OpenOptions;
use crate::store::Store;

fn options() -> OpenOptions {
    OpenOptions::default().checkpoint_thread(false)
}

/// A new store on a simulated disk.
pub(super) fn store() -> (SimFs, Store) {
    let fs = SimFs::start(Disk::default(), 1);
    let made = create_on(Arc::new(fs.clone()), Path::new("simulated"), options().into()).unwrap();
    (fs, made.0.into())
}

/// Another handle on it.
pub(super) fn open(fs: &SimFs, options: OpenOptions) -> Store {
    open_on(Arc::new(fs.clone()), Path::new("simulated"), options.checkpoint_thread(false).into())
        .unwrap()
        .into()
}

#[test]
fn a_callback_is_asked_at_each_wait_and_can_end_it() {
    let (fs, holder) = store();
    let lock = Arc::new(Mutex::new(Some(holder.engine.lock_writer().unwrap())));
    let asked = Arc::new(Mutex::new(Vec::<Duration>::new()));
    let told = Arc::clone(&asked);
    let held = Arc::clone(&lock);
    // The callback interrupts at the third wait, and releases the lock at the sixth.
    let waiter = open(
        &fs,
        options().on_lock_wait(move |waited| {
            let mut told = told.lock().unwrap();
            told.push(waited);
            match told.len() {
                3 => ControlFlow::Break(()),
                6 => {
                    *held.lock().unwrap() = None;
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Continue(()),
            }
        }),
    );
    let put = || {
        let mut tx = waiter.begin().unwrap();
        tx.put("a", "1").unwrap();
        tx.commit("waited for")
    };
    let error = put().unwrap_err();
    assert!(error.is_interrupted(), "{error:?}");
    assert_eq!(asked.lock().unwrap().len(), 3);
    assert_eq!(holder.snapshot().unwrap().generation().get(), 1);
    assert!(lock.lock().unwrap().is_some(), "the lock is still held");

    // The handle stays usable.
    assert_eq!(put().unwrap().generation.get(), 2);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 6);
    for waits in asked.chunks(3) {
        assert!(waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
        assert!(waits[2] < Duration::from_millis(16), "it is called often: {waits:?}");
    }
}

#[test]
fn a_callback_that_continues_waits_no_longer_than_the_limit() {
    let (fs, holder) = store();
    let _lock = holder.engine.lock_writer().unwrap();
    let asked = Arc::new(Mutex::new(Duration::ZERO));
    let told = Arc::clone(&asked);
    let ask = move |waited| {
        *told.lock().unwrap() = waited;
        ControlFlow::Continue(())
    };
    let wait = Duration::from_millis(200);
    let waiter = open(&fs, options().lock_wait(wait).on_lock_wait(ask));
    let mut tx = waiter.begin().unwrap();
    tx.put("a", "1").unwrap();
    assert_eq!(tx.commit("too late").unwrap_err().kind(), ErrorKind::Busy);
    let asked = *asked.lock().unwrap();
    assert!(asked < wait && asked > wait - Duration::from_millis(20), "{asked:?}");
}
