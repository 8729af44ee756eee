//! `Store::update` makes its changes again after a conflict, on a disk on which waiting takes no
//! time.

use std::cell::Cell;

use super::waiting::{open, store};
use crate::cancel::CancelFlag;
use crate::error::{Error, ErrorKind};
use crate::fs::Fs;
use crate::options::OpenOptions;
use crate::store::Store;
use crate::transaction::Transaction;

fn number(tx: &mut Transaction) -> crate::Result<u64> {
    if tx.contains("n")? { tx.get_json("n") } else { Ok(0) }
}

fn count(store: &Store) -> crate::Result<u64> {
    let tries = Cell::new(0);
    store.update("count", |tx| {
        tries.set(tries.get() + 1);
        let next = number(tx)? + 1;
        tx.put_json("n", &next)
    })?;
    Ok(tries.get())
}

fn n(store: &Store) -> u64 {
    store.snapshot().unwrap().get_json("n").unwrap()
}

#[test]
fn an_update_that_is_too_late_begins_again() {
    let (fs, one) = store();
    let two = open(&fs, OpenOptions::default());
    for late in [0_u64, 1, 2, 19] {
        let before = one.snapshot().unwrap().get_json("n").unwrap_or(0);
        let waited = fs.monotonic();
        let mut tries = 0;
        let commit = one
            .update("count", |tx| {
                let next = number(tx)? + 1;
                // Another commit comes between the read and the commit.
                if tries < late {
                    assert_eq!(count(&two)?, 1);
                }
                tries += 1;
                tx.author("one");
                tx.put_json("n", &next)
            })
            .unwrap();
        assert_eq!((tries, n(&two)), (late + 1, before + late + 1), "no addition is lost");
        assert_eq!(commit.generation, two.snapshot().unwrap().generation());
        assert!(late < 19 || (fs.monotonic() - waited).as_millis() > 700, "the waits grow");
    }
    // A change elsewhere is no reason to begin again.
    let mut tries = 0;
    one.update("rebased", |tx| {
        tries += 1;
        two.update("elsewhere", |tx| tx.put("other", "x"))?;
        let next = number(tx)? + 1;
        tx.put_json("n", &next)
    })
    .unwrap();
    assert_eq!(tries, 1);
}

#[test]
fn an_update_that_is_always_too_late_fails() {
    let (fs, one) = store();
    let two = open(&fs, OpenOptions::default());
    let before = fs.monotonic();
    let mut tries = 0;
    let error = one
        .update("count", |tx| {
            tries += 1;
            let next = number(tx)? + 1;
            count(&two)?;
            tx.put_json("n", &next)
        })
        .unwrap_err();
    assert_eq!((error.kind(), tries, n(&one)), (ErrorKind::Conflict, 20, 20));
    assert_eq!(error.conflicts()[0].generation, two.snapshot().unwrap().generation());
    let took = (fs.monotonic() - before).as_millis();
    assert!((1000..6000).contains(&took), "{took} ms");
}

#[test]
fn a_change_that_fails_commits_nothing() {
    #[derive(Debug)]
    enum Failure {
        NotSoMany,
        Store(Error),
    }
    impl From<Error> for Failure {
        fn from(error: Error) -> Self {
            Self::Store(error)
        }
    }
    let (_fs, store) = store();
    count(&store).unwrap();
    let generation = store.snapshot().unwrap().generation();
    let mut tries = 0;
    let failed = store.update("own error", |tx| {
        tries += 1;
        tx.put("a", vec![b'a'; 200_000])?;
        tx.remove("n")?;
        Err(Failure::NotSoMany)
    });
    assert!(matches!(failed, Err(Failure::NotSoMany)), "{failed:?}");
    let failed = store.update("error of the store", |tx| {
        tries += 1;
        tx.put("a", "b")?;
        tx.remove("absent")?;
        Ok::<(), Failure>(())
    });
    assert!(
        matches!(&failed, Err(Failure::Store(error)) if error.kind() == ErrorKind::NotFound),
        "{failed:?}"
    );
    // A conflict of a commit inside the change is no reason to begin again.
    let failed = store.update("a conflict within", |_| {
        tries += 1;
        let mut tx = store.begin()?;
        let next = number(&mut tx)? + 1;
        count(&store)?;
        tx.put_json("n", &next)?;
        tx.commit("too late").map(drop)
    });
    assert_eq!((failed.unwrap_err().kind(), tries), (ErrorKind::Conflict, 3));
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.generation().get(), generation.get() + 1, "the inner commit");
    assert_eq!(snapshot.list("").count(), 1);
    assert_eq!(store.engine.storage().scan("staging").unwrap(), [], "what was staged is gone");
}

#[test]
fn a_flag_ends_the_tries() {
    let (fs, two) = store();
    let flag = CancelFlag::new();
    let one = open(&fs, OpenOptions::default().cancel(flag.clone()));
    let mut tries = 0;
    let error = one
        .update("count", |tx| {
            tries += 1;
            let next = number(tx)? + 1;
            count(&two)?;
            if tries == 3 {
                flag.cancel();
            }
            tx.put_json("n", &next)
        })
        .unwrap_err();
    assert!(error.is_interrupted(), "{error:?}");
    assert_eq!((tries, n(&two)), (3, 3));
}
