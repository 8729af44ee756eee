//! `genstore show`

use std::io::Write;

use genstore::StorePath;
use serde_json::json;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{MINUS, Out, PLUS, STRONG};
use crate::term::{bytes, clean, count, time};

pub(crate) fn run(args: &args::Show, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let entry = store.show(args.revision.as_str())?;
    let names = |paths: &[StorePath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    if context.json {
        return Ok(out.json(&json!({
            "generation": entry.generation.get(),
            "kind": entry.kind,
            "time": entry.time.to_string(),
            "author": entry.author,
            "message": entry.message,
            "metadata": entry.metadata,
            "put": names(&entry.put),
            "removed": names(&entry.removed),
            "parent": entry.parent.map(|parent| parent.get()),
            "restores": entry.restores.map(|generation| generation.get()),
            "manifest": entry.manifest.to_string(),
            "files": entry.files,
            "bytes": entry.bytes,
        }))?);
    }
    let parent = entry.parent.map_or_else(|| "none".to_owned(), |parent| parent.to_string());
    let title = format!("generation {} ({})", entry.generation, entry.kind);
    writeln!(out, "{}", out.paint(STRONG, title))?;
    writeln!(out, "time      {}", time(&entry.time))?;
    writeln!(out, "author    {}", clean(&entry.author))?;
    writeln!(out, "parent    {parent}")?;
    if let Some(generation) = entry.restores {
        writeln!(out, "restores  generation {generation}")?;
    }
    writeln!(out, "manifest  {}", entry.manifest)?;
    writeln!(out, "holds     {}, {}", count(entry.files, "file"), bytes(entry.bytes))?;
    for (key, value) in &entry.metadata {
        writeln!(out, "metadata  {} = {}", clean(key), clean(&value.to_string()))?;
    }
    writeln!(out)?;
    for line in entry.message.lines() {
        writeln!(out, "    {}", clean(line))?;
    }
    writeln!(out)?;
    for path in &entry.put {
        writeln!(out, "{}", out.paint(PLUS, format!("+ {}", clean(path.as_str()))))?;
    }
    for path in &entry.removed {
        writeln!(out, "{}", out.paint(MINUS, format!("- {}", clean(path.as_str()))))?;
    }
    Ok(())
}
