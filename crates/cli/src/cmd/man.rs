//! `genstore man`

use std::io::Write;

use clap::CommandFactory;

use crate::args::{self, Cli};
use crate::error::CliError;
use crate::output::Out;

pub(crate) fn run(args: &args::Man, out: &mut Out) -> Result<(), CliError> {
    let program = Cli::command().disable_help_subcommand(true);
    match &args.dir {
        Some(dir) => clap_mangen::generate_to(program, dir)
            .map_err(|error| CliError::file(dir, "writing the man pages into", &error)),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(program).render(&mut page)?;
            Ok(out.write_all(&page)?)
        }
    }
}
