//! Changes that are made again when another writer was first.

use std::time::Duration;

use crate::engine::backoff::Backoff;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::store::Store;
use crate::transaction::{Commit, Transaction};

/// How often a change is tried in all.
const TRIES: u32 = 20;
/// The longest wait between two tries, in milliseconds. All of them together take 3.4 seconds at most.
const WAIT_MAX: u64 = 256;

impl Store {
    /// Runs `change` in a transaction on the newest generation and commits it. When that conflicts with another
    /// commit, it does the same again on the generation that is newest then.
    ///
    /// `change` may run up to 20 times, so it has no effects but on the transaction and on what it captures. What it
    /// reads, it reads through the transaction: only that is known to be unchanged when the commit succeeds. Between two
    /// tries there is a wait of at most 256 ms, of no fixed length.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = genstore::Store::create(dir.path().join("store"))?;
    /// let mut visits = 0;
    /// let commit = store.update("count a visit", |tx| {
    ///     visits = if tx.contains("visits.json")? { tx.get_json("visits.json")? } else { 0 };
    ///     visits += 1;
    ///     tx.put_json("visits.json", &visits)
    /// })?;
    /// assert_eq!((visits, commit.put), (1, 1));
    ///
    /// // An error of the application ends it, and nothing is committed.
    /// let failed = store.update("too much", |tx| -> Result<(), Box<dyn std::error::Error>> {
    ///     tx.remove("visits.json")?;
    ///     Err("there are not so many".into())
    /// });
    /// assert!(failed.is_err() && store.snapshot()?.get("visits.json").is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `change` returns, whatever that is; the transaction is discarded then. `Conflict` when every try met one. All
    /// else as [`begin`](Store::begin) and [`Transaction::commit`].
    pub fn update<E: From<Error>>(
        &self,
        message: &str,
        mut change: impl FnMut(&mut Transaction) -> Result<(), E>,
    ) -> Result<Commit, E> {
        let mut backoff = Backoff::new(WAIT_MAX);
        let mut tries = 1;
        loop {
            let mut tx = self.begin()?;
            change(&mut tx)?;
            match tx.commit(message) {
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
                outcome => return Ok(outcome?),
            }
            self.engine.check_cancel()?;
            backoff
                .wait(self.engine.storage().system(), Duration::MAX)
                .map_err(|error| Error::io(Operation::Wait, message, error))?;
        }
    }
}
