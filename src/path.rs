//! The paths of files in a store.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::is_nfc;

/// The longest part of a [`StorePath`], in bytes of UTF-8.
pub const PART_MAX: usize = 200;
/// The longest [`StorePath`], in bytes of UTF-8.
pub const PATH_MAX: usize = 1024;

/// The path of a file in a store, such as `shops/downtown.json`.
///
/// Every path is portable: a store can be copied to any common file system, and exported there. So
/// a path must keep these rules:
///
/// - It is relative, and its parts are separated by `/`. No part is empty, `.` or `..`.
/// - It is Unicode in Normalization Form C.
/// - It has no control character and none of `\ : * ? " < > |`.
/// - No part ends in a dot or a space, or is the name of a Windows device such as `con.txt`.
/// - No part ends in `.g` and digits, as the store marks its own files this way.
/// - A part has at most [`PART_MAX`] bytes, and the whole path at most [`PATH_MAX`].
///
/// Two more rules hold for all paths of a generation together. No two differ only in case, and none
/// is a directory of another. A commit checks them.
///
/// The calls of this crate take a path as text and check it. Paths are ordered by their bytes. A
/// clone is cheap.
///
/// ```
/// use genstore::StorePath;
///
/// let path: StorePath = "shops/downtown.json".parse()?;
/// assert_eq!(path.as_str(), "shops/downtown.json");
/// let error = StorePath::new("shops/../downtown.json").unwrap_err();
/// assert_eq!(error.rule, "a path must have no '.' or '..' part");
/// # Ok::<(), genstore::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(Arc<str>);

impl StorePath {
    /// The path `text`, if it keeps the rules.
    ///
    /// # Errors
    /// [`PathError`], which has the text and the rule that it breaks.
    pub fn new(text: &str) -> Result<Self, PathError> {
        match check(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(rule) => Err(PathError { path: text.to_owned(), rule }),
        }
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path with the case of its letters folded away. Two live paths may not have the same key.
    ///
    /// Each letter is folded without its context, so that the key of a directory is a prefix of the
    /// keys of its files.
    pub(crate) fn key(&self) -> Arc<str> {
        let folded = fold(&self.0);
        if folded.as_str() == &*self.0 { Arc::clone(&self.0) } else { folded.into() }
    }
}

/// The error for a text that is not a [`StorePath`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path:?} is not a path a store can hold: {rule}")]
#[non_exhaustive]
pub struct PathError {
    /// The text.
    pub path: String,
    /// The rule that the text breaks, as a clause for a person.
    pub rule: &'static str,
}

/// The proper prefixes of `path` that end before a `/`, the shortest first.
pub(crate) fn directories(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

/// Folds the case of every letter by itself: to upper case if that is one letter, then to lower
/// case.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        let mut upper = letter.to_uppercase();
        let upper = if upper.len() == 1 { upper.next().unwrap_or(letter) } else { letter };
        folded.extend(upper.to_lowercase());
    }
    folded
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("a path must not be empty");
    }
    if text.len() > PATH_MAX {
        return Err("a path must not be longer than 1024 bytes");
    }
    if text.starts_with('/') {
        return Err("a path must be relative, not start with a slash");
    }
    if text.contains('\\') {
        return Err("a path must separate its parts with a slash and hold no backslash");
    }
    if text.chars().any(char::is_control) {
        return Err("a path must hold no control character");
    }
    if text.contains([':', '*', '?', '"', '<', '>', '|']) {
        return Err("a path must hold none of : * ? \" < > |");
    }
    if !is_nfc(text) {
        return Err("a path must be in Unicode Normalization Form C");
    }
    text.split('/').try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), &'static str> {
    match part {
        "" => return Err("a path must have no empty part"),
        "." | ".." => return Err("a path must have no '.' or '..' part"),
        _ => {}
    }
    if part.len() > PART_MAX {
        return Err("a part of a path must not be longer than 200 bytes");
    }
    if part.ends_with(['.', ' ']) {
        return Err("a part of a path must not end in a dot or a space");
    }
    if has_generation_suffix(part) {
        return Err(
            "a part of a path must not end in .g and digits, which is how the store marks generations",
        );
    }
    if is_device(part) {
        return Err("a part of a path must not be the name of a Windows device");
    }
    Ok(())
}

fn has_generation_suffix(part: &str) -> bool {
    part.rsplit_once(".g")
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// A device name counts with any extension and in any case:
/// <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end_matches(' ').to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    matches!(number, Some("0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"))
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for StorePath {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for StorePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for StorePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}

impl Serialize for StorePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StorePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_names_the_rule() {
        let long_part = "a".repeat(201);
        let long_path = [
            "a".repeat(200),
            "b".repeat(200),
            "c".repeat(200),
            "d".repeat(200),
            "e".repeat(200),
            "f".repeat(20),
        ]
        .join("/");
        assert_eq!(long_path.len(), 1025);
        let cases = [
            ("", "empty"),
            ("/etc/passwd", "relative"),
            ("a//b", "no empty part"),
            ("a/", "no empty part"),
            ("./a", "'.' or '..'"),
            ("a/../b", "'.' or '..'"),
            ("..", "'.' or '..'"),
            ("a\\b", "backslash"),
            ("a\0b", "control"),
            ("a\nb", "control"),
            ("a\u{7f}", "control"),
            ("a\u{85}", "control"),
            ("c:/x", "none of"),
            ("a*", "none of"),
            ("a?", "none of"),
            ("a|b", "none of"),
            ("\"a\"", "none of"),
            ("<a>", "none of"),
            ("e\u{301}", "Normalization Form C"),
            ("a./b", "dot or a space"),
            ("a /b", "dot or a space"),
            ("a...", "dot or a space"),
            ("CON", "Windows device"),
            ("con.txt", "Windows device"),
            ("x/nul", "Windows device"),
            ("x/Com1.tar.gz", "Windows device"),
            ("lpt9", "Windows device"),
            ("COM¹", "Windows device"),
            ("a/b.g7", ".g and digits"),
            ("a.g7/b", ".g and digits"),
            (".g0", ".g and digits"),
            (long_part.as_str(), "200 bytes"),
            (long_path.as_str(), "1024 bytes"),
        ];
        for (path, rule) in cases {
            let error = StorePath::new(path).expect_err(path);
            assert_eq!(error.path, path);
            assert!(error.to_string().contains(rule), "{path:?}: {error}");
        }
    }

    #[test]
    fn a_path_that_only_looks_bad_is_accepted() {
        let longest = [
            "a".repeat(200),
            "b".repeat(200),
            "c".repeat(200),
            "d".repeat(200),
            "e".repeat(200),
            "f".repeat(19),
        ]
        .join("/");
        assert_eq!(longest.len(), 1024);
        for path in [
            "a",
            ".hidden",
            "a.g",
            "a.gx7",
            "a.g7.json",
            "CONSOLE",
            "com10",
            "é",
            "a b",
            "..a",
            "a!b",
            &longest,
        ] {
            assert_eq!(StorePath::new(path).expect(path).as_str(), path);
        }
    }

    #[test]
    fn case_is_folded_letter_by_letter() {
        let key = |text: &str| StorePath::new(text).unwrap().key().to_string();
        assert_eq!(key("Stores/ÄÉ.JSON"), "stores/äé.json");
        assert_eq!(key("ΟΔΟΣ"), key("οδος"));
        assert_eq!(key("ſ"), key("s"));
        assert_ne!(key("straße"), key("strasse"));
    }

    proptest! {
        #[test]
        fn any_accepted_text_is_kept_and_has_no_bad_part(text in "\\PC{0,40}|[a-z./ ]{0,20}") {
            if let Ok(path) = StorePath::new(&text) {
                prop_assert_eq!(path.as_str(), text.as_str());
                prop_assert!(text.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            }
        }

        #[test]
        fn a_directories_key_is_a_prefix_of_its_files_keys(directory in "[a-zA-ZÄÖÜäöüΣσς]{1,8}", file in "[a-zA-ZÄÖÜäöüΣσς]{1,8}") {
            if let Ok(path) = StorePath::new(&format!("{directory}/{file}")) {
                let key = fold(&directory) + "/";
                prop_assert!(path.key().starts_with(&key));
            }
        }
    }
}
