//! A second process for `init`: one process alone cannot tell whether its lock is seen by others.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// Never listed and never parsed: it is this program calling itself.
pub(crate) const COMMAND: &str = "__lock-witness";

const SEEN: &str = "locked";
const NOT_SEEN: &str = "free";

/// In the first process, which holds the lock on `file`: was another process refused it?
pub(crate) fn ask(file: &Path) -> io::Result<bool> {
    let answer = Command::new(std::env::current_exe()?).arg(COMMAND).arg(file).output()?;
    match std::str::from_utf8(&answer.stdout).map(str::trim) {
        Ok(SEEN) => Ok(true),
        Ok(NOT_SEEN) => Ok(false),
        _ => Err(io::Error::other(format!(
            "the second process that was to try the lock gave no answer: {}",
            String::from_utf8_lossy(&answer.stderr).trim()
        ))),
    }
}

/// In the second process: try the lock and say what happened.
pub(crate) fn answer(file: Option<OsString>) -> u8 {
    match file.map_or_else(|| Err(io::Error::other("no file was named")), |file| try_lock(Path::new(&file))) {
        Ok(word) => u8::from(writeln!(io::stdout(), "{word}").is_err()),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            1
        }
    }
}

fn try_lock(file: &Path) -> io::Result<&'static str> {
    let file = File::options().read(true).write(true).open(file)?;
    match file.try_lock() {
        Ok(()) => Ok(NOT_SEEN),
        Err(TryLockError::WouldBlock) => Ok(SEEN),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
