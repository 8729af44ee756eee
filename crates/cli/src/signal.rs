//! Ctrl-C and termination signals. The first asks the library to stop cleanly, a later one ends the
//! program at once.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use genstore::CancelFlag;

/// Signals within this time count as one: `timeout` sends its signal to the command and then to the
/// whole process group.
const TOGETHER: Duration = Duration::from_secs(1);
const TELLING_MAX: Duration = Duration::from_millis(200);

/// Sets `stop` at the first signal. At a later one it calls `tell` and ends the process with
/// `code`.
///
/// Only commands that write install this. The others end at the first signal, as usual.
#[expect(clippy::disallowed_methods, reason = "the time between two signals concerns the command only")]
pub(crate) fn watch(stop: &CancelFlag, code: u8, tell: impl Fn() + Clone + Send + 'static) {
    let stop = stop.clone();
    let mut first = None;
    // If no handler can be installed, a signal ends the program at once. The store survives that:
    // the commit is then an interrupted commit, and `status` names it.
    let _ = ctrlc::set_handler(move || {
        stop.cancel();
        if first.get_or_insert_with(Instant::now).elapsed() >= TOGETHER {
            // Writing to standard error may block, so it gets its own thread and a time limit.
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
