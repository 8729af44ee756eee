//! The tables in Markdown.

use crate::results::{Results, short, verdict};
use crate::row::{Check, Figures, Row};

/// The machine, the targets, and the figures of each row.
pub(super) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for line in results.head().lines() {
        text += &format!("- {line}\n");
    }
    if results.quick {
        text += "- **A quick run, which claims no target.**\n";
    }
    for line in &results.skipped {
        text += &format!("- Left out: {line}\n");
    }
    text +=
        "\n| work | what | against | ratio | of single rounds | target | |\n|---|---|---|--:|--:|--:|---|\n";
    for row in &results.rows {
        for check in &row.checks {
            let Check { of, against, value, low, high, bound, target, .. } = check;
            let unit = if against.is_none() { format!(" {}", row.unit) } else { String::new() };
            text += &format!(
                "| {} | {of} | {} | {}{unit} | {} to {} | {} {target} | {} |\n",
                row.title,
                against.as_deref().unwrap_or("-"),
                short(*value),
                short(*low),
                short(*high),
                bound.as_str(),
                verdict(check)
            );
        }
    }
    results.rows.iter().for_each(|row| text += &table(row));
    text
}

fn table(row: &Row) -> String {
    let Row { name, title, unit, peer, scaled, contestants, .. } = row;
    let mut text = format!("\n### {title}\n\n");
    if let Some(scaled) = scaled {
        text += &format!("Scaled down: {scaled}.\n\n");
    }
    text += &format!("![{title}]({name}.svg)\n\n");
    text += &format!("| {unit} | rounds | p10 | median | p90 | p99 | to {peer} |\n");
    text += "|---|--:|--:|--:|--:|--:|--:|\n";
    for Figures { name, rounds, p10, median, p90, p99, ratio } in contestants {
        let [p10, median, p90, p99] = [p10, median, p90, p99].map(|value| short(*value));
        let ratio = ratio.map_or_else(|| "-".into(), short);
        text += &format!("| {name} | {rounds} | {p10} | {median} | {p90} | {p99} | {ratio} |\n");
    }
    text
}
