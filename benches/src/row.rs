//! A row of the comparison: what was measured of each contestant, and the targets.

use serde::{Deserialize, Serialize};

use crate::stats::Samples;

/// The measurements of each contestant, in the order in which they entered.
#[derive(Clone, Debug, Default)]
pub struct Measured(pub Vec<(String, Samples)>);

impl Measured {
    fn of(&self, name: &str) -> Option<&Samples> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, samples)| samples)
    }
}

/// A row of the comparison.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The name that `--only` takes, or begins with.
    pub name: String,
    /// The work.
    pub title: String,
    /// The unit of the figures, such as `ms`.
    pub unit: String,
    /// What is smaller than the row says. Such a row meets no target and misses none.
    pub scaled: Option<String>,
    /// The contestant to which the ratios in `contestants` are.
    pub peer: String,
    /// The figures of each contestant.
    pub contestants: Vec<Figures>,
    /// The targets.
    pub checks: Vec<Check>,
    #[serde(skip)]
    measured: Measured,
}

/// The figures of one contestant.
#[derive(Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Its name.
    pub name: String,
    /// The number of measurements.
    pub rounds: usize,
    /// A tenth of the measurements is at most this.
    pub p10: f64,
    /// Half of the measurements is at most this.
    pub median: f64,
    /// Nine tenths of the measurements are at most this.
    pub p90: f64,
    /// 99 of 100 measurements are at most this.
    pub p99: f64,
    /// Its median to that of the row's peer. None if that is 0.
    pub ratio: Option<f64>,
}

/// The side of the target on which the value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The value is the target or less.
    AtMost,
    /// The value is the target or more.
    AtLeast,
}

impl Bound {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtMost => "at most",
            Self::AtLeast => "at least",
        }
    }

    fn holds(self, value: f64, target: f64) -> bool {
        match self {
            Self::AtMost => value <= target,
            Self::AtLeast => value >= target,
        }
    }
}

/// A target, and what was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Check {
    /// The contestant.
    pub of: String,
    /// The peer. Without one the value is the median itself, and not a ratio.
    pub against: Option<String>,
    /// The ratio of the medians.
    pub value: f64,
    /// The 10th percentile of the ratios of single rounds.
    pub low: f64,
    /// The 90th percentile of the ratios of single rounds.
    pub high: f64,
    /// The side of the target.
    pub bound: Bound,
    /// The target.
    pub target: f64,
    /// Whether the value is on the right side. Nothing is said of a scaled row.
    pub met: Option<bool>,
}

impl Row {
    /// A row of these measurements, with ratios to the median of `peer`.
    #[must_use]
    pub fn new(name: &str, title: &str, unit: &str, peer: &str, measured: Measured) -> Self {
        let base = measured.of(peer).map_or(f64::NAN, Samples::median);
        let figures = |(name, samples): &(String, Samples)| Figures {
            name: name.clone(),
            rounds: samples.count(),
            p10: samples.quantile(0.1),
            median: samples.median(),
            p90: samples.quantile(0.9),
            p99: samples.quantile(0.99),
            ratio: Some(samples.median() / base).filter(|ratio| ratio.is_finite()),
        };
        Self {
            name: name.into(),
            title: title.into(),
            unit: unit.into(),
            scaled: None,
            peer: peer.into(),
            contestants: measured.0.iter().map(figures).collect(),
            checks: Vec::new(),
            measured,
        }
    }

    /// Says that the row is smaller than it should be, if it is.
    #[must_use]
    pub fn scaled(mut self, how: Option<String>) -> Self {
        if how.is_some() {
            self.scaled = how;
            self.checks.iter_mut().for_each(|check| check.met = None);
        }
        self
    }

    /// Says that the row has few rounds, unless it says more than that already.
    #[must_use]
    pub fn quick(self) -> Self {
        let how = self.scaled.clone().unwrap_or_else(|| "few rounds".into());
        self.scaled(Some(how))
    }

    /// Adds a target for the ratio of two contestants. There is none without the peer.
    #[must_use]
    pub fn ratio(mut self, of: &str, against: &str, bound: Bound, target: f64) -> Self {
        if let (Some(own), Some(peer)) = (self.measured.of(of), self.measured.of(against)) {
            let value = own.median() / peer.median();
            let check = self.check(of, Some(against), value, &own.ratios(peer), bound, target);
            self.checks.push(check);
        }
        self
    }

    /// Adds a target for the median of a contestant.
    #[must_use]
    pub fn value(mut self, of: &str, bound: Bound, target: f64) -> Self {
        if let Some(own) = self.measured.of(of) {
            let check = self.check(of, None, own.median(), own, bound, target);
            self.checks.push(check);
        }
        self
    }

    fn check(
        &self,
        of: &str,
        against: Option<&str>,
        value: f64,
        spread: &Samples,
        bound: Bound,
        target: f64,
    ) -> Check {
        Check {
            of: of.into(),
            against: against.map(Into::into),
            value,
            low: spread.quantile(0.1),
            high: spread.quantile(0.9),
            bound,
            target,
            met: self.scaled.is_none().then(|| bound.holds(value, target)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(scaled: Option<String>) -> Row {
        let of = |name: &str, values: [f64; 3]| (name.to_owned(), values.into_iter().collect());
        let measured = Measured(vec![of("ours", [1.0, 2.0, 9.0]), of("theirs", [4.0, 4.0, 6.0])]);
        Row::new("row", "a row", "ms", "theirs", measured)
            .ratio("ours", "theirs", Bound::AtMost, 0.5)
            .ratio("ours", "theirs", Bound::AtMost, 0.4)
            .ratio("theirs", "ours", Bound::AtLeast, 2.0)
            .ratio("theirs", "ours", Bound::AtLeast, 2.1)
            .value("ours", Bound::AtMost, 1.9)
            .ratio("ours", "absent", Bound::AtMost, 1.0)
            .scaled(scaled)
    }

    fn met(row: &Row) -> Vec<Option<bool>> {
        row.checks.iter().map(|check| check.met).collect()
    }

    #[test]
    fn targets_are_inclusive_and_need_their_peer() {
        let row = row(None);
        assert_eq!(met(&row), [true, false, true, false, false].map(Some));
        let ratios: Vec<_> = row.contestants.iter().map(|figures| figures.ratio).collect();
        assert_eq!(ratios, [Some(0.5), Some(1.0)]);
        let first = row.checks.first().map(|check| (check.value, check.low, check.high));
        assert_eq!(first, Some((0.5, 0.25, 1.5)));
    }

    #[test]
    fn a_scaled_row_claims_nothing() {
        let scaled = row(Some("10 files for 100".into())).quick();
        assert_eq!((met(&scaled), scaled.scaled.as_deref()), (vec![None; 5], Some("10 files for 100")));
        let quick = row(None).quick();
        assert_eq!((met(&quick), quick.scaled.as_deref()), (vec![None; 5], Some("few rounds")));
    }
}
