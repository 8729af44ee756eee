//! `genstore put`

use std::path::Path;

use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Out;
use crate::stdin::Stdin;

pub(crate) fn run(args: &args::Put, context: &Context, out: &mut Out) -> Result<(), Failure> {
    let store = context.open_to_write(&args.save.writer)?;
    // Begun before the input is read: whoever changes this path meanwhile is a conflict, not overwritten.
    let mut transaction = store.begin()?;
    match args.file.as_deref() {
        Some(file) if file != Path::new("-") => transaction.put_file(&args.path, file)?,
        _ => transaction.put_reader(&args.path, Stdin::new(context.stop()))?,
    }
    let commit = transaction.commit(&args.save.message)?;
    out.commit(context, &commit)
}
