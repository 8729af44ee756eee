//! The state that every command shares: the store, the form of the output, and the flag that stops
//! the work.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use genstore::{CancelFlag, OpenOptions, ProbeReport, RecoveryReport, Store};
use serde_json::json;

use crate::args::{Global, Writer};
use crate::error::CliError;
use crate::term::{clean, note};
use crate::{exit, signal};

pub(crate) struct Context {
    store: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    stop: CancelFlag,
    damage: Cell<bool>,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        let named = || environment("GENSTORE_STORE").map(PathBuf::from);
        Self {
            store: global.store.or_else(named),
            json: global.json,
            quiet: global.quiet,
            stop: CancelFlag::new(),
            damage: Cell::new(false),
        }
    }

    pub(crate) fn dir(&self) -> Result<&Path, CliError> {
        self.store.as_deref().ok_or_else(|| {
            CliError::usage(
                "no store was named",
                "give --store DIR or set the environment variable GENSTORE_STORE",
            )
        })
    }

    /// Opens the store to read. A degraded store is read all the same, with a warning, and the exit
    /// code says so.
    pub(crate) fn open(&self) -> Result<Store, CliError> {
        let store = Store::options().open(self.dir()?)?;
        self.tell_recovery(store.recovery());
        Ok(store)
    }

    pub(crate) fn open_to_write(&self, writer: &Writer) -> Result<Store, CliError> {
        let store = self.options(writer).open(self.dir()?)?;
        self.tell_recovery(store.recovery());
        Ok(store)
    }

    /// From this call on, a signal stops the work cleanly instead of ending the program.
    pub(crate) fn options(&self, writer: &Writer) -> OpenOptions {
        self.watch_signals();
        let options = Store::options().author(&author(writer)).cancel(self.stop.clone());
        match writer.lock_wait {
            Some(wait) => options.lock_wait(wait),
            None => options,
        }
    }

    pub(crate) fn stop(&self) -> &CancelFlag {
        &self.stop
    }

    pub(crate) fn watch_signals(&self) {
        let json = self.json;
        signal::watch(&self.stop, exit::INTERRUPTED, move || CliError::stopped_at_once().print(json));
    }

    pub(crate) fn was_interrupted(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub(crate) fn report_damage(&self) {
        self.damage.set(true);
    }

    pub(crate) fn found_damage(&self) -> bool {
        self.damage.get()
    }

    /// With --json the warnings are part of the object that `init` prints.
    pub(crate) fn tell_probe(&self, report: Option<&ProbeReport>) {
        if self.quiet || self.json {
            return;
        }
        for warning in report.iter().flat_map(|report| &report.warnings) {
            note(&format!("genstore: warning: {}", clean(warning)));
        }
    }

    /// Prints the warning even with --quiet: the generation read may be older than the last commit.
    fn tell_recovery(&self, report: Option<RecoveryReport>) {
        let Some(report) = report else { return };
        if report.degraded {
            self.report_damage();
        }
        if self.json {
            return note(&json!({ "warning": report }).to_string());
        }
        for found in &report.findings {
            let name = found.path.as_deref().unwrap_or("the store");
            note(&format!("genstore: warning: {}: {}: {}", found.kind, clean(name), clean(&found.detail)));
        }
        if report.degraded {
            let serving = report.serving;
            note(&format!(
                "genstore: warning: this is generation {serving}, the newest that is intact; a later commit may \
                 be hidden; nothing on disk was changed: the files of a later commit are in data/, and their \
                 names end in .g and a number above {serving}; genstore verify --all shows what is damaged."
            ));
        }
    }
}

fn author(writer: &Writer) -> String {
    let user = || environment("USER").or_else(|| environment("USERNAME"))?.into_string().ok();
    writer.author.clone().or_else(user).unwrap_or_else(|| "unknown".to_owned())
}

/// An empty variable counts as not set.
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
