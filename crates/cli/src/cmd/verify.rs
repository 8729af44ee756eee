//! `genstore verify`

use std::io::Write;

use genstore::{Finding, Severity, VerifyOptions, VerifyScope};

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{MARK, MINUS, Out, PLUS};
use crate::progress::Bar;
use crate::term::{bytes, clean, count};

/// How many notes of one kind are printed.
const NOTES_SHOWN: usize = 5;

pub(crate) fn run(args: &args::Verify, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let scope = match &args.at {
        Some(revision) => VerifyScope::Generation(store.resolve(revision.as_str())?),
        None if args.all => VerifyScope::All,
        None => VerifyScope::Head,
    };
    let bar = Bar::new(context, "checking");
    let options = VerifyOptions::new().scope(scope).quick(args.quick).progress(bar.callback());
    let report = store.verify(&options)?;
    drop(bar);
    if !report.ok {
        context.report_damage();
    }
    if context.json {
        return Ok(out.json(&report)?);
    }
    lines(&report.findings, out)?;
    if context.quiet {
        return Ok(());
    }
    let verdict = if report.ok { out.paint(PLUS, "ok") } else { out.paint(MINUS, "damaged") };
    let read = if args.quick { "looked at; contents not read" } else { "read" };
    writeln!(
        out,
        "{verdict}: {}, {}, {} {read}",
        count(report.generations, "generation"),
        count(report.files, "file"),
        bytes(report.bytes)
    )?;
    Ok(())
}

/// Prints a line for each finding. Of many notes of one kind it prints the first few and the number
/// of the others. The findings of one kind stand together.
pub(crate) fn lines(findings: &[Finding], out: &mut Out) -> Result<(), CliError> {
    for alike in findings.chunk_by(|one, two| (one.severity, one.kind) == (two.severity, two.kind)) {
        let is_note = alike.first().is_some_and(|finding| finding.severity == Severity::Note);
        let shown = if is_note { NOTES_SHOWN } else { alike.len() };
        alike.iter().take(shown).try_for_each(|finding| line(finding, out))?;
        if alike.len() > shown {
            writeln!(out, "         and {} more of this kind; --json lists all", alike.len() - shown)?;
        }
    }
    Ok(())
}

/// Severity, kind, path, generation, detail.
fn line(finding: &Finding, out: &mut Out) -> Result<(), CliError> {
    let style = match finding.severity {
        Severity::Error => MINUS,
        _ => MARK,
    };
    let severity = out.paint(style, format!("{:<7}", finding.severity.to_string()));
    let path = finding.path.as_deref().unwrap_or("-");
    let generation = finding.generation.map_or_else(|| "-".to_owned(), |generation| generation.to_string());
    let kind = finding.kind.to_string();
    writeln!(
        out,
        "{severity}  {kind}  {}  generation {generation}  {}",
        clean(path),
        clean(&finding.detail)
    )?;
    Ok(())
}
