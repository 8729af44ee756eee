//! `genstore status`

use std::io::Write;

use genstore::Health;

use super::verify;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{MINUS, Out, PLUS};
use crate::term::{bytes, clean, count, time};

pub(crate) fn run(context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let status = store.status()?;
    let healthy = matches!(status.health, Health::Ok);
    if !healthy {
        context.report_damage();
    }
    if context.json {
        return Ok(out.json(&status)?);
    }
    let health = if healthy { out.paint(PLUS, "ok") } else { out.paint(MINUS, "degraded") };
    writeln!(out, "store       {}", status.store)?;
    writeln!(out, "generation  {}, {}", status.generation, time(&status.time))?;
    writeln!(out, "message     {}", clean(&status.message))?;
    writeln!(out, "holds       {}, {}", count(status.files, "file"), bytes(status.bytes))?;
    writeln!(out, "health      {health}")?;
    verify::lines(&status.findings, out)?;
    if !status.interrupted.is_empty() {
        let numbers: Vec<_> = status.interrupted.iter().map(ToString::to_string).collect();
        writeln!(out, "interrupted {}", numbers.join(", "))?;
        writeln!(
            out,
            "\nEach of these numbers belongs to an interrupted commit: the writer crashed or is still running.\n\
             (Or CURRENT is an older copy that does not know of the commit.) The number is not used again.\n\
             The files of the commit are never read. They may be the rest of an edit, so nothing deletes them."
        )?;
    }
    Ok(())
}
