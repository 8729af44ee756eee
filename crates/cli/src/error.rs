//! The errors that end a command early, printed as one sentence or one JSON object.

use std::fs::{self, FileType};
use std::io;
use std::path::Path;

use genstore::{ErrorKind, Subject};
use serde_json::{Value, json};

use crate::exit;
use crate::term::{clean, note};

pub(crate) enum CliError {
    /// The library refused or failed. The command may have an advice that fits it better.
    Store(Box<genstore::Error>, Option<&'static str>),
    /// The command itself refused or failed.
    Own(Own),
    /// The result could not be printed.
    Output(io::Error),
}

pub(crate) struct Own {
    kind: &'static str,
    code: u8,
    message: String,
    consequence: &'static str,
    advice: String,
    path: Option<String>,
}

impl From<genstore::Error> for CliError {
    fn from(error: genstore::Error) -> Self {
        Self::Store(Box::new(error), None)
    }
}

/// `?` on an I/O error means a failed output. All other I/O of the command names its file.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl CliError {
    pub(crate) fn usage(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Own(Own {
            kind: "usage",
            code: exit::USAGE,
            message: message.into(),
            consequence: "nothing was done",
            advice: advice.into(),
            path: None,
        })
    }

    pub(crate) fn not_found(path: &str, message: String, advice: String) -> Self {
        Self::Own(Own {
            kind: "not_found",
            code: exit::NOT_FOUND,
            message,
            consequence: "nothing was done",
            advice,
            path: Some(path.to_owned()),
        })
    }

    /// The library's error about a file outside the store that should be committed. `advise` knows
    /// what helps with a file of this type.
    pub(crate) fn source(
        error: genstore::Error,
        follow_links: bool,
        advise: impl FnOnce(FileType) -> Option<&'static str>,
    ) -> Self {
        let look = if follow_links { fs::metadata } else { fs::symlink_metadata };
        let found = error.path().filter(|_| error.subject() == Subject::Source);
        let advice =
            found.and_then(|path| look(Path::new(path)).ok()).and_then(|meta| advise(meta.file_type()));
        Self::Store(Box::new(error), advice)
    }

    pub(crate) fn file(path: &Path, doing: &str, error: &io::Error) -> Self {
        let path = path.to_string_lossy().into_owned();
        Self::Own(Own {
            kind: "io",
            code: exit::FAILED,
            message: format!("{doing} {path} failed: {error}"),
            consequence: "the store is as it was",
            advice: "check the path and its permissions".to_owned(),
            path: Some(path),
        })
    }

    /// The reader checks the bytes again while they are read. `InvalidData` means that they
    /// changed.
    pub(crate) fn reading(path: &str, error: &io::Error) -> Self {
        let damaged = error.kind() == io::ErrorKind::InvalidData;
        Self::Own(Own {
            kind: if damaged { "corrupt" } else { "io" },
            code: if damaged { exit::DAMAGE } else { exit::FAILED },
            message: format!("reading {path} failed: {error}"),
            consequence: "the output is not the whole file",
            advice: "run genstore verify".to_owned(),
            path: Some(path.to_owned()),
        })
    }

    /// clap's text has paragraphs: the error, perhaps a tip, the usage, and a pointer to the help.
    pub(crate) fn from_usage(stop: &clap::Error) -> Self {
        let text = stop.to_string();
        let mut message = Vec::new();
        let mut usage = None;
        for paragraph in text.split("\n\n") {
            let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            if let Some(line) = line.strip_prefix("Usage: ") {
                usage = Some(line.to_owned());
            } else if let Some(line) = line.strip_prefix("error: ") {
                message.push(line.to_owned());
            } else if let Some(tip) = line.strip_prefix("tip: ") {
                message.push(format!("({tip})"));
            }
        }
        let advice = match usage {
            Some(usage) => format!("the usage is {usage}, and --help says more"),
            None => "--help says more".to_owned(),
        };
        Self::usage(message.join(" "), advice)
    }

    /// A second signal ended the program, and the command may or may not have been done.
    pub(crate) fn stopped_at_once() -> Self {
        Self::Own(Own {
            kind: "interrupted",
            code: exit::INTERRUPTED,
            message: "stopped at once by a second signal".to_owned(),
            consequence: "it is not known whether the command was done by then",
            advice: "run genstore status to see where the store stands".to_owned(),
            path: None,
        })
    }

    /// The reader of the output has gone, as `head` does. That is no failure of the command.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// After a signal, an I/O error is a consequence of the signal. And where a command only reads, a
    /// failed output leaves nothing to ask about.
    pub(crate) fn seen_with(self, interrupted: bool, only_reads: bool) -> Self {
        match &self {
            Self::Output(error) if only_reads => Self::Own(Own {
                kind: "io",
                code: exit::FAILED,
                message: format!("the result could not be printed: {error}"),
                consequence: "the store is as it was",
                advice: "check where standard output goes".to_owned(),
                path: None,
            }),
            Self::Store(error, _)
                if error.is_interrupted() || (interrupted && error.kind() == ErrorKind::Io) =>
            {
                Self::Own(Own {
                    kind: "interrupted",
                    code: exit::INTERRUPTED,
                    message: "stopped by a signal".to_owned(),
                    consequence: "nothing of it was done, and the store is as it was",
                    advice: "run the same command again".to_owned(),
                    path: error.path().map(str::to_owned),
                })
            }
            _ => self,
        }
    }

    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Store(error, _) => exit::code(error.kind()),
            Self::Own(own) => own.code,
            Self::Output(_) => exit::FAILED,
        }
    }

    pub(crate) fn print(&self, json: bool) {
        let facts = self.facts();
        if json {
            return note(&json!({ "error": facts }).to_string());
        }
        let part = |key: &str| {
            facts.get(key).and_then(Value::as_str).unwrap_or_default().trim_end_matches('.').to_owned()
        };
        let parts = [part("message"), part("consequence"), part("advice")];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        note(&format!("genstore: {}.", clean(&parts.join("; "))));
    }

    /// Every key is always present, so that a script need not ask first.
    pub(crate) fn facts(&self) -> Value {
        let own = |kind: &str, message: &str, consequence: &str, advice: &str, path: Option<&str>| {
            json!({
                "kind": kind, "message": message, "path": path, "generation": null, "expected": null,
                "found": null, "intact": null, "conflicts": [], "holder": null,
                "consequence": consequence, "advice": advice,
            })
        };
        match self {
            Self::Store(error, advice) => store_facts(error, *advice),
            Self::Own(it) => own(it.kind, &it.message, it.consequence, &it.advice, it.path.as_deref()),
            Self::Output(error) => own(
                "io",
                &format!("the result could not be printed: {error}"),
                "what the command did in the store stays done",
                "check where standard output goes, and run genstore status to see where the store stands",
                None,
            ),
        }
    }
}

fn store_facts(error: &genstore::Error, own: Option<&str>) -> Value {
    let conflicts: Vec<_> = error
        .conflicts()
        .iter()
        .map(|conflict| json!({ "path": conflict.path.as_str(), "generation": conflict.generation.get() }))
        .collect();
    let holder = error.holder().map(|holder| {
        json!({
            "pid": holder.pid, "host": holder.host,
            "since": holder.since.to_string(), "program": holder.program,
        })
    });
    json!({
        "kind": error.kind().as_str(),
        "message": whole_message(error),
        "path": error.path(),
        "generation": error.generation().map(|generation| generation.get()),
        "expected": error.expected(),
        "found": error.found(),
        "intact": error.intact().map(|generation| generation.get()),
        "conflicts": conflicts,
        "holder": holder,
        "consequence": error.consequence(),
        "advice": own.map_or_else(|| advice(error), str::to_owned),
    })
}

/// The library's advice, in the words of the command line.
fn advice(error: &genstore::Error) -> String {
    let at = error.generation().map_or_else(String::new, |generation| format!(" --at {generation}"));
    match (error.kind(), error.subject()) {
        (ErrorKind::NotFound, Subject::EmptyDirectory) => {
            "check the name, or create a store there with genstore init".to_owned()
        }
        (ErrorKind::NotFound, Subject::UnfinishedStore) => {
            "run genstore init again, which completes it".to_owned()
        }
        (ErrorKind::NotFound, Subject::File | Subject::Pattern) => {
            format!("genstore ls{at} lists the paths, and genstore log PATH the generations that changed one")
        }
        (ErrorKind::NotFound | ErrorKind::Invalid, Subject::Revision) => {
            "genstore log lists the generations there are".to_owned()
        }
        (ErrorKind::Busy, _) => "try again, or wait longer with --lock-wait".to_owned(),
        (ErrorKind::Corrupt, Subject::File) => match error.intact() {
            Some(intact) => format!(
                "{}: genstore cat --at {intact} and genstore rollback {intact}, each with that path",
                error.advice()
            ),
            None => error.advice(),
        },
        (ErrorKind::Corrupt, Subject::Metadata) => {
            "copy the store before anything else; genstore verify --all shows what else is damaged".to_owned()
        }
        (ErrorKind::CommitOutcomeUnknown, _) => {
            "find out why the disk failed, then see with genstore status which generation the store is at"
                .to_owned()
        }
        (ErrorKind::Unsupported, Subject::Store) => {
            format!("{}: genstore init --force creates it there all the same", error.advice())
        }
        _ => error.advice(),
    }
}

/// The message, with the causes that it does not name yet, such as an error of the operating
/// system.
fn whole_message(error: &genstore::Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    message
}
