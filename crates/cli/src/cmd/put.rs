//! `genstore put`

use std::path::Path;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;
use crate::stdin::Stdin;

pub(crate) fn run(args: &args::Put, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open_to_write(&args.change.writer)?;
    // The transaction begins before the input is read: a change of this path meanwhile is a
    // conflict and is not overwritten.
    let mut transaction = store.begin()?;
    match args.file.as_deref() {
        Some(file) if file != Path::new("-") => transaction.put_file(&args.path, file)?,
        _ => {
            let input = Stdin::new(context.stop())
                .map_err(|error| CliError::file(Path::new("-"), "reading standard input as", &error))?;
            transaction.put_reader(&args.path, input)?;
        }
    }
    let commit = transaction.commit(&args.change.message)?;
    Ok(crate::summary::print(&commit, context, out)?)
}
