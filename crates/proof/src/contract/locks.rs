//! Locks, and the notes in them.

use std::io::ErrorKind as K;

use super::{on_both, read, write};
use crate::fs::LockMode;
use crate::fs::lock::NOTE_MAX;
use crate::fs::{Fs, FsLock};

fn take(fs: &dyn Fs, mode: LockMode) -> Option<Box<dyn FsLock>> {
    fs.try_lock("lock", mode).unwrap()
}

#[test]
fn which_modes_exclude_each_other() {
    for (first, second, together) in [
        (LockMode::Shared, LockMode::Shared, true),
        (LockMode::Shared, LockMode::Exclusive, false),
        (LockMode::Exclusive, LockMode::Shared, false),
        (LockMode::Exclusive, LockMode::Exclusive, false),
    ] {
        on_both(|fs| {
            let held = take(fs, first).unwrap();
            assert_eq!(take(fs, second).is_some(), together, "{first:?} {second:?}");
            // A lock that was refused or released excludes nothing.
            drop(held);
            assert!(take(fs, second).is_some(), "{first:?} {second:?}");
            assert!(take(fs, LockMode::Exclusive).is_some());
        });
    }
}

#[test]
fn a_lock_of_one_file_is_none_of_another() {
    on_both(|fs| {
        let held = take(fs, LockMode::Exclusive).unwrap();
        let other = fs.try_lock("other", LockMode::Exclusive).unwrap().unwrap();
        assert_ne!(held.identity().unwrap(), other.identity().unwrap());
        fs.rename("lock", "moved").unwrap();
        assert!(fs.try_lock("moved", LockMode::Shared).unwrap().is_none(), "the lock goes with the file");
        let new = take(fs, LockMode::Exclusive).unwrap();
        assert_ne!(held.identity().unwrap(), new.identity().unwrap());
    });
}

#[test]
fn the_last_holder_has_it_alone() {
    on_both(|fs| {
        let first = take(fs, LockMode::Shared).unwrap();
        let second = take(fs, LockMode::Shared).unwrap();
        assert_eq!(first.identity().unwrap(), second.identity().unwrap());
        assert!(!first.is_last_holder());
        // The handle that asked without success has released its lock.
        assert!(second.is_last_holder());
        assert!(take(fs, LockMode::Shared).is_none(), "it is held exclusively now");
        assert!(!first.is_last_holder());
        assert!(second.is_last_holder(), "asking twice gives the same");
        drop(second);
        assert!(first.is_last_holder());
        assert!(take(fs, LockMode::Shared).is_none());
        drop(first);
        assert!(take(fs, LockMode::Exclusive).unwrap().is_last_holder());
    });
}

#[test]
fn a_note_is_what_was_noted_last() {
    on_both(|fs| {
        let lock = take(fs, LockMode::Exclusive).unwrap();
        assert_eq!(lock.note().unwrap(), b"");
        for note in ["a note", "a longer note", "short", ""] {
            lock.set_note(note.as_bytes()).unwrap();
            assert_eq!(lock.note().unwrap(), note.as_bytes());
            assert_eq!(
                read(fs, "lock").trim_ascii_end(),
                note.as_bytes(),
                "a process without the lock can read it"
            );
        }
        lock.set_note(b"left behind").unwrap();
        drop(lock);
        let next = take(fs, LockMode::Shared).unwrap();
        assert_eq!(next.note().unwrap(), b"left behind");
        next.set_note(&[7; 5000]).unwrap();
        assert_eq!(next.note().unwrap(), vec![7; usize::try_from(NOTE_MAX).unwrap()]);
        assert_eq!(read(fs, "lock").len(), 5000);
    });
}

#[test]
fn a_file_that_is_there_is_locked_as_it_is() {
    on_both(|fs| {
        write(fs, "lock", "a note of long ago");
        let lock = take(fs, LockMode::Exclusive).unwrap();
        assert_eq!(lock.note().unwrap(), b"a note of long ago");
        lock.set_note(b"now").unwrap();
        assert_eq!(read(fs, "lock"), b"now               ", "one write covers all of the longer note");
    });
}

#[test]
fn a_lock_whose_name_is_gone_excludes_nothing() {
    on_both(|fs| {
        let held = take(fs, LockMode::Exclusive).unwrap();
        held.set_note(b"first").unwrap();
        fs.remove("lock").unwrap();
        let new = take(fs, LockMode::Exclusive).unwrap();
        assert_ne!(held.identity().unwrap(), new.identity().unwrap());
        assert_eq!((held.note().unwrap(), new.note().unwrap()), (b"first".to_vec(), Vec::new()));
        held.set_note(b"without a name").unwrap();
        assert_eq!(read(fs, "lock"), b"");
        drop(held);
        assert!(take(fs, LockMode::Shared).is_none(), "the new one is still held");
    });
}

#[test]
fn only_the_locks_own_name_is_removed() {
    on_both(|fs| {
        let held = take(fs, LockMode::Exclusive).unwrap();
        fs.remove_locked("lock", &*held).unwrap();
        assert_eq!(fs.stat("lock").unwrap(), None);
        assert_eq!(fs.remove_locked("lock", &*held).unwrap_err().kind(), K::NotFound);
        let new = take(fs, LockMode::Exclusive).unwrap();
        new.set_note(b"new").unwrap();
        fs.remove_locked("lock", &*held).unwrap();
        assert_eq!(read(fs, "lock"), b"new", "the name belongs to another file now");
        fs.rename("lock", "moved").unwrap();
        assert!(fs.create_dir("lock").unwrap());
        fs.remove_locked("lock", &*new).unwrap();
        assert_eq!(fs.list("lock").unwrap(), []);
        fs.remove_locked("moved", &*new).unwrap();
        assert_eq!(fs.stat("moved").unwrap(), None);
    });
}
