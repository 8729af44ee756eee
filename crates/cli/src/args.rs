//! The command line: the one definition behind parsing, help, completions and man pages.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::exit;

/// Commits plain files that must change together, as numbered generations.
///
/// A store is a directory of plain files. Each commit is a numbered generation: it is durable as a
/// whole or absent. Every byte is checksummed. Every earlier generation can be read, compared and
/// rolled back to.
#[derive(Parser)]
#[command(
    name = "genstore",
    version,
    after_long_help = exit::HELP,
    arg_required_else_help = false,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The store's directory; without it, the environment variable GENSTORE_STORE names it
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Print one JSON object a line; errors become JSON on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress bars, no notes about the file system, no line that says what was done
    ///
    /// Results, errors and warnings about damage are still printed.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create an empty store
    ///
    /// The directory must be missing or empty. The file system under it is probed. A file system
    /// that cannot keep the store's promises (NFS, SMB, 9p) is refused. One that weakens them is
    /// accepted with a warning.
    #[command(after_long_help = "Example:\n  genstore init --store settings")]
    Init(Init),
    /// Commit a directory as one generation
    ///
    /// Files that are in the store with the same bytes are not written again. If nothing differs,
    /// no generation is created. Files of the store that DIR does not have stay, unless --prune is
    /// given.
    #[command(
        after_long_help = "Example:\n  genstore commit ./settings --init --prune -m \"opening hours for winter\""
    )]
    Commit(Commit),
    /// Commit one file
    ///
    /// If another process commits the same path while the input is read, the command ends with exit
    /// code 4 and overwrites nothing.
    #[command(
        after_long_help = "Example:\n  genstore put stores/downtown.json downtown.json -m \"Downtown opens on Friday\""
    )]
    Put(Put),
    /// Remove files
    ///
    /// Earlier generations keep them. If one of the paths does not exist, nothing is removed.
    #[command(after_long_help = "Example:\n  genstore rm stores/closed.json -m \"this shop has closed\"")]
    Rm(Rm),
    /// Print a file
    ///
    /// The whole file is checked against its hash before the first byte is printed.
    #[command(after_long_help = "Example:\n  genstore cat stores/downtown.json --at latest~1")]
    Cat(Cat),
    /// List files
    ///
    /// Each line shows the length in bytes, the generation that wrote the file, and the path.
    ///
    /// PREFIX is a plain string: `stores/` lists that directory, and `stores/d` lists every path
    /// that begins so.
    #[command(after_long_help = "Example:\n  genstore ls stores/ --at 2026-11-22")]
    Ls(Ls),
    /// Write the files of a generation into a directory
    ///
    /// DIR must be missing or empty, and must not be the directory that you are in. Each file is
    /// checked while it is copied. DIR appears whole or not at all.
    #[command(after_long_help = "Example:\n  genstore export ./settings-yesterday --at 2026-11-21")]
    Export(Export),
    /// Show the history, newest first
    ///
    /// Each line shows one generation: number, time in UTC, author, files put and removed, the kind
    /// if it is not `commit`, and the first line of the message.
    #[command(after_long_help = "Example:\n  genstore log stores/downtown.json -n 5")]
    Log(Log),
    /// Show one generation: who, when, why and which files
    ///
    /// Lists every path that the generation put or removed.
    #[command(after_long_help = "Example:\n  genstore show latest")]
    Show(Show),
    /// Show what differs between two generations
    ///
    /// The older generation comes first by custom. Without a second REV, the second is the latest.
    ///
    /// In `diff A B`, B is read as a revision. If it cannot be a revision, it is taken as a path.
    /// To name a path that looks like a revision, give both revisions: `diff 41 latest 2024`.
    ///
    /// JSON documents up to 8 MiB are shown by JSON pointer with old and new value. Other text up
    /// to 1 MiB is shown by lines. Everything else is shown by length and hash.
    #[command(
        after_long_help = "Examples:\n  genstore diff latest~1\n  genstore diff 41 42 stores/downtown.json\n  genstore diff 41 stores --summary"
    )]
    Diff(Diff),
    /// Make an earlier state the newest one again, as a new generation
    ///
    /// The history in between stays, and no bytes are copied. A rollback that changes nothing
    /// creates no generation.
    #[command(
        after_long_help = "Example:\n  genstore rollback latest~1 stores/downtown.json -m \"Friday was a mistake\""
    )]
    Rollback(Rollback),
    /// Say where the store stands
    ///
    /// Shows the latest generation, the health of the store and the interrupted commits above that
    /// generation: genstore verify --all lists the older ones too. It does not look at the files
    /// themselves: genstore verify checks that they are there and intact.
    #[command(after_long_help = "Example:\n  genstore status")]
    Status,
    /// Check every byte
    ///
    /// Checks the pointer, the manifests, the chain between them and every byte of the files: for
    /// the latest generation, for that of --at, or with --all for every one. It changes nothing. If
    /// it finds damage, the exit code is 5.
    #[command(after_long_help = "Example:\n  genstore verify --all")]
    Verify(Verify),
    /// Print a completion script for a shell
    #[command(
        long_about = "Print a completion script for a shell\n\nPut it where your shell looks for completions.",
        after_long_help = "Example:\n  genstore completions bash > ~/.local/share/bash-completion/completions/genstore"
    )]
    Completions(Completions),
    /// Print the man page
    ///
    /// With --dir, writes that page and one page for each command into DIR.
    #[command(after_long_help = "Example:\n  genstore man --dir ~/.local/share/man/man1")]
    Man(Man),
}

impl Command {
    /// Whether the command changes nothing and writes only to standard output.
    pub(crate) const fn only_reads(&self) -> bool {
        use Command as C;
        match self {
            C::Cat(_) | C::Ls(_) | C::Log(_) | C::Show(_) | C::Diff(_) | C::Status | C::Verify(_) => true,
            C::Completions(_) => true,
            C::Init(_) | C::Commit(_) | C::Put(_) | C::Rm(_) | C::Rollback(_) | C::Export(_) | C::Man(_) => {
                false
            }
        }
    }
}

/// The arguments of every command that commits.
#[derive(Args)]
pub(crate) struct Change {
    /// Why: kept with the generation and shown by log and show
    #[arg(short, long, value_name = "MSG")]
    pub(crate) message: String,
    #[command(flatten)]
    pub(crate) writer: Writer,
}

#[derive(Args)]
pub(crate) struct Writer {
    /// Who: kept with the generation; without it $USER, or else `unknown`
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// How long to wait for another writer, such as 5, 500ms or 2m; without it 30 s
    ///
    /// A number without a unit counts seconds. 0 does not wait.
    #[arg(long, value_name = "SECONDS", value_parser = duration)]
    pub(crate) lock_wait: Option<Duration>,
}

#[derive(Args)]
pub(crate) struct At {
    /// Read this generation: a number, `latest`, `latest~N`, a date or a time
    #[arg(long, value_name = "REV", default_value = "latest")]
    pub(crate) at: String,
}

#[derive(Args)]
pub(crate) struct Init {
    /// Create the store even on a file system that cannot keep its promises
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) writer: Writer,
}

#[derive(Args)]
pub(crate) struct Commit {
    /// The directory to commit
    pub(crate) dir: PathBuf,
    /// Create the store first if there is none
    #[arg(long)]
    pub(crate) init: bool,
    /// Remove from the store what DIR no longer has
    #[arg(long)]
    pub(crate) prune: bool,
    /// Commit under this directory of the store; --prune then looks at that directory only
    #[arg(long, value_name = "PREFIX")]
    pub(crate) into: Option<String>,
    /// Commit what symbolic links point to; without it a symbolic link is refused
    #[arg(long)]
    pub(crate) follow_links: bool,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args)]
pub(crate) struct Put {
    /// The path in the store
    pub(crate) path: String,
    /// The file to read; without it, or if it is `-`, standard input
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args)]
pub(crate) struct Rm {
    /// The paths in the store
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args)]
pub(crate) struct Cat {
    /// The path in the store
    pub(crate) path: String,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Args)]
pub(crate) struct Ls {
    /// List only the paths that begin with this string
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The directory to write into
    pub(crate) dir: PathBuf,
    /// Leave out damaged files, and write all others
    ///
    /// They are named on standard error, and the exit code is then 5. Without this flag, a damaged
    /// file ends the export with exit code 5, and nothing is written.
    #[arg(long)]
    pub(crate) skip_damaged: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Args)]
pub(crate) struct Log {
    /// Show only the generations that changed this file
    pub(crate) path: Option<String>,
    /// Show at most N generations
    #[arg(short = 'n', value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The generation to show: a number, `latest`, `latest~N`, a date or a time
    #[arg(value_name = "REV")]
    pub(crate) revision: String,
}

#[derive(Args)]
pub(crate) struct Diff {
    /// The generation to compare: a number, `latest`, `latest~N`, a date or a time
    #[arg(value_name = "REV")]
    pub(crate) from: String,
    /// The generation to compare with; or a path, if it cannot be a revision
    #[arg(value_name = "REV|PATH")]
    pub(crate) second: Option<String>,
    /// Compare only this file or directory
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// List the files, and leave out their contents
    #[arg(long)]
    pub(crate) summary: bool,
}

#[derive(Args)]
pub(crate) struct Rollback {
    /// The generation to roll back to: a number, `latest`, `latest~N`, a date or a time
    #[arg(value_name = "REV")]
    pub(crate) revision: String,
    /// Roll back only these: files, directories or patterns such as `stores/*.json`
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) change: Change,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// Check every generation
    #[arg(long, conflicts_with = "at")]
    pub(crate) all: bool,
    /// Check names, lengths and the chain only. The files are not read
    #[arg(long)]
    pub(crate) quick: bool,
    /// Check this generation: a number, `latest`, `latest~N`, a date or a time
    #[arg(long, value_name = "REV")]
    pub(crate) at: Option<String>,
}

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args)]
pub(crate) struct Man {
    /// Write one page for each command into this directory, which must exist
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// A number without a unit counts seconds.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "give a number of seconds, or a time with its unit, such as 500ms or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_line_a_long_help_and_an_example() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            assert!(command.get_long_about().is_some(), "{name}");
            let example = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains(&format!("genstore {name}")), "{name}");
        }
    }

    #[test]
    fn lock_waits() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for bad in ["", "-5", "-5s", "soon", "1.5", "99999999999999999999"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
