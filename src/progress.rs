//! How far a long call is.

use std::sync::Arc;

/// How far a long call is. The options of [`Transaction::put_dir`](crate::Transaction::put_dir),
/// [`Snapshot::export`](crate::Snapshot::export) and [`Store::verify`](crate::Store::verify) take a
/// callback for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Files done.
    pub files_done: u64,
    /// Files in all.
    pub files_total: u64,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

impl Progress {
    /// Nothing is done yet of files of these lengths. A damaged store may state any length, so the
    /// sums saturate.
    pub(crate) fn of(lengths: impl Iterator<Item = u64>) -> Self {
        lengths.fold(Self::default(), |sum, bytes| Self {
            files_total: sum.files_total + 1,
            bytes_total: sum.bytes_total.saturating_add(bytes),
            ..sum
        })
    }

    /// Counts one more file of this length.
    pub(crate) const fn done(&mut self, bytes: u64) {
        self.files_done += 1;
        self.bytes_done = self.bytes_done.saturating_add(bytes);
    }
}

/// A callback for progress. Several threads may call it, one at a time.
pub(crate) type ProgressFn = Arc<dyn Fn(&Progress) + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lengths_do_not_overflow_the_sums() {
        let mut progress = Progress::of([u64::MAX, 5].into_iter());
        assert_eq!((progress.files_total, progress.bytes_total), (2, u64::MAX));
        progress.done(u64::MAX);
        progress.done(5);
        assert_eq!((progress.files_done, progress.bytes_done), (2, u64::MAX));
    }
}
