//! `genstore cat`

use std::io;

use serde_json::json;

use crate::args;
use crate::context::Context;
use crate::error::CliError;
use crate::output::Out;

pub(crate) fn run(args: &args::Cat, context: &Context, out: &mut Out) -> Result<(), CliError> {
    let store = context.open()?;
    let snapshot = store.snapshot_at(args.at.at.as_str())?;
    if !context.json {
        let mut reader = snapshot.reader(&args.path)?;
        return copy(&mut reader, out, &args.path);
    }
    let bytes = snapshot.get(&args.path)?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(CliError::usage(
            format!("{} is not UTF-8 text, which JSON cannot hold", args.path),
            "leave out --json to get its bytes",
        ));
    };
    let entry = snapshot.metadata(&args.path);
    Ok(out.json(&json!({
        "path": args.path,
        "bytes": text.len(),
        "blake3": entry.as_ref().map(|entry| entry.blake3.to_string()),
        "generation": entry.as_ref().map(|entry| entry.generation.get()),
        "text": text,
    }))?)
}

/// Unlike `io::copy`, this tells a failed read of the store from a failed output.
fn copy(reader: &mut impl io::Read, out: &mut Out, path: &str) -> Result<(), CliError> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CliError::reading(path, &error)),
        };
        io::Write::write_all(out, buffer.get(..length).unwrap_or_default())?;
    }
}
