//! One file for each command.

mod cat;
mod commit;
mod completions;
mod diff;
mod export;
mod init;
mod log;
mod ls;
mod man;
mod put;
mod rm;
mod rollback;
mod show;
mod status;
mod verify;

use crate::args::Command;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;

pub(crate) fn run(command: Command, context: &Context, out: &mut Out) -> Result<(), CliError> {
    match command {
        Command::Init(args) => init::run(&args, context, out),
        Command::Commit(args) => commit::run(args, context, out),
        Command::Put(args) => put::run(&args, context, out),
        Command::Rm(args) => rm::run(args, context, out),
        Command::Cat(args) => cat::run(&args, context, out),
        Command::Ls(args) => ls::run(&args, context, out),
        Command::Export(args) => export::run(&args, context, out),
        Command::Log(args) => log::run(&args, context, out),
        Command::Show(args) => show::run(&args, context, out),
        Command::Diff(args) => diff::run(args, context, out),
        Command::Rollback(args) => rollback::run(&args, context, out),
        Command::Status => status::run(context, out),
        Command::Verify(args) => verify::run(&args, context, out),
        Command::Completions(args) => completions::run(&args, out),
        Command::Man(args) => man::run(&args, out),
    }
}
