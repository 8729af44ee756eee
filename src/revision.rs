//! Generation numbers and the ways to name a generation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The rule that [`Generation::new`] enforces.
const NUMBERS: &str = "a generation is a number from 1 to 9999999999";

/// The number of one committed state of a store, from 1 to 9,999,999,999.
///
/// Each commit has a higher number than the one before. A number that was once seen on the disk is
/// not used again, so there may be gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Generation(u64);

impl Generation {
    /// The lowest number.
    pub const FIRST: Self = Self(1);
    /// The highest number. It has ten digits, and so do the names of manifests: they sort as their
    /// numbers do.
    pub const MAX: Self = Self(9_999_999_999);

    /// The generation with this number.
    ///
    /// # Errors
    /// [`RevisionError`] when the number is 0 or has more than ten digits.
    pub fn new(number: u64) -> Result<Self, RevisionError> {
        if (Self::FIRST.0..=Self::MAX.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(RevisionError { text: number.to_string(), rule: NUMBERS })
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next number. `None` at the end of the range.
    pub(crate) const fn next(self) -> Option<Self> {
        if self.0 < Self::MAX.0 { Some(Self(self.0 + 1)) } else { None }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u64> for Generation {
    type Error = RevisionError;

    fn try_from(number: u64) -> Result<Self, RevisionError> {
        Self::new(number)
    }
}

impl From<Generation> for u64 {
    fn from(generation: Generation) -> Self {
        generation.0
    }
}

/// The error for a text or number that is not a [`Revision`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text:?} is not a revision: {rule}")]
#[non_exhaustive]
pub struct RevisionError {
    /// The text.
    pub text: String,
    /// The rule that the text breaks, as a clause for a person.
    pub rule: &'static str,
}

/// A way to name a generation. Every call that takes a revision also takes its text, through
/// [`IntoRevision`].
///
/// | text | names |
/// |---|---|
/// | `latest` | the newest generation |
/// | `latest~2` | two generations before the newest |
/// | `41` | the generation with this number |
/// | `2026-11-22` | the newest generation created on or before that day, in UTC |
/// | `2026-11-22T10:00:00Z` | the newest generation created at or before that time (RFC 3339) |
///
/// A time without a fraction means the end of that second, as a date means the end of that day.
/// `Display` gives the shortest text of the same revision; a time is in UTC.
///
/// ```
/// use genstore::Revision;
///
/// assert_eq!("latest~2".parse::<Revision>()?, Revision::Back(2));
/// assert!("yesterday".parse::<Revision>().is_err());
/// # Ok::<(), genstore::RevisionError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Revision {
    /// The newest generation.
    Latest,
    /// The generation this many steps before the newest, from each generation to its parent.
    Back(u64),
    /// The generation with this number.
    Generation(Generation),
    /// The newest generation that was created at or before this time.
    At(Timestamp),
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Back(steps) => write!(f, "latest~{steps}"),
            Self::Generation(generation) => generation.fmt(f),
            Self::At(time) => {
                let at = time.as_jiff();
                let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
                // What stands for the end of a day or of a second was most likely read from such a
                // text. Both texts name the same revision. Years before 1 have no short form.
                if date.year() < 1 || at.as_millisecond().rem_euclid(1000) != 999 {
                    time.fmt(f)
                } else if end_of(date) == Some(*time) {
                    write!(f, "{}", at.strftime("%Y-%m-%d"))
                } else {
                    write!(f, "{}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
                }
            }
        }
    }
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let bad = |rule| RevisionError { text: text.to_owned(), rule };
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Some(steps) = text.strip_prefix("latest~") {
            return digits(steps).map(Self::Back).ok_or_else(|| bad("latest~ is followed by a number"));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            let number = digits(text).ok_or_else(|| bad(NUMBERS))?;
            return Generation::new(number).map(Self::Generation).map_err(|_| bad(NUMBERS));
        }
        if let Ok(date) = text.parse::<jiff::civil::Date>()
            && text.len() == "2026-11-22".len()
        {
            return end_of(date).map(Self::At).ok_or_else(|| bad("the date must lie in the years 1 to 9998"));
        }
        let time: Timestamp = text.parse().map_err(|_| {
            bad(
                "a revision is a number, latest, latest~N, a date (2026-11-22) or a time with its offset (2026-11-22T10:00:00Z)",
            )
        })?;
        // A time without a fraction means the end of its second, as a date means the end of its
        // day.
        let rest = jiff::SignedDuration::from_millis(if text.contains(['.', ',']) { 0 } else { 999 });
        Ok(Self::At(time.as_jiff().checked_add(rest).map_or(time, Timestamp::from_jiff)))
    }
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// The last millisecond of a day in UTC.
fn end_of(date: jiff::civil::Date) -> Option<Timestamp> {
    let midnight = date.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let last = midnight.checked_sub(jiff::SignedDuration::from_millis(1)).ok()?;
    Some(Timestamp::from_jiff(last))
}

/// A value that names a generation: a text, a number, a [`Revision`] or a [`Generation`].
pub trait IntoRevision {
    /// Converts the value.
    ///
    /// # Errors
    /// [`RevisionError`] when the text or number is not a revision.
    fn into_revision(self) -> Result<Revision, RevisionError>;
}

impl IntoRevision for Revision {
    fn into_revision(self) -> Result<Revision, RevisionError> {
        Ok(self)
    }
}

impl IntoRevision for Generation {
    fn into_revision(self) -> Result<Revision, RevisionError> {
        Ok(Revision::Generation(self))
    }
}

impl IntoRevision for u64 {
    fn into_revision(self) -> Result<Revision, RevisionError> {
        Generation::new(self).map(Revision::Generation)
    }
}

impl IntoRevision for &str {
    fn into_revision(self) -> Result<Revision, RevisionError> {
        self.parse()
    }
}

impl IntoRevision for String {
    fn into_revision(self) -> Result<Revision, RevisionError> {
        self.parse()
    }
}

impl IntoRevision for &String {
    fn into_revision(self) -> Result<Revision, RevisionError> {
        self.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let read = |text: &str| text.parse::<Revision>().unwrap();
        assert_eq!(read("latest"), Revision::Latest);
        assert_eq!(read("latest~0"), Revision::Back(0));
        assert_eq!(read("latest~12"), Revision::Back(12));
        assert_eq!(read("41"), Revision::Generation(Generation::new(41).unwrap()));
        assert_eq!(
            read("2026-11-22T10:00:00+02:00"),
            Revision::At("2026-11-22T08:00:00.999Z".parse().unwrap())
        );
        assert_eq!(read("2026-11-22T10:00:00.5Z"), Revision::At("2026-11-22T10:00:00.500Z".parse().unwrap()));
        assert_eq!(read("2026-11-22"), Revision::At("2026-11-22T23:59:59.999Z".parse().unwrap()));
    }

    #[test]
    fn every_form_is_shown_as_it_was_read() {
        for text in [
            "latest",
            "latest~2",
            "41",
            "2026-11-22",
            "0001-01-01",
            "1969-12-31",
            "2026-11-22T10:00:00Z",
            "1969-12-31T23:59:58Z",
            "2026-11-22T10:00:00.500Z",
            "2026-11-22T10:00:00.000Z",
        ] {
            let revision: Revision = text.parse().unwrap();
            assert_eq!(revision.to_string(), text);
        }
        let shown = |text: &str| text.parse::<Revision>().unwrap().to_string();
        assert_eq!(shown("2026-11-22T10:00:00+02:00"), "2026-11-22T08:00:00Z");
        assert_eq!(shown("2026-11-22T23:59:59Z"), "2026-11-22");
        // Years before 1 have no short form.
        for text in ["-000044-03-15T00:00:00Z", "0000-12-31T23:59:59Z"] {
            assert_eq!(shown(text).parse::<Revision>(), text.parse(), "{}", shown(text));
        }
    }

    #[test]
    fn a_text_that_is_not_a_revision_is_refused_with_the_rule() {
        for text in [
            "",
            "0",
            "10000000000",
            "99999999999999999999",
            "-1",
            "latest~",
            "latest~-1",
            "latest~x",
            "yesterday",
            "2026-13-01",
            "2026-11-22T10:00:00",
            "9999-12-31",
        ] {
            let error = text.parse::<Revision>().expect_err(text);
            assert_eq!(error.text, text);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
