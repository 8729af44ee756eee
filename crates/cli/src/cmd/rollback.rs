//! `genstore rollback`

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;

pub(crate) fn run(args: &args::Rollback, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open_to_write(&args.change.writer)?;
    let old = store.snapshot_at(args.revision.as_str())?;
    let mut transaction = store.begin()?;
    let patterns: Vec<_> = args.paths.iter().map(String::as_str).collect();
    transaction.restore(&old, &patterns)?;
    let commit = transaction.commit(&args.change.message)?;
    Ok(crate::summary::print(&commit, context, out)?)
}
