//! `genstore init`

use std::io::Write;

use serde_json::json;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;

pub(crate) fn run(args: &args::Init, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let dir = context.dir()?;
    let store = context.options(&args.writer).allow_unsafe_filesystem(args.force).create(dir)?;
    context.tell_probe(store.probe_report());
    let generation = store.snapshot()?.generation();
    if context.json {
        return Ok(out.json(&json!({
            "store": store.id().to_string(),
            "generation": generation.get(),
            "medium": store.probe_report(),
        }))?);
    }
    if !context.quiet {
        writeln!(out, "generation {generation}: an empty store, {}", store.id())?;
    }
    Ok(())
}
