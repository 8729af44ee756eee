//! Statistics of measurements. Medians, because other programs run on the same machine.

use std::time::{Duration, Instant};

use crate::Result;

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

    /// The sum of the measurements.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.0.iter().sum()
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

    /// The ratio of each measurement to that of the other in the same round.
    #[must_use]
    pub fn ratios(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| own / other).collect())
    }

    /// The share of rounds in which this measurement was not above the other, in percent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    pub fn not_above(&self, other: &Self) -> f64 {
        let wins = self.0.iter().zip(&other.0).filter(|(own, other)| own <= other).count();
        100.0 * wins as f64 / self.0.len().max(1) as f64
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The time of a call, in milliseconds.
///
/// # Errors
/// Those of the call.
pub fn time<T>(call: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    let result = call()?;
    let took = start.elapsed();
    // What the call returns is dropped after the clock is read.
    drop(result);
    Ok(took.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        values.iter().copied().collect()
    }

    #[test]
    fn quantiles_are_measurements_and_need_no_order() {
        let hundred: Samples = (0..=100).rev().map(f64::from).collect();
        assert_eq!(
            [0.0, 0.1, 0.5, 0.9, 0.99, 1.0].map(|share| hundred.quantile(share)),
            [0.0, 10.0, 50.0, 90.0, 99.0, 100.0]
        );
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(samples(&[7.0]).quantile(0.99), 7.0);
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn a_ratio_is_of_one_round() {
        // Both are disturbed in the second round, so their ratio is the same in each.
        let ratios = samples(&[1.0, 10.0, 2.0]).ratios(&samples(&[2.0, 20.0, 4.0]));
        assert_eq!((ratios.count(), ratios.quantile(0.0), ratios.quantile(1.0)), (3, 0.5, 0.5));
    }

    #[test]
    fn sums_and_wins() {
        let mut own = samples(&[1.0, 5.0, 2.0]);
        own.push_time(Duration::from_micros(1500));
        assert_eq!(own.sum(), 9.5);
        assert_eq!(own.not_above(&samples(&[1.0, 4.0, 3.0, 1.0])), 50.0);
    }

    #[test]
    fn the_time_of_a_call_that_fails_is_no_time() {
        assert!(time(|| Err::<(), _>("no".into())).is_err());
        assert!(time(|| Ok(())).is_ok_and(|ms| ms >= 0.0));
    }
}
