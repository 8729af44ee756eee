//! Ctrl-C and termination: the first asks the library to stop cleanly, the second does not ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit;

/// Installed by the commands that write only; for the others the usual sudden end is right.
pub(crate) fn watch(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    // Where no handler can be installed, a signal ends the program at once. A commit survives that too:
    // it is then an interrupted save, which costs nothing but a note in `status`.
    let _ = ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    });
}
