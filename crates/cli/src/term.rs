//! Text for people: lines on standard error, the width of a terminal, sizes and times.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use genstore::Timestamp;

/// Prints a line on standard error. If standard error is closed, the line is lost.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The longest line in columns: the terminal's width, or else 80.
pub(crate) fn columns() -> usize {
    const USUAL: usize = 80;
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return USUAL;
    }
    match rustix::termios::tcgetwinsize(&stdout) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => USUAL,
    }
}

/// Cuts a text at `width` columns. A letter that may be two columns wide counts as two, so that no
/// line wraps.
pub(crate) fn fit(text: &str, width: usize) -> Cow<'_, str> {
    let wide = |letter: char| match letter {
        '\0'..'\u{1100}' | '\u{1e00}'..='\u{206f}' => 1,
        _ => 2,
    };
    if text.chars().map(wide).sum::<usize>() <= width {
        return Cow::Borrowed(text);
    }
    let mut left = width.saturating_sub(1);
    let kept: String = text
        .chars()
        .take_while(|letter| {
            let fits = wide(*letter) <= left;
            left = left.saturating_sub(wide(*letter));
            fits
        })
        .collect();
    Cow::Owned(format!("{kept}…"))
}

/// Text from a store or from the command line, on one line, with its control characters spelled
/// out.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let steers = |letter: char| {
        letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if steers(letter) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `0 bytes`, `999 bytes`, `40.1 MB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return count(number, "byte");
    }
    let mut tenths = number / 100;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while tenths >= 10_000 {
        let Some(next) = units.next() else { break };
        tenths /= 1000;
        unit = Some(next);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, unit.copied().unwrap_or_default())
}

/// UTC, to the second: short, sortable, and accepted by --at.
pub(crate) fn time(at: &Timestamp) -> String {
    at.as_jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (number, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (40_100_000, "40.1 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn text_is_cut_at_the_width_and_never_beyond() {
        assert_eq!(fit("seven", 5), "seven");
        assert_eq!(fit("eleven", 5), "elev…");
        assert_eq!(fit("設定を変更", 10), "設定を変更");
        assert_eq!(fit("設定を変更", 9), "設定を変…");
        assert_eq!(fit("設定を変更", 8), "設定を…");
        assert_eq!(fit("x", 0), "…");
    }

    #[test]
    fn nothing_from_a_store_steers_the_terminal() {
        assert_eq!(clean("plain – ü 設"), "plain – ü 設");
        assert_eq!(clean("a\nb\tc\x1b[31m\u{202e}"), "a\\nb\\tc\\u{1b}[31m\\u{202e}");
    }
}
