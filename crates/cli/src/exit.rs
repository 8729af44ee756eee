//! The exit codes. Only this module turns a kind of error into a number.

use genstore::ErrorKind;

pub(crate) const DONE: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const NOT_FOUND: u8 = 3;
pub(crate) const CONFLICT: u8 = 4;
pub(crate) const DAMAGE: u8 = 5;
pub(crate) const BUSY: u8 = 6;
pub(crate) const REFUSED: u8 = 7;
pub(crate) const INTERRUPTED: u8 = 130;

/// Shown by `genstore --help` and in the man page; a test compares it with `docs/cli.md`.
pub(crate) const HELP: &str = "\
REV names a generation:
  41                    the one with this number
  latest                the newest
  latest~2              two generations before the newest
  2026-11-22            the last one of that day or before, in UTC
  2026-11-22T10:00:00Z  the last one that is not later

Exit codes:
    0  done
    1  an I/O error, or any failure that has no code of its own
    2  the command line was wrong
    3  the store, path or revision does not exist
    4  another commit changed the same files first
    5  damage was found
    6  the store stayed busy until the lock wait ran out
    7  the input was refused: a bad path, revision or file
  130  stopped by Ctrl-C or a termination signal";

pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::Invalid => REFUSED,
        ErrorKind::Conflict => CONFLICT,
        ErrorKind::Busy => BUSY,
        ErrorKind::Corrupt => DAMAGE,
        // SnapshotExpired, CommitOutcomeUnknown, Poisoned, Unsupported, Io, and kinds added later.
        _ => FAILED,
    }
}
