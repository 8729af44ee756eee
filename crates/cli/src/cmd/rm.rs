//! `genstore rm`

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;

pub(crate) fn run(mut args: args::Rm, context: &Context, out: &mut Out) -> Result<(), CliError> {
    // A path may be named twice.
    args.paths.sort_unstable();
    args.paths.dedup();
    let store = context.open_to_write(&args.change.writer)?;
    let mut transaction = store.begin()?;
    for path in &args.paths {
        transaction.remove(path)?;
    }
    let commit = transaction.commit(&args.change.message)?;
    Ok(crate::summary::print(&commit, context, out)?)
}
