//! `genstore commit`

use std::fs::FileType;

use genstore::PutDirOptions;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;
use crate::progress::Bar;

pub(crate) fn run(args: args::Commit, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = if args.init {
        let store = context.options(&args.change.writer).open_or_create(context.dir()?)?;
        context.tell_probe(store.probe_report());
        store
    } else {
        context.open_to_write(&args.change.writer)?
    };
    let mut transaction = store.begin()?;
    let bar = Bar::new(context, "reading");
    let options = PutDirOptions::new()
        .prune(args.prune)
        .into_dir(args.into.unwrap_or_default())
        .follow_links(args.follow_links)
        .progress(bar.callback());
    transaction
        .put_dir(&args.dir, &options)
        .map_err(|error| CliError::source(error, args.follow_links, advise))?;
    let commit = transaction.commit(&args.change.message)?;
    drop(bar);
    Ok(crate::summary::print(&commit, context, out)?)
}

fn advise(found: FileType) -> Option<&'static str> {
    if found.is_symlink() {
        Some("move it out of the directory, or give --follow-links to commit what it points to")
    } else if found.is_file() || found.is_dir() {
        None
    } else {
        Some("move it out of the directory: a store holds regular files only")
    }
}
