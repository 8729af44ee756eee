//! The differences inside one file, and how they are printed for people.

use std::io::{self, Write};

use genstore::{FileEntry, Snapshot};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::jsondiff::{self, PATIENCE};
use crate::output::{MARK, MINUS, Out, PLUS};
use crate::term::{clean, count};

/// Aligning lines takes memory and time. Longer text is shown by length and hash.
const TEXT_LIMIT: u64 = 1 << 20;
/// A parsed document takes many times the memory of its text.
const JSON_LIMIT: u64 = 8 << 20;
/// The characters of a changed value that fit on its line. --json prints the whole value.
const VALUE_LIMIT: usize = 160;

pub(crate) enum Content {
    /// Both sides are JSON. If the values are equal, the texts are compared.
    Json {
        from: Value,
        to: Value,
        texts: Option<(String, String)>,
    },
    Text(String, String),
    /// Only length and hash are shown. The text says why.
    Opaque(&'static str),
}

impl Content {
    pub(crate) fn read(from: (&Snapshot, &FileEntry), to: (&Snapshot, &FileEntry)) -> genstore::Result<Self> {
        let longest = from.1.bytes.max(to.1.bytes);
        if longest > JSON_LIMIT {
            return Ok(Self::Opaque("larger than 8 MiB"));
        }
        let from = from.0.get(from.1.path.as_str())?;
        let to = to.0.get(to.1.path.as_str())?;
        let documents = (document(&from), document(&to));
        let small = longest <= TEXT_LIMIT;
        let texts = if small { text(from).zip(text(to)) } else { None };
        Ok(match (documents, texts) {
            ((Some(from), Some(to)), texts) => Self::Json { from, to, texts },
            (_, Some((from, to))) => Self::Text(from, to),
            _ if small => Self::Opaque("not text"),
            _ => Self::Opaque("larger than 1 MiB and not JSON"),
        })
    }

    pub(crate) fn print(&self, out: &mut Out, from: &FileEntry, to: &FileEntry) -> io::Result<()> {
        match self {
            Self::Json { from: old, to: new, texts } => match (jsondiff::changes(old, new), texts) {
                (changes, Some((from, to))) if changes.is_empty() => {
                    writeln!(out, "  the values are equal, the text differs:")?;
                    lines(out, from, to)
                }
                (changes, None) if changes.is_empty() => {
                    opaque(out, "the values are equal, the text is larger than 1 MiB", from, to)
                }
                (changes, _) => changes.iter().try_for_each(|change| json(out, change)),
            },
            Self::Text(from, to) => lines(out, from, to),
            Self::Opaque(why) => opaque(out, why, from, to),
        }
    }
}

/// Only objects and arrays count as JSON: a file that says `42` may be plain text.
fn document(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().filter(|value: &Value| value.is_object() || value.is_array())
}

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

fn json(out: &mut Out, change: &jsondiff::Change<'_>) -> io::Result<()> {
    let pointer =
        if change.pointer.is_empty() { "(the whole document)".into() } else { clean(&change.pointer) };
    let old = change.from.map(|value| out.paint(MINUS, short(value)));
    let new = change.to.map(|value| out.paint(PLUS, short(value)));
    match (old, new) {
        (Some(old), Some(new)) => writeln!(out, "    {pointer}: {old} -> {new}"),
        (None, Some(new)) => writeln!(out, "  {} {pointer}: {new}", out.paint(PLUS, "+")),
        (Some(old), None) => writeln!(out, "  {} {pointer}: {old}", out.paint(MINUS, "-")),
        (None, None) => Ok(()),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let safe = clean(&text);
    match safe.char_indices().nth(VALUE_LIMIT) {
        Some((end, _)) => {
            let kept: String = safe.chars().take(VALUE_LIMIT).collect();
            format!("{kept}… ({} more)", count((safe.len() - end) as u64, "byte"))
        }
        None => safe.into_owned(),
    }
}

fn lines(out: &mut Out, from: &str, to: &str) -> io::Result<()> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(from, to);
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        writeln!(out, "  {}", out.paint(MARK, hunk.header()))?;
        for change in hunk.iter_changes() {
            let line = change.value();
            let line = clean_line(line.strip_suffix('\n').unwrap_or(line));
            let line = match change.tag() {
                ChangeTag::Equal => format!(" {line}"),
                ChangeTag::Delete => out.paint(MINUS, format!("-{line}")),
                ChangeTag::Insert => out.paint(PLUS, format!("+{line}")),
            };
            writeln!(out, "  {line}")?;
            if change.missing_newline() {
                writeln!(out, "  \\ no newline at the end of the file")?;
            }
        }
    }
    Ok(())
}

/// Tabs are part of ordinary text. Every other control character is spelled out, such as `\r`.
fn clean_line(line: &str) -> String {
    line.split('\t').map(clean).collect::<Vec<_>>().join("\t")
}

fn opaque(out: &mut Out, why: &str, from: &FileEntry, to: &FileEntry) -> io::Result<()> {
    let side = |entry: &FileEntry| format!("{}, blake3 {}", count(entry.bytes, "byte"), entry.blake3);
    writeln!(out, "  {why}:")?;
    writeln!(out, "  {}", out.paint(MINUS, format!("- {}", side(from))))?;
    writeln!(out, "  {}", out.paint(PLUS, format!("+ {}", side(to))))
}
