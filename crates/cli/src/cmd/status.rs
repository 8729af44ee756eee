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
    for finding in &status.findings {
        verify::line(finding, out)?;
    }
    if !status.interrupted.is_empty() {
        let numbers: Vec<_> = status.interrupted.iter().map(ToString::to_string).collect();
        writeln!(out, "interrupted {}", numbers.join(", "))?;
        writeln!(
            out,
            "\nA commit was begun under each of these numbers and not committed: it was cut off, or is going on\n\
             just now. (Or CURRENT is an older copy, and knows nothing of it.) What it wrote is never read, and\n\
             no number is used again. Those files may be the rest of somebody's edit; nothing deletes them."
        )?;
    }
    Ok(())
}
