//! Bar charts, written by hand: they need no fonts, no scripts, and follow a dark page.

use crate::results::{Results, short};
use crate::row::{Bound, Row};

const WIDTH: f64 = 870.0;
/// Where the bars begin; left of it are their names.
const LEFT: f64 = 380.0;
/// Where the longest bar ends; right of it are the values.
const RIGHT: f64 = 710.0;
const TOP: f64 = 46.0;
const LINE: f64 = 24.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600;font-size:14px}\
.bar{fill:#8c959f}.ours{fill:#0969da}.good{fill:#1a7f37}.bad{fill:#cf222e}\
.mark{stroke:#1f2328;stroke-width:1.5}.edge{stroke:#1f2328;stroke-width:1.5;stroke-dasharray:4 3}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.mark,.edge{stroke:#e6edf3}.bar{fill:#6e7681}\
.ours{fill:#4493f8}.good{fill:#3fb950}.bad{fill:#f85149}}";

/// A bar.
struct Bar {
    name: String,
    value: f64,
    /// From where to where single rounds go.
    spread: Option<(f64, f64)>,
    text: String,
    class: &'static str,
}

/// The ratios of a row to its peer, with the range from p10 to p90.
pub(super) fn row(row: &Row) -> String {
    let base = row.contestants.iter().find(|figures| figures.name == row.peer);
    let base = base.map_or(f64::NAN, |figures| figures.median);
    let bars = row.contestants.iter().filter_map(|figures| {
        let ratio = figures.ratio?;
        Some(Bar {
            name: figures.name.clone(),
            value: ratio,
            spread: Some((figures.p10 / base, figures.p90 / base)),
            text: format!("{} ({} {})", short(ratio), short(figures.median), row.unit),
            class: if row.checks.iter().any(|check| check.of == figures.name) { "ours" } else { "bar" },
        })
    });
    let scaled = if row.scaled.is_some() { " (scaled down)" } else { "" };
    let title = format!("{}, {}, in times of {}{scaled}", row.title, row.unit, row.peer);
    chart(&title, &bars.collect::<Vec<_>>(), "1 = the peer")
}

/// How much of each target was used. A bar that stays left of the line meets its target.
pub(super) fn targets(results: &Results) -> String {
    let mut bars = Vec::new();
    for row in &results.rows {
        for check in &row.checks {
            let against = check.against.as_ref().map(|peer| format!(" : {peer}")).unwrap_or_default();
            let used = |value: f64| match check.bound {
                Bound::AtMost => value / check.target,
                Bound::AtLeast => check.target / value,
            };
            bars.push(Bar {
                name: format!("{}: {}{against}", row.name, check.of),
                value: used(check.value),
                spread: Some((used(check.low), used(check.high))),
                text: format!("{}, {} {}", short(check.value), check.bound.as_str(), check.target),
                class: match check.met {
                    Some(true) => "good",
                    Some(false) => "bad",
                    None => "bar",
                },
            });
        }
    }
    chart("How much of each target is used: left of the line is met", &bars, "the target")
}

/// A chart whose line stands at 1. A bar of more than four times that is cut off.
fn chart(title: &str, bars: &[Bar], line: &str) -> String {
    let longest = bars.iter().map(|bar| bar.value).filter(|value| value.is_finite()).fold(1.0, f64::max);
    let longest = (longest * 1.1).min(4.0);
    let x = |value: f64| LEFT + (RIGHT - LEFT) * (value / longest).clamp(0.0, 1.0);
    #[expect(clippy::cast_precision_loss, reason = "a few bars")]
    let y = |number: usize| TOP + LINE * number as f64;
    let height = y(bars.len()) + 26.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<text class=\"head\" x=\"8\" y=\"22\">{title}</text>\n",
        title = escape(title)
    );
    for (number, bar) in bars.iter().enumerate() {
        let (top, middle, end) = (y(number), y(number) + LINE / 2.0, x(bar.value));
        svg += &format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
             <rect class=\"{}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\n",
            LEFT - 8.0,
            middle + 4.0,
            escape(&bar.name),
            bar.class,
            top + 4.0,
            end - LEFT,
            LINE - 8.0
        );
        // No text crosses the line.
        let mut right = end.max(x(1.0));
        if let Some((low, high)) = bar.spread {
            let (low, high) = (x(low.min(high)), x(low.max(high)));
            svg += &format!(
                "<line class=\"mark\" x1=\"{low:.1}\" y1=\"{middle:.1}\" x2=\"{high:.1}\" y2=\"{middle:.1}\"/>\n"
            );
            right = right.max(high);
        }
        let cut = if bar.value > longest { "\u{2192} " } else { "" };
        svg += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\">{cut}{}</text>\n",
            right + 6.0,
            middle + 4.0,
            escape(&bar.text)
        );
    }
    let (at, bottom) = (x(1.0), y(bars.len()));
    svg += &format!(
        "<line class=\"edge\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/>\n\
         <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n</svg>\n",
        bottom + 18.0,
        escape(line)
    );
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Bound, Measured};

    fn sample() -> Row {
        let of = |name: &str, values: [f64; 3]| (name.to_owned(), values.into_iter().collect());
        let measured =
            Measured(vec![of("ours", [1.0, 2.0, 3.0]), of("A & B", [4.0; 3]), of("slow", [90.0; 3])]);
        let row = Row::new("row", "a < b", "ms", "A & B", measured);
        row.ratio("ours", "A & B", Bound::AtMost, 0.6)
    }

    #[test]
    fn bars_are_as_long_as_their_ratios() {
        let svg = row(&sample());
        // The longest bar is cut off at four times the peer, whose bar is a quarter of it.
        let widths: Vec<_> = svg.lines().filter(|line| line.starts_with("<rect")).collect();
        for (line, width) in widths.iter().zip(["41.2", "82.5", "330.0"]) {
            assert!(line.contains(&format!("width=\"{width}\"")), "{line}");
        }
        assert_eq!(widths.len(), 3);
        assert!(svg.contains("A &amp; B") && svg.contains("a &lt; b") && svg.contains("\u{2192} 22.5"));
        assert_eq!(svg.matches("class=\"ours\"").count(), 1);
    }
}
