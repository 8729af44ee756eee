//! Waits between tries. Each is about twice as long as the last, up to a limit, and half of it is
//! random.

use std::io;
use std::time::Duration;

use crate::fs::Fs;

/// The state of one series of waits.
#[derive(Debug)]
pub(crate) struct Backoff {
    millis: u64,
    max: u64,
}

impl Backoff {
    /// The first wait takes 1 ms. No wait takes more than `max` milliseconds, which is at most 512.
    pub(crate) const fn new(max: u64) -> Self {
        Self { millis: 1, max }
    }

    /// Waits, but not longer than `left`. Half of the time is random: processes that always try at
    /// the same moments would keep colliding.
    pub(crate) fn wait(&mut self, system: &dyn Fs, left: Duration) -> io::Result<()> {
        let [chance, ..] = system.random()?;
        let millis = self.millis / 2 + u64::from(chance) % self.millis.div_ceil(2).max(1);
        system.sleep(Duration::from_millis(millis.max(1)).min(left));
        self.millis = (self.millis * 2).min(self.max);
        Ok(())
    }
}
