//! Reads JSON more strictly than serde: no duplicate keys, nothing after the end, unknown fields
//! kept.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{FORMAT, FormatError};

/// The fields that this version of the program does not know, kept unchanged.
pub(crate) type Extra = BTreeMap<String, Value>;

/// Parses one JSON document. Refuses duplicate keys at any depth.
///
/// serde_json bounds the depth (128), and the caller bounds the size.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, FormatError> {
    let mut document = serde_json::Deserializer::from_str(text);
    let values = Cell::new(0);
    UniqueKeys(&values)
        .deserialize(&mut document)
        .and_then(|()| document.end())
        .map_err(|e| FormatError::Json(e.to_string()))?;
    serde_json::from_str(text).map_err(|e| FormatError::Json(e.to_string()))
}

/// A document that states the version of its format.
pub(crate) trait Versioned: DeserializeOwned {
    fn format(&self) -> u64;
}

/// Parses one JSON document that states the version of its format.
///
/// A later format is reported first, as every other field may differ in it.
pub(crate) fn read_versioned<T: Versioned>(text: &str) -> Result<T, FormatError> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: u64,
    }
    let document: T = read(text).or_else(|why| {
        let version: Version = serde_json::from_str(text).map_err(|_| why.clone())?;
        known_format(version.format).and(Err(why))
    })?;
    known_format(document.format())?;
    Ok(document)
}

/// Fails when a document is in a format that this program does not read.
pub(crate) fn known_format(format: u64) -> Result<(), FormatError> {
    match format {
        FORMAT => Ok(()),
        0 => Err(FormatError::rule("there is no format 0")),
        newer => Err(FormatError::Newer(newer)),
    }
}

/// The text of a value as one line of JSON.
pub(crate) fn write<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, FormatError> {
    serde_json::to_string(value).map_err(|e| FormatError::Json(e.to_string()))
}

/// The most values in one document. A manifest with the most changes allowed has fewer.
const VALUES_MAX: usize = 10_000_000;

/// Walks a document and counts its values. Keeps only the keys of the objects that enclose the
/// current value.
#[derive(Clone, Copy)]
struct UniqueKeys<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for UniqueKeys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.set(self.0.get() + 1);
        if self.0.get() > VALUES_MAX {
            return Err(D::Error::custom(format_args!("there are more than {VALUES_MAX} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = map.next_key_seed(Key)? {
            map.next_value_seed(self)?;
            keys.push(key);
        }
        keys.sort_unstable();
        match keys.windows(2).find(|pair| matches!(pair, [one, two] if one == two)) {
            Some([key, _]) => {
                Err(A::Error::custom(format_args!("the key {key:?} stands twice in one object")))
            }
            _ => Ok(()),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key. It is copied only if it contains escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read::<Value>(text).expect_err(text).to_string()
    }

    #[test]
    fn duplicate_keys_are_found_at_any_depth() {
        assert!(refused(r#"{"a":1,"b":{"x":[{"k":1,"k":2}]}}"#).contains(r#""k" stands twice"#));
        assert!(refused(r#"{"a":1,"\u0061":1}"#).contains(r#""a" stands twice"#));
        assert_eq!(read::<Value>(r#"{"a":{"k":1},"b":{"k":1}}"#).unwrap()["b"]["k"], 1);
    }

    #[test]
    fn depth_is_bounded_and_nothing_may_follow() {
        assert!(refused(&"[".repeat(100_000)).contains("recursion limit"));
        assert!(
            refused(&format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)))
                .contains("recursion limit")
        );
        assert!(refused(&format!("[{}0]", "0,".repeat(VALUES_MAX))).contains("more than 10000000 values"));
        assert!(refused("{} {}").contains("trailing characters"));
        assert!(refused("\u{feff}{}").contains("expected value"));
        assert!(refused("NaN").contains("expected value"));
        assert!(refused("1e400").contains("out of range"));
    }
}
