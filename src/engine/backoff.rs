//! Waits between tries, ever longer, and each of another length than that of others who try.

use std::io;
use std::time::Duration;

use crate::fs::Fs;

/// The next wait.
#[derive(Debug)]
pub(crate) struct Backoff {
    millis: u64,
    max: u64,
}

impl Backoff {
    /// The first wait takes 1 ms. None takes more than `max` milliseconds, of which there can be 512.
    pub(crate) const fn new(max: u64) -> Self {
        Self { millis: 1, max }
    }

    /// Waits, and not longer than `left`. Those that try at the same moments would get in each other's way for ever,
    /// so half of the time is left to chance.
    pub(crate) fn wait(&mut self, system: &dyn Fs, left: Duration) -> io::Result<()> {
        let [chance, ..] = system.random()?;
        let millis = self.millis / 2 + u64::from(chance) % self.millis.div_ceil(2).max(1);
        system.sleep(Duration::from_millis(millis.max(1)).min(left));
        self.millis = (self.millis * 2).min(self.max);
        Ok(())
    }
}
