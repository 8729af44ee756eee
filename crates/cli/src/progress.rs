//! A progress bar on standard error for work that takes long.

use std::io::{IsTerminal, stderr};

use genstore::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Context;

/// The bar is cleared when it is dropped, so that it never mixes with the result.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// Draws nothing with --quiet or --json, or if standard error is not a terminal.
    pub(crate) fn new(context: &Context, doing: &'static str) -> Self {
        if context.quiet || context.json || !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(0).with_message(doing);
        // Only a wrong template fails here. The bar then keeps its plain look.
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3}%  {prefix}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    pub(crate) fn callback(&self) -> impl Fn(&Progress) + Send + Sync + 'static {
        let bar = self.0.clone();
        move |step| {
            let Some(bar) = &bar else { return };
            // Bytes tell more about the time left. If all files are empty, the files are counted.
            let (done, total) = match step.bytes_total {
                0 => (step.files_done, step.files_total),
                bytes => (step.bytes_done, bytes),
            };
            bar.set_length(total);
            bar.set_position(done);
            bar.set_prefix(format!("{}/{} files", step.files_done, step.files_total));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
