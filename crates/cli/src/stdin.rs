//! Standard input that a signal can interrupt.
//!
//! A flag cannot wake a read that waits for a pipe. So another thread reads, and this one polls.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use genstore::CancelFlag;

const CHUNK: usize = 256 * 1024;
/// The longest delay before a signal is noticed.
const POLL: Duration = Duration::from_millis(50);

/// A chunk of the input. An empty chunk is the end.
type Piece = io::Result<Vec<u8>>;

pub(crate) struct Stdin {
    pieces: Receiver<Piece>,
    current: io::Cursor<Vec<u8>>,
    ended: bool,
    stop: CancelFlag,
}

impl Stdin {
    pub(crate) fn new(stop: &CancelFlag) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(4);
        thread::Builder::new().spawn(move || feed(&sender))?;
        Ok(Self { pieces, current: io::Cursor::default(), ended: false, stop: stop.clone() })
    }
}

fn feed(sender: &SyncSender<Piece>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut piece = Vec::new();
        let read = stdin.by_ref().take(CHUNK as u64).read_to_end(&mut piece);
        let last = !matches!(read, Ok(length) if length > 0);
        // The receiver is gone if the command has stopped reading: then this thread ends too.
        if sender.send(read.map(|_| piece)).is_err() || last {
            return;
        }
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.is_cancelled() {
                // The kind is not `Interrupted`, after which callers retry.
                return Err(io::Error::other("stopped by a signal"));
            }
            let copied = self.current.read(buffer)?;
            if copied > 0 || self.ended || buffer.is_empty() {
                return Ok(copied);
            }
            match self.pieces.recv_timeout(POLL) {
                Ok(Ok(piece)) => {
                    self.ended = piece.is_empty();
                    self.current = io::Cursor::new(piece);
                }
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                // The reading thread died before the end. Half an input must not pass for the
                // whole.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("standard input ended without notice"));
                }
            }
        }
    }
}
