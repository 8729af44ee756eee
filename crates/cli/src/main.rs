//! The command `genstore`: the operations of the library for people and scripts.
//!
//! Each command is one file in `cmd/`. This file parses the arguments, runs the command and turns
//! the result into an exit code.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the library takes its disk, clock and environment from `fs`; the command uses the real ones"
)]

mod args;
mod cmd;
mod content;
mod context;
mod error;
mod exit;
mod jsondiff;
mod output;
mod progress;
mod signal;
mod stdin;
mod summary;
mod term;

use std::process::ExitCode;

use clap::Parser;

use context::Context;
use error::CliError;
use output::Out;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(stop) => return refuse(&stop),
    };
    let context = Context::new(cli.global);
    let only_reads = cli.command.only_reads();
    let mut out = Out::new(context.json);
    let result = cmd::run(cli.command, &context, &mut out);
    // The output printed before a failure is still useful, so it is written first.
    let written = out.finish().map_err(CliError::from);
    match result.and(written) {
        Ok(()) if context.found_damage() => ExitCode::from(exit::DAMAGE),
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) if error.is_closed_pipe() => ExitCode::from(exit::DONE),
        Err(error) => {
            let error = error.seen_with(context.was_interrupted(), only_reads);
            error.print(context.json);
            ExitCode::from(error.code())
        }
    }
}

/// Help and version are answers. Everything else that ends the parsing is a usage error.
fn refuse(stop: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    if matches!(stop.kind(), DisplayHelp | DisplayVersion) {
        return match stop.print() {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::from(exit::FAILED),
            _ => ExitCode::from(exit::DONE),
        };
    }
    // clap did not finish, so it cannot tell whether --json was given.
    let json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    let error = CliError::from_usage(stop);
    error.print(json);
    ExitCode::from(error.code())
}
