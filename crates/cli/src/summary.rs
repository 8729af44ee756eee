//! The last line of every command that commits.

use std::io::{self, Write};

use genstore::Commit;

use crate::context::Context;
use crate::output::Out;
use crate::term::{bytes, count};

pub(crate) fn print(commit: &Commit, context: &Context, out: &mut Out) -> io::Result<()> {
    if context.json {
        return out.json(commit);
    }
    if context.quiet {
        return Ok(());
    }
    let generation = commit.generation;
    if !commit.changed {
        return writeln!(out, "nothing changed: generation {generation} holds this state already");
    }
    let (put, removed) = (count(commit.put, "file"), commit.removed);
    writeln!(out, "generation {generation}: {put} put, {removed} removed, {}", bytes(commit.bytes))
}
