//! `genstore export`

use std::io::Write;

use genstore::ExportOptions;
use serde_json::json;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;
use crate::progress::Bar;
use crate::term::{bytes, count};

pub(crate) fn run(args: &args::Export, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let snapshot = store.snapshot_at(args.at.at.as_str())?;
    context.watch_signals();
    let bar = Bar::new(context, "writing");
    let options = ExportOptions::new()
        .skip_damaged(args.skip_damaged)
        .progress(bar.callback())
        .cancel(context.stop().clone());
    let report = snapshot.export(&args.dir, &options)?;
    drop(bar);
    let generation = snapshot.generation();
    let damaged: Vec<_> = report.damaged.into_iter().map(CliError::from).collect();
    if !damaged.is_empty() {
        context.report_damage();
    }
    if context.json {
        return Ok(out.json(&json!({
            "generation": generation.get(),
            "files": report.files,
            "bytes": report.bytes,
            "damaged": damaged.iter().map(CliError::facts).collect::<Vec<_>>(),
        }))?);
    }
    damaged.iter().for_each(|error| error.print(false));
    if !context.quiet {
        let (files, size) = (count(report.files, "file"), bytes(report.bytes));
        writeln!(out, "generation {generation}: {files}, {size}, written to {}", args.dir.display())?;
    }
    Ok(())
}
