//! Changes that are tried again after a conflict.

use std::time::Duration;

use crate::engine::backoff::Backoff;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::store::Store;
use crate::transaction::{Commit, Transaction};

/// How often a change is tried in all.
const TRIES: u32 = 20;
/// The longest wait between two tries, in milliseconds. All waits together take at most 3.4
/// seconds.
const WAIT_MAX: u64 = 256;

impl Store {
    /// Runs `change` in a transaction on the newest generation, and commits it. After a conflict
    /// with another commit, the same is done again on the generation that is the newest by then.
    ///
    /// The new generation is durable when this returns `Ok`. If nothing differs from the newest
    /// generation, none is created.
    ///
    /// `change` may run up to 20 times. So it must set captured variables rather than add to them,
    /// and have no other effect outside the transaction. It must read through the transaction
    /// whatever its result depends on: only these reads are known to be unchanged when the commit
    /// succeeds. Between two tries there is a random wait of at most 256 ms.
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
    /// // An error of the application ends the call, and nothing is committed.
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
    /// * The error that `change` returns, of its own type. The transaction is dropped then.
    /// * `Conflict` when each of the 20 tries met one.
    /// * All else as [`begin`](Store::begin) and [`Transaction::commit`].
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
