//! `genstore init`

use std::io::Write;

use serde_json::json;

use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Out;

pub(crate) fn run(args: &args::Init, context: &Context, out: &mut Out) -> Result<(), Failure> {
    let dir = context.dir()?;
    let store = context.options(&args.writer).force_medium(args.force).create(dir)?;
    context.tell_medium(store.medium());
    let generation = store.snapshot()?.generation();
    if context.json {
        return Ok(out.json(&json!({
            "store": store.id().to_string(),
            "generation": generation.get(),
            "medium": store.medium(),
        }))?);
    }
    if !context.quiet {
        writeln!(out, "generation {generation}: an empty store, {}", store.id())?;
    }
    Ok(())
}
