//! The properties of paths, revisions and names. What is accepted is what the documented grammar
//! describes, which is written here a second time. What is shown reads back the same.

use unicode_normalization::UnicodeNormalization as _;

use crate::format::names::Name;
use crate::path::StorePath;
use crate::revision::{Generation, Revision};

/// The rules of `docs/format.md` for a store path, in the order of that page.
fn is_path(text: &str) -> bool {
    let is_whole = (1..=1024).contains(&text.len()) && text.nfc().eq(text.chars());
    let is_bad = |letter: char| {
        let number = u32::from(letter);
        number <= 0x1F || (0x7F..=0x9F).contains(&number) || "\\:*?\"<>|".contains(letter)
    };
    is_whole && !text.chars().any(is_bad) && text.split('/').all(is_part)
}

fn is_part(part: &str) -> bool {
    let digits = part.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_marked = digits.len() < part.len() && digits.ends_with(".g");
    let stem = part.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    let mut devices: Vec<String> = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].map(String::from).into();
    for digit in "0123456789¹²³".chars() {
        devices.extend([format!("COM{digit}"), format!("LPT{digit}")]);
    }
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.len() <= 200
        && !part.ends_with('.')
        && !part.ends_with(' ')
        && !is_marked
        && !devices.contains(&stem)
}

/// Panics if a text was accepted as a path but is none.
pub(super) fn assert_path(text: &str) {
    assert!(is_path(text), "{text:?} is no path");
}

pub(super) fn path(text: &str) {
    let path = StorePath::new(text);
    assert_eq!(path.is_ok(), is_path(text), "{text:?}: {path:?}");
    let Ok(path) = path else { return };
    assert_eq!((path.as_str(), path.to_string().as_str()), (text, text));
    let json = serde_json::to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<StorePath>(&json).unwrap(), path);
    assert_eq!(*path.key(), super::reader::fold(text));
    for (at, _) in text.match_indices('/') {
        let directory = StorePath::new(&text[..at]).expect("a directory of a path is a path").key();
        assert!(
            path.key().starts_with(&format!("{directory}/")),
            "the key of a directory begins the keys of its files"
        );
    }
}

pub(super) fn revision(text: &str) {
    let Ok(revision) = text.parse::<Revision>() else { return };
    let shown = revision.to_string();
    assert_eq!(
        shown.parse::<Revision>().unwrap_or_else(|error| panic!("{text:?}: {error}")),
        revision,
        "{text:?}"
    );
    assert!(text.is_ascii(), "{text:?} is {revision:?}");
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match revision {
        Revision::Latest => assert_eq!(text, "latest"),
        Revision::Back(_) => assert!(text.starts_with("latest~")),
        Revision::Generation(generation) => {
            assert!(is_number && (1..=9_999_999_999).contains(&generation.get()), "{text:?}");
        }
        Revision::At(time) => {
            assert!(!is_number, "{text:?}");
            assert_eq!(time.as_jiff().subsec_nanosecond() % 1_000_000, 0, "{text:?} has whole milliseconds");
        }
    }
}

/// The grammar of names in `docs/format.md`.
fn is_name(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_ten = |text: &str| text.len() == 10 && is_digits(text) && text != "0000000000";
    let is_short = |text: &str| text.len() <= 10 && is_digits(text) && !text.starts_with('0');
    match text.split_once('/') {
        None => text == "CURRENT" || text == "CURRENT.next",
        Some(("manifests", file)) => file.strip_suffix(".json").is_some_and(is_ten),
        Some(("checkpoints", file)) => file.strip_suffix(".jsonl").is_some_and(is_ten),
        Some(("data", file)) => {
            file.rsplit_once(".g").is_some_and(|(path, number)| is_path(path) && is_short(number))
        }
        Some(("staging", token)) => {
            token.len() == 16 && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        }
        Some(("locks", "writer")) => true,
        Some(("locks", lock)) => lock
            .split_once('-')
            .is_some_and(|(kind, number)| matches!(kind, "pin" | "used") && is_short(number)),
        Some(_) => false,
    }
}

pub(super) fn name(text: &str) {
    let name = Name::parse(text);
    assert_eq!(name.is_some(), is_name(text), "{text:?}: {name:?}");
    let Some(name) = name else { return };
    assert_eq!(name.to_string(), text);
    let number = text.rsplit_once(".g").filter(|_| text.starts_with("data/")).map(|(_, number)| number);
    let number = number.or_else(|| text.strip_prefix("manifests/")?.strip_suffix(".json"));
    assert_eq!(name.generation().map(Generation::get), number.map(|number| number.parse().unwrap()));
}

/// Builds a name from the bytes, shows it and reads it back.
pub(super) fn name_of(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<9>() else { return };
    let number = u64::from_le_bytes(std::array::from_fn(|at| head[at + 1]));
    let generation = Generation::new(number % 9_999_999_999 + 1).unwrap();
    let name = match head[0] % 8 {
        0 => Name::Pointer,
        1 => Name::NextPointer,
        2 => Name::Manifest(generation),
        3 => Name::Checkpoint(generation),
        4 => Name::Staged(number),
        5 => Name::WriterLock,
        6 if number.is_multiple_of(2) => Name::Pin(generation),
        6 => Name::Used(generation),
        _ => match StorePath::new(&String::from_utf8_lossy(rest)) {
            Ok(path) => Name::Data(path, generation),
            Err(_) => return,
        },
    };
    assert_eq!(Name::parse(&name.to_string()), Some(name));
}
