//! Ctrl-C and termination: the first asks the library to stop cleanly, a second one does not ask.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use genstore::CancelFlag;

/// Signals that come together count as one: `timeout` sends its signal to the command and then to all that run with it.
const TOGETHER: Duration = Duration::from_secs(1);
const TELLING_MAX: Duration = Duration::from_millis(200);

/// Sets `stop` at the first signal. At a second one it calls `tell` and ends the process with `code`.
///
/// Only commands that write install this; for the others the usual sudden end is right.
#[expect(clippy::disallowed_methods, reason = "how far apart two signals are is no matter of the library")]
pub(crate) fn watch(stop: &CancelFlag, code: u8, tell: impl Fn() + Clone + Send + 'static) {
    let stop = stop.clone();
    let mut first = None;
    // Where no handler can be installed, a signal ends the program at once. A commit survives that too:
    // it is then an interrupted commit, which costs nothing but a note in `status`.
    let _ = ctrlc::set_handler(move || {
        stop.cancel();
        if first.get_or_insert_with(Instant::now).elapsed() >= TOGETHER {
            // Whoever holds standard error may be waiting for somebody to read it.
            let (told, wait) = mpsc::channel();
            let tell = tell.clone();
            std::thread::spawn(move || {
                tell();
                let _ = told.send(());
            });
            let _ = wait.recv_timeout(TELLING_MAX);
            std::process::exit(i32::from(code));
        }
    });
}
