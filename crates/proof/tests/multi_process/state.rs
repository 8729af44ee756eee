//! What the crowd works on: numbers in several files. They fit together in every generation, and in
//! no mixture of two.

use genstore::{ErrorKind, Snapshot, Store, Transaction};
use serde::{Deserialize, Serialize};

pub(crate) const WRITERS: usize = 8;
/// The sum of the two amounts.
pub(crate) const SUM: i64 = 1000;
/// The generation in which everything begins.
pub(crate) const BEGINNING: u64 = 2;

pub(crate) const COUNTER: &str = "counter.json";
pub(crate) const LEFT: &str = "left.json";
pub(crate) const RIGHT: &str = "right.json";

pub(crate) fn own(writer: usize) -> String {
    format!("own/{writer}.json")
}

/// What a writer records in its own file with each commit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub(crate) struct Own {
    /// How often it has committed.
    pub(crate) commits: u64,
    /// How often it has counted up.
    pub(crate) counted: u64,
}

pub(crate) fn begin(store: &Store) {
    let mut tx = store.begin().unwrap();
    tx.put_json(COUNTER, &0).unwrap();
    tx.put_json(LEFT, &SUM).unwrap();
    tx.put_json(RIGHT, &0).unwrap();
    for writer in 0..WRITERS {
        tx.put_json(own(writer), &Own::default()).unwrap();
    }
    assert_eq!(tx.commit("begin").unwrap().generation.get(), BEGINNING);
}

/// Adds one to what it has read.
pub(crate) fn count_up(tx: &mut Transaction) {
    let value: u64 = tx.get_json(COUNTER).unwrap();
    tx.put_json(COUNTER, &(value + 1)).unwrap();
}

/// Moves an amount from one file to the other.
pub(crate) fn transfer(tx: &mut Transaction, amount: i64) {
    let left: i64 = tx.get_json(LEFT).unwrap();
    let right: i64 = tx.get_json(RIGHT).unwrap();
    assert_eq!(left + right, SUM, "a mixture of two generations");
    tx.put_json(LEFT, &(left - amount)).unwrap();
    tx.put_json(RIGHT, &(right + amount)).unwrap();
}

/// Everything in one generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) generation: u64,
    pub(crate) counter: u64,
    amounts: (i64, i64),
    pub(crate) own: Vec<Own>,
}

impl Seen {
    /// Reads everything and checks that it fits together.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let left = snapshot.get_json(LEFT).unwrap();
        let right = snapshot.get_json(RIGHT).unwrap();
        let seen = Self {
            generation: snapshot.generation().get(),
            counter: snapshot.get_json(COUNTER).unwrap(),
            amounts: (left, right),
            own: (0..WRITERS).map(|writer| snapshot.get_json(own(writer)).unwrap()).collect(),
        };
        seen.check();
        seen
    }

    fn check(&self) {
        let Self { generation, counter, amounts: (left, right), own } = self;
        assert_eq!(left + right, SUM, "{self:?}");
        assert_eq!(own.iter().map(|own| own.counted).sum::<u64>(), *counter, "a lost update: {self:?}");
        // Nothing fails here, so no number is skipped.
        assert_eq!(own.iter().map(|own| own.commits).sum::<u64>(), generation - BEGINNING, "{self:?}");
    }

    /// No later reading is older.
    pub(crate) fn check_not_before(&self, earlier: &Self) {
        assert!(self.generation >= earlier.generation, "{self:?} after {earlier:?}");
        if self.generation == earlier.generation {
            assert_eq!(self, earlier);
        }
        let pairs = self.own.iter().zip(&earlier.own);
        assert!(
            pairs.into_iter().all(|(now, then)| now.commits >= then.commits && now.counted >= then.counted),
            "{self:?} after {earlier:?}"
        );
    }
}

/// Commits these changes. After a conflict it begins again. Gives the generation and the number of
/// conflicts.
pub(crate) fn retry(store: &Store, message: &str, changes: impl Fn(&mut Transaction)) -> (u64, u64) {
    for conflicts in 0.. {
        let mut tx = store.begin().unwrap();
        changes(&mut tx);
        match tx.commit(message) {
            Ok(commit) => {
                assert!(commit.changed, "{commit:?}");
                return (commit.generation.get(), conflicts);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
        }
    }
    unreachable!()
}
