//! The JSON text of a value, if it reads back as the same value.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{self, Serializer};

/// What serde_json writes for a float that JSON cannot express, and for a value that is null.
const NULL: &[u8] = b"null";

/// The text of a value, indented by two spaces, with a line feed at the end.
///
/// # Errors
/// When the value cannot be written, or holds a float that is not finite. serde_json writes such a
/// float as `null`, which reads back as something else or not at all.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    // Most values hold no null, and need no second pass.
    if text.windows(NULL.len()).any(|letters| letters == NULL) {
        value.serialize(Finite)?;
    }
    text.push(b'\n');
    Ok(text)
}

fn finite(is_finite: bool, value: impl Display) -> serde_json::Result<()> {
    if is_finite {
        return Ok(());
    }
    Err(ser::Error::custom(format_args!(
        "JSON cannot express the number {value}, which would read back as null"
    )))
}

/// A serializer that writes nothing. It fails at a float that is not finite, at any depth.
#[derive(Clone, Copy)]
struct Finite;

/// Values that hold no float.
macro_rules! pass {
    ($($name:ident($($kind:ty),*))*) => {
        $(fn $name(self, $(_: $kind),*) -> serde_json::Result<()> { Ok(()) })*
    };
}

/// Values that hold other values. The serializer is the same at every depth.
macro_rules! go_in {
    ($($name:ident($($kind:ty),*) -> $compound:ident)*) => {
        $(
            type $compound = Self;
            fn $name(self, $(_: $kind),*) -> serde_json::Result<Self> { Ok(self) }
        )*
    };
}

impl Serializer for Finite {
    type Ok = ();
    type Error = serde_json::Error;

    pass! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
        serialize_none() serialize_unit() serialize_unit_struct(&'static str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    go_in! {
        serialize_seq(Option<usize>) -> SerializeSeq
        serialize_tuple(usize) -> SerializeTuple
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant
        serialize_map(Option<usize>) -> SerializeMap
        serialize_struct(&'static str, usize) -> SerializeStruct
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant
    }

    fn serialize_f32(self, value: f32) -> serde_json::Result<()> {
        finite(value.is_finite(), value)
    }

    fn serialize_f64(self, value: f64) -> serde_json::Result<()> {
        finite(value.is_finite(), value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> serde_json::Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> serde_json::Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> serde_json::Result<()> {
        value.serialize(self)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> serde_json::Result<()> {
        Ok(())
    }
}

/// A compound whose parts have no names, or names that do not matter here.
macro_rules! parts {
    ($($compound:ident::$part:ident($($name:ty)?))*) => {
        $(impl ser::$compound for Finite {
            type Ok = ();
            type Error = serde_json::Error;

            fn $part<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> serde_json::Result<()> {
                value.serialize(*self)
            }

            fn end(self) -> serde_json::Result<()> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq::serialize_element()
    SerializeTuple::serialize_element()
    SerializeTupleStruct::serialize_field()
    SerializeTupleVariant::serialize_field()
    SerializeStruct::serialize_field(&'static str)
    SerializeStructVariant::serialize_field(&'static str)
}

impl ser::SerializeMap for Finite {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> serde_json::Result<()> {
        // serde_json has already refused a key that is neither text nor a finite number.
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> serde_json::Result<()> {
        value.serialize(*self)
    }

    fn end(self) -> serde_json::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct Point<F> {
        name: Option<&'static str>,
        at: F,
    }

    #[derive(Serialize)]
    struct Newtype<F>(F);

    #[derive(Serialize)]
    struct Pair<F>(u8, F);

    #[derive(Serialize)]
    enum Shape<F> {
        Newtype(F),
        Tuple(u8, F),
        Struct { radius: F },
    }

    #[derive(Serialize)]
    #[serde(untagged)]
    enum Untagged<F> {
        Value(F),
    }

    /// The value in every place where serde can put one.
    fn everywhere<F: Serialize + Copy + 'static>(at: F) -> Vec<Box<dyn Fn() -> serde_json::Result<Vec<u8>>>> {
        fn one<T: Serialize + 'static>(value: T) -> Box<dyn Fn() -> serde_json::Result<Vec<u8>>> {
            Box::new(move || to_text(&value))
        }
        vec![
            one(at),
            one(Some(at)),
            one(vec![at, at]),
            one([at]),
            one((1, at)),
            one(Point { name: None, at }),
            one(Newtype(at)),
            one(Pair(1, at)),
            one(Shape::Newtype(at)),
            one(Shape::Tuple(1, at)),
            one(Shape::Struct { radius: at }),
            one(Untagged::Value(at)),
            one(BTreeMap::from([("key", at)])),
            one(BTreeMap::from([(1, Some(vec![Point { name: Some("deep"), at: Newtype(at) }]))])),
        ]
    }

    #[test]
    fn a_float_that_json_cannot_express_is_refused_at_any_depth() {
        let refused = |write: Box<dyn Fn() -> serde_json::Result<Vec<u8>>>, number: &str| {
            let error = write().expect_err(number).to_string();
            assert!(error.contains(&format!("the number {number},")), "{error}");
        };
        for (value, number) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
            everywhere(value).into_iter().for_each(|write| refused(write, number));
            everywhere(value as f32).into_iter().for_each(|write| refused(write, number));
        }
    }

    #[test]
    fn a_value_that_reads_back_is_accepted() {
        for write in everywhere(1.5e300).into_iter().chain(everywhere(-0.25_f32)).chain(everywhere(f64::MAX))
        {
            let text = write().unwrap();
            assert_eq!(text.last(), Some(&b'\n'));
            serde_json::from_slice::<serde_json::Value>(&text).unwrap();
        }
        // A null on purpose, in every form that serde has, beside every other kind of value that
        // the second pass sees.
        #[derive(Serialize)]
        struct Unit;
        #[derive(Serialize)]
        enum Flat {
            Unit,
        }
        let value = (
            (None::<f64>, (), Unit, Flat::Unit, 'c', "null", true),
            (1_i8, 2_i16, 3_i32, 4_i64, 5_i128, 6_u8, 7_u16, 8_u32, 9_u64, 10_u128),
            (serde_json::json!({"a": null, "b": [1.5, null]}), std::net::Ipv4Addr::LOCALHOST),
            BTreeMap::from([('k', 1.5)]),
        );
        let text = to_text(&value).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(read, serde_json::to_value(&value).unwrap());
    }

    #[test]
    fn a_key_that_is_not_text_is_refused() {
        assert!(to_text(&BTreeMap::from([(Some((1, 2)), 1)])).is_err());
    }
}
