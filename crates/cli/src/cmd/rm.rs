//! `genstore rm`

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;

pub(crate) fn run(mut args: args::Rm, context: &Context, out: &mut Out) -> Result<(), CliError> {
    // Naming a path twice is no reason to fail.
    args.paths.sort_unstable();
    args.paths.dedup();
    let store = context.open_to_write(&args.save.writer)?;
    let mut transaction = store.begin()?;
    for path in &args.paths {
        transaction.remove(path)?;
    }
    let commit = transaction.commit(&args.save.message)?;
    Ok(crate::summary::print(&commit, context, out)?)
}
