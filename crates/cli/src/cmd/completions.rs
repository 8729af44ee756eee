//! `genstore completions`

use std::io::Write;

use clap::CommandFactory;

use crate::args::{self, Cli};
use crate::error::CliError;
use crate::output::Out;

pub(crate) fn run(args: &args::Completions, out: &mut Out) -> Result<(), CliError> {
    // The generator panics if its output is closed, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "genstore", &mut script);
    Ok(out.write_all(&script)?)
}
