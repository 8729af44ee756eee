//! Statistics of measurements. Medians, because other programs run on the same machine.

use std::time::Duration;

/// Measurements of one thing.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a measurement.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds a time, in milliseconds.
    pub fn push_time(&mut self, time: Duration) {
        self.push(time.as_secs_f64() * 1e3);
    }

    /// The number of measurements.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The value that this share of the measurements does not exceed. NaN without measurements.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the numbers are small"
    )]
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// The median.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The share of rounds in which this measurement was not above the other, in percent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    pub fn not_above(&self, other: &Self) -> f64 {
        let wins = self.0.iter().zip(&other.0).filter(|(own, other)| own <= other).count();
        100.0 * wins as f64 / self.0.len().max(1) as f64
    }
}
