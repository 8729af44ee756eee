//! `genstore diff`

use std::io::Write;

use genstore::{ChangeKind, Difference, FileEntry, Revision, Snapshot};
use serde_json::{Value, json};

use crate::args;
use crate::content::Content;
use crate::context::Context;
use crate::error::CliError;
use crate::jsondiff;
use crate::output::{MINUS, Out, PLUS, STRONG};
use crate::term::{bytes, clean};

pub(crate) fn run(args: args::Diff, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let (second, path) = match (args.second, args.path) {
        (Some(word), None) if word.parse::<Revision>().is_err() => (None, Some(word)),
        both => both,
    };
    let from = store.snapshot_at(args.from.as_str())?;
    let to = store.snapshot_at(second.as_deref().unwrap_or("latest"))?;
    let mut differences = from.diff(&to);
    if let Some(path) = path {
        let directory = format!("{}/", path.trim_end_matches('/'));
        let known =
            |side: &Snapshot| side.metadata(&path).is_some() || side.list(&directory).next().is_some();
        if !known(&from) && !known(&to) {
            let (one, two) = (from.generation(), to.generation());
            let message = if one == two {
                format!("generation {one} does not have {path}")
            } else {
                format!("neither generation {one} nor {two} has {path}")
            };
            let advice = "genstore ls and genstore log show what there is".to_owned();
            return Err(CliError::not_found(&path, message, advice));
        }
        differences
            .retain(|found| found.path.as_str() == path || found.path.as_str().starts_with(&directory));
    }
    let mut damaged = None;
    for found in &differences {
        let content = match (&found.from, &found.to) {
            (Some(old), Some(new)) if !args.summary => Some(Content::read((&from, old), (&to, new))),
            _ => None,
        };
        // A damaged file costs that file. The others are still compared, and the error comes last.
        let content = match content.transpose() {
            Ok(content) => content,
            Err(error) => {
                damaged = damaged.or(Some(error));
                None
            }
        };
        if context.json {
            out.json(&object(found, content.as_ref()))?;
        } else {
            print(found, content.as_ref(), out)?;
        }
    }
    if !context.json && !context.quiet {
        total(&differences, out)?;
    }
    damaged.map_or(Ok(()), |error| Err(error.into()))
}

fn object(found: &Difference, content: Option<&Content>) -> Value {
    let side = |entry: &Option<FileEntry>| {
        entry.as_ref().map(|entry| {
            json!({ "bytes": entry.bytes, "blake3": entry.blake3.to_string(), "generation": entry.generation.get() })
        })
    };
    let mut object = json!({
        "path": found.path.as_str(),
        "change": found.change,
        "from": side(&found.from),
        "to": side(&found.to),
    });
    if let (Some(Content::Json { from, to, .. }), Some(object)) = (content, object.as_object_mut()) {
        object.insert("json".to_owned(), json!(jsondiff::changes(from, to)));
    }
    object
}

fn print(found: &Difference, content: Option<&Content>, out: &mut Out) -> Result<(), CliError> {
    let path = clean(found.path.as_str());
    match (&found.from, &found.to) {
        (None, Some(new)) => {
            writeln!(out, "{}", out.paint(PLUS, format!("added     {path}  {}", bytes(new.bytes))))?
        }
        (Some(old), None) => {
            writeln!(out, "{}", out.paint(MINUS, format!("removed   {path}  {}", bytes(old.bytes))))?
        }
        (Some(old), Some(new)) => {
            let sizes = format!("{} -> {}", bytes(old.bytes), bytes(new.bytes));
            writeln!(out, "{}  {sizes}", out.paint(STRONG, format!("modified  {path}")))?;
            if let Some(content) = content {
                content.print(out, old, new)?;
            }
        }
        (None, None) => {}
    }
    Ok(())
}

fn total(differences: &[Difference], out: &mut Out) -> Result<(), CliError> {
    if differences.is_empty() {
        return Ok(writeln!(out, "no differences")?);
    }
    let (mut added, mut removed, mut modified) = (0, 0, 0);
    for found in differences {
        match found.change {
            ChangeKind::Added => added += 1,
            ChangeKind::Removed => removed += 1,
            _ => modified += 1,
        }
    }
    Ok(writeln!(out, "{added} added, {removed} removed, {modified} modified")?)
}
