//! `genstore put`

use std::fs::FileType;
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
        Some(file) if file != Path::new("-") => {
            transaction.put_file(&args.path, file).map_err(|error| CliError::source(error, true, advise))?;
        }
        _ => {
            let input = Stdin::new(context.stop())
                .map_err(|error| CliError::file(Path::new("-"), "reading standard input as", &error))?;
            transaction.put_reader(&args.path, input)?;
        }
    }
    let commit = transaction.commit(&args.change.message)?;
    Ok(crate::summary::print(&commit, context, out)?)
}

fn advise(found: FileType) -> Option<&'static str> {
    if found.is_dir() {
        Some("genstore commit takes a directory, genstore put a single file")
    } else if found.is_file() {
        None
    } else {
        Some("name a regular file, or leave FILE out and give the bytes on standard input")
    }
}
