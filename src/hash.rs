//! BLAKE3 digests and store ids: byte strings of fixed length, written as lower-case hexadecimal
//! digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares a byte string of fixed length. Its text, also for serde, is lower-case hexadecimal
/// digits.
macro_rules! hex_value {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// The value of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes of this value.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                let mut bytes = [0; $bytes];
                decode(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_value! {
    /// The BLAKE3 digest of a file's content or of a manifest file: 32 bytes.
    ///
    /// Its text is what the program `b3sum` prints for the same bytes.
    Blake3, 32
}

hex_value! {
    /// The id of a store: 16 random bytes, chosen when the store is created.
    StoreId, 16
}

impl Blake3 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl From<blake3::Hash> for Blake3 {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

/// The error for a text that is not the hexadecimal form of a [`Blake3`] or [`StoreId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it must be {digits} lower-case hexadecimal digits")]
pub struct HexError {
    digits: usize,
}

fn decode(text: &str, into: &mut [u8]) -> Result<(), HexError> {
    let wrong = HexError { digits: into.len() * 2 };
    if text.len() != into.len() * 2 {
        return Err(wrong);
    }
    for (byte, pair) in into.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return Err(wrong) };
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(wrong) };
        *byte = high << 4 | low;
    }
    Ok(())
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_digest_is_the_published_one() {
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Blake3::of(b"").to_string(), empty);
        assert_eq!(empty.parse::<Blake3>().unwrap(), Blake3::of(b""));
    }

    #[test]
    fn only_lower_case_digits_of_the_right_number_are_read() {
        for bad in ["", "00", &"G".repeat(32), &"A".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
            assert_eq!(bad.parse::<StoreId>(), Err(HexError { digits: 32 }), "{bad}");
        }
        assert_eq!("0123456789abcdef0123456789abcdef".parse::<StoreId>().unwrap().as_bytes()[7], 0xef);
    }
}
