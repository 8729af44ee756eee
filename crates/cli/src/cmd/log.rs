//! `genstore log`

use std::io::Write;

use genstore::{Generation, GenerationKind, HistoryEntry, Store, StorePath};
use serde_json::json;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{MARK, Out};
use crate::term::{clean, columns, fit, time};

pub(crate) fn run(args: &args::Log, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let mut history = match &args.path {
        Some(path) => store.history_of(path).or_else(|error| match directory(&store, path)? {
            Some(generation) => Err(is_directory(path, generation)),
            None => Err(error.into()),
        })?,
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
        (Some(path), None) if shown == 0 && args.limit != Some(0) => Err(directory(&store, path)?
            .map_or_else(
                || {
                    let message = format!("no generation ever put or removed {path}");
                    CliError::not_found(path, message, "genstore ls shows the paths there are".to_owned())
                },
                |generation| is_directory(path, generation),
            )),
        _ => Ok(()),
    }
}

/// The newest generation in which the path is a directory, as far as the history can be read.
fn directory(store: &Store, path: &str) -> Result<Option<Generation>, CliError> {
    let inside = format!("{}/", path.trim_end_matches('/'));
    let latest = store.snapshot()?;
    if latest.list(&inside).next().is_some() {
        return Ok(Some(latest.generation()));
    }
    // A generation that removed files of a directory may have removed the last one. Its parent had
    // them.
    let is_in = |path: &StorePath| path.as_str().starts_with(&inside);
    Ok(store.history()?.filter_map(Result::ok).find_map(|entry| {
        if entry.put.iter().any(is_in) {
            return Some(entry.generation);
        }
        entry.parent.filter(|_| entry.removed.iter().any(is_in))
    }))
}

fn is_directory(path: &str, generation: Generation) -> CliError {
    let name = path.trim_end_matches('/');
    CliError::not_found(
        path,
        format!("{name} is a directory in generation {generation}, not a file"),
        format!("genstore ls {name}/ --at {generation} lists its files, and genstore log takes one of them"),
    )
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
