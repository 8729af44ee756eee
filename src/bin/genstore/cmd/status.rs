//! `genstore status`

use std::io::Write;

use genstore::Health;

use super::verify;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{MINUS, Out, PLUS, bytes, clean, count, time};

pub(crate) fn run(context: &Context, out: &mut Out) -> Result<(), Failure> {
    let store = context.open()?;
    let status = store.status()?;
    let healthy = matches!(status.health, Health::Ok);
    if !healthy {
        context.report_damage();
    }
    if context.json {
        return out.json(&status);
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
            "\nA save that was cut off left its files under that number. It was never committed and is\n\
             never read, and the number is not used again. The files may be the rest of somebody's edit;\n\
             nothing deletes them."
        )?;
    }
    Ok(())
}
