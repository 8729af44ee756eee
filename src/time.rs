//! Points in time, as manifests and revisions have them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time with a resolution of one millisecond. Its text is RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// This point in time, truncated to whole milliseconds.
    #[must_use]
    pub fn from_jiff(time: jiff::Timestamp) -> Self {
        Self(jiff::Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time))
    }

    /// This point in time as a type of the crate `jiff`, for arithmetic and other time zones.
    #[must_use]
    pub const fn as_jiff(&self) -> jiff::Timestamp {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        text.parse().map(Self::from_jiff).map_err(|detail| TimestampError { text: text.to_owned(), detail })
    }
}

/// The error for a text that is not a [`Timestamp`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text:?} is not a time: {detail}")]
pub struct TimestampError {
    text: String,
    detail: jiff::Error,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        // serde_json adds the place of the text to the error.
        text.parse().map_err(|TimestampError { detail, .. }| serde::de::Error::custom(detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_milliseconds_and_read_back() {
        let time = Timestamp::from_jiff("2026-11-22T10:00:00.123987Z".parse().unwrap());
        assert_eq!(time.to_string(), "2026-11-22T10:00:00.123Z");
        assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
        let finer: Timestamp = "2026-11-22T10:00:00.123987Z".parse().unwrap();
        assert_eq!(finer, time, "reading truncates to milliseconds, too");
        let whole: Timestamp = "1969-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(whole.to_string(), "1969-12-31T23:59:59.000Z");
    }
}
