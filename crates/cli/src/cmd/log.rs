//! `genstore log`

use std::io::Write;

use genstore::{GenerationKind, HistoryEntry};
use serde_json::json;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{MARK, Out};
use crate::term::{clean, columns, fit, time};

pub(crate) fn run(args: &args::Log, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let mut history = match &args.path {
        Some(path) => store.history_of(path)?,
        None => store.history()?,
    };
    let width = columns();
    // The newest comes first, so its number is the widest.
    let mut digits = 0;
    let mut shown = 0;
    let mut damaged = None;
    while args.limit.is_none_or(|limit| shown < limit) {
        let entry = match history.next() {
            Some(Ok(entry)) => entry,
            // The generations below the damage are still history. The error comes last.
            Some(Err(error)) => {
                damaged = damaged.or(Some(error));
                continue;
            }
            None => break,
        };
        shown += 1;
        if context.json {
            out.json(&json!({
                "generation": entry.generation.get(),
                "kind": entry.kind,
                "time": entry.time.to_string(),
                "author": entry.author,
                "message": entry.message,
                "put": entry.put.len(),
                "removed": entry.removed.len(),
                "parent": entry.parent.map(|parent| parent.get()),
                "manifest": entry.manifest.to_string(),
            }))?;
        } else {
            digits = digits.max(entry.generation.to_string().len());
            line(&entry, digits, width, out)?;
        }
    }
    match (&args.path, damaged) {
        (_, Some(error)) => Err(error.into()),
        (Some(path), None) if shown == 0 && args.limit != Some(0) => Err(CliError::not_found(
            path,
            format!("no generation ever put or removed {path}"),
            "genstore ls shows the paths there are",
        )),
        _ => Ok(()),
    }
}

/// Prints one line. The message is cut so that the line is never wider than the terminal.
fn line(entry: &HistoryEntry, digits: usize, width: usize, out: &mut Out) -> Result<(), CliError> {
    let generation = format!("{:>digits$}", entry.generation.get());
    let changes = format!("+{} -{}", entry.put.len(), entry.removed.len());
    let author = clean(&entry.author);
    let kind = match entry.kind {
        GenerationKind::Commit => String::new(),
        other => format!("[{other}] "),
    };
    // The first line of a message is its title. `show` prints the rest.
    let mut message = entry.message.lines();
    let title = clean(message.next().unwrap_or_default());
    let more = if message.next().is_some() { " …" } else { "" };
    let rest = format!("  {}  {:<8}  {changes:>9}  {kind}{title}{more}", time(&entry.time), fit(&author, 8));
    let rest = fit(rest.trim_end(), width.saturating_sub(generation.len()));
    Ok(writeln!(out, "{}{rest}", out.paint(MARK, &generation))?)
}
