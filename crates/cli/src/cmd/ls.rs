//! `genstore ls`

use std::io::Write;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;
use crate::term::clean;

pub(crate) fn run(args: &args::Ls, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let snapshot = store.snapshot_at(args.at.at.as_str())?;
    for entry in snapshot.list(&args.prefix) {
        if context.json {
            out.json(&entry)?;
        } else {
            writeln!(
                out,
                "{:>12}  {:>6}  {}",
                entry.bytes,
                entry.generation.get(),
                clean(entry.path.as_str())
            )?;
        }
    }
    Ok(())
}
