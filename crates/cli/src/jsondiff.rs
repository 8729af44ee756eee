//! The differences between two JSON documents, by JSON pointer.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};

/// One changed value. A side without the value is `None`, which is not the same as `null`.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Change<'a> {
    /// RFC 6901. An array index counts in the new document. For a removed element it counts in the
    /// old one.
    pub(crate) pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<&'a Value>,
}

/// All changed values. The list is empty if the values are equal, even if their texts differ.
pub(crate) fn changes<'a>(from: &'a Value, to: &'a Value) -> Vec<Change<'a>> {
    let mut found = Vec::new();
    value("", Some(from), Some(to), &mut found);
    found
}

/// Compares two values. The parser's limit on nesting bounds the recursion.
fn value<'a>(pointer: &str, from: Option<&'a Value>, to: Option<&'a Value>, found: &mut Vec<Change<'a>>) {
    match (from, to) {
        (Some(Value::Object(from)), Some(Value::Object(to))) => object(pointer, from, to, found),
        (Some(Value::Array(from)), Some(Value::Array(to))) => array(pointer, from, to, found),
        (from, to) if from == to => {}
        (from, to) => found.push(Change { pointer: pointer.to_owned(), from, to }),
    }
}

fn object<'a>(
    pointer: &str,
    from: &'a Map<String, Value>,
    to: &'a Map<String, Value>,
    found: &mut Vec<Change<'a>>,
) {
    let mut keys: Vec<&String> = from.keys().chain(to.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
        value(&pointer, from.get(key), to.get(key), found);
    }
}

/// Aligns the elements first. Without that, one insertion would make every later element look
/// changed.
fn array<'a>(pointer: &str, from: &'a [Value], to: &'a [Value], found: &mut Vec<Change<'a>>) {
    for step in capture_diff_slices_deadline(Algorithm::Myers, from, to, deadline()) {
        let (tag, old, new) = step.as_tag_tuple();
        if tag == DiffTag::Equal {
            continue;
        }
        // Replaced elements are compared pair by pair. The rest of the longer side was removed or
        // added.
        let pairs = old.len().max(new.len());
        for (old, new) in over(old).zip(over(new)).take(pairs) {
            let index = new.or(old).unwrap_or_default();
            let at = |list: &'a [Value], index: Option<usize>| index.and_then(|index| list.get(index));
            value(&format!("{pointer}/{index}"), at(from, old), at(to, new), found);
        }
    }
}

/// The time limit of the search for the smallest difference. After it the search settles for a
/// longer one, which is correct as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

#[expect(clippy::disallowed_methods, reason = "the command limits the time of its own work")]
fn deadline() -> Option<Instant> {
    Instant::now().checked_add(PATIENCE)
}

fn over(range: std::ops::Range<usize>) -> impl Iterator<Item = Option<usize>> {
    range.map(Some).chain(std::iter::repeat(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// One line for each change: `pointer: from -> to`. An absent value is `-`.
    fn lines(from: &Value, to: &Value) -> Vec<String> {
        let show = |value: Option<&Value>| value.map_or_else(|| "-".to_owned(), Value::to_string);
        changes(from, to)
            .iter()
            .map(|change| format!("{}: {} -> {}", change.pointer, show(change.from), show(change.to)))
            .collect()
    }

    #[test]
    fn a_value_inside_objects() {
        let from = json!({"name": "Downtown", "hours": {"friday": "09:00", "monday": null}});
        let to = json!({"name": "Downtown", "hours": {"friday": "10:00", "sunday": []}});
        assert_eq!(
            lines(&from, &to),
            ["/hours/friday: \"09:00\" -> \"10:00\"", "/hours/monday: null -> -", "/hours/sunday: - -> []"]
        );
    }

    #[test]
    fn an_inserted_element_is_one_change() {
        let from = json!({"days": ["mon", "tue", "wed", "thu"]});
        let to = json!({"days": ["mon", "new", "tue", "wed", "thu"]});
        assert_eq!(lines(&from, &to), ["/days/1: - -> \"new\""]);
        assert_eq!(lines(&to, &from), ["/days/1: \"new\" -> -"]);
    }

    #[test]
    fn a_change_behind_an_insertion_is_found_inside_its_element() {
        let from = json!([{"id": 1}, {"id": 2}, {"id": 3, "open": true}, {"id": 4}]);
        let to = json!([{"id": 0}, {"id": 1}, {"id": 2}, {"id": 3, "open": false}, {"id": 4}]);
        assert_eq!(lines(&from, &to), ["/0: - -> {\"id\":0}", "/3/open: true -> false"]);
    }

    #[test]
    fn replaced_runs_of_different_length() {
        assert_eq!(lines(&json!([1, 2, 9]), &json!([3, 9])), ["/0: 1 -> 3", "/1: 2 -> -"]);
        assert_eq!(lines(&json!([1, 9]), &json!([3, 4, 9])), ["/0: 1 -> 3", "/1: - -> 4"]);
    }

    #[test]
    fn names_are_escaped() {
        let from = json!({"a/b": {"m~n": 1}, "": 1, " ": 1});
        let to = json!({"a/b": {"m~n": 2}, "": 2, " ": 1});
        assert_eq!(lines(&from, &to), ["/: 1 -> 2", "/a~1b/m~0n: 1 -> 2"]);
    }

    #[test]
    fn the_whole_document_is_the_empty_pointer() {
        assert_eq!(lines(&json!([]), &json!({})), [": [] -> {}"]);
        assert_eq!(lines(&json!({"a": 1, "b": [1]}), &json!({"b": [1], "a": 1})), [""; 0]);
    }

    #[test]
    fn absent_is_not_null() {
        let (from, to) = (json!({"a": null}), json!({"b": null}));
        let found = serde_json::to_value(changes(&from, &to)).unwrap();
        assert_eq!(found, json!([{"pointer": "/a", "from": null}, {"pointer": "/b", "to": null}]));
    }
}
