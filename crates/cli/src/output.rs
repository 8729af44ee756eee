//! Standard output. Only this module writes to it.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

pub(crate) const PLUS: Style = AnsiColor::Green.on_default();
pub(crate) const MINUS: Style = AnsiColor::Red.on_default();
pub(crate) const MARK: Style = AnsiColor::Cyan.on_default();
pub(crate) const STRONG: Style = Style::new().bold();

/// Buffered standard output. A failed write returns an error to the caller and never panics.
pub(crate) struct Out {
    writer: Box<dyn Write>,
    color: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        let stdout = io::stdout();
        let choice = if json { ColorChoice::Never } else { AutoStream::choice(&stdout) };
        if choice == ColorChoice::Never {
            // `AutoStream` would strip escape sequences from a file's own bytes.
            return Self { writer: Box::new(BufWriter::new(stdout.lock())), color: false };
        }
        Self { writer: Box::new(BufWriter::new(AutoStream::new(stdout.lock(), choice))), color: true }
    }

    pub(crate) fn paint(&self, style: Style, text: impl Display) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    /// Writes one object and ends its line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.writer, value)?;
        self.writer.write_all(b"\n")
    }

    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Write for Out {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.writer.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
