//! The command line: the one definition behind parsing, help, completions and man pages.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::exit;

/// Commits plain files that must change together, as numbered generations.
///
/// A store is a directory. Each commit becomes a generation of its own: all of its files become visible at
/// once or not at all, every byte is checksummed, and every earlier generation can be read, compared and
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
    /// No progress bars, no notes, no line that says what was done
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an empty store
    ///
    /// The directory must be missing or empty. The file system under it is probed: one that cannot keep
    /// the store's promises is refused, one that weakens them is warned about.
    #[command(after_long_help = "Example:\n  genstore init --store settings")]
    Init(Init),
    /// Commit a directory as one generation
    ///
    /// Files that did not change are not written again. Where nothing changed, no generation is made.
    #[command(
        after_long_help = "Example:\n  genstore commit ./settings --init --prune -m \"opening hours for winter\""
    )]
    Commit(Commit),
    /// Commit one file
    ///
    /// FILE is the file to read; `-`, or no FILE, is standard input.
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
    /// The whole file is checked against its hash before its first byte is printed.
    #[command(after_long_help = "Example:\n  genstore cat stores/downtown.json --at latest~1")]
    Cat(Cat),
    /// List files
    ///
    /// PREFIX is a plain string: `stores/` lists that directory, `stores/d` what begins so.
    #[command(after_long_help = "Example:\n  genstore ls stores/ --at 2026-11-22")]
    Ls(Ls),
    /// Write a generation's files into a directory
    ///
    /// The directory must be missing or empty, and not the one that you are in. It appears whole or not at all.
    #[command(after_long_help = "Example:\n  genstore export ./settings-yesterday --at 2026-11-21")]
    Export(Export),
    /// Show the history, newest first
    ///
    /// With PATH, only the generations that changed that file.
    #[command(after_long_help = "Example:\n  genstore log stores/downtown.json -n 5")]
    Log(Log),
    /// Show one generation: who, when, why and which files
    ///
    /// REV is a number, `latest`, `latest~N`, a date or a time.
    #[command(after_long_help = "Example:\n  genstore show latest")]
    Show(Show),
    /// Show what differs between two generations
    ///
    /// The first REV is compared with the second, or with the latest generation where there is no second.
    /// The second word is read as a revision; if it cannot be one, it is taken as PATH, a file or a
    /// directory. To name a path that looks like a revision, give both revisions first.
    ///
    /// JSON documents are compared by value and shown by JSON pointer, other text by lines, other bytes by
    /// size and hash. Text above 1 MiB and JSON above 8 MiB is shown by size and hash as well.
    #[command(
        after_long_help = "Examples:\n  genstore diff latest~1\n  genstore diff 41 42 stores/downtown.json\n  genstore diff 41 stores --summary"
    )]
    Diff(Diff),
    /// Bring back an earlier state, as a new generation
    ///
    /// With PATH (a file, a directory or a pattern such as `stores/*.json`), only that part. No bytes are
    /// copied, and the generations in between stay in the history.
    #[command(
        after_long_help = "Example:\n  genstore rollback latest~1 stores/downtown.json -m \"Friday was a mistake\""
    )]
    Rollback(Rollback),
    /// Say where the store stands
    ///
    /// Reads the pointer, the newest manifest and the names of interrupted commits. Whether the files are there and intact
    /// is for verify to say.
    #[command(after_long_help = "Example:\n  genstore status")]
    Status,
    /// Check every byte
    ///
    /// Reads only. Checks the latest generation, or the one named with --at, or all of them.
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
    /// With --dir, writes the page of the program and one page for each command into that directory.
    #[command(after_long_help = "Example:\n  genstore man --dir ~/.local/share/man/man1")]
    Man(Man),
}

/// What every command that writes asks for.
#[derive(Args)]
pub(crate) struct Save {
    /// Why: kept with the generation and shown by log
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
    /// How long to wait for another writer, such as 5 or 500ms; without it 30 s
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
    /// Make the store even on a file system that cannot keep its promises
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) writer: Writer,
}

#[derive(Args)]
pub(crate) struct Commit {
    /// The directory to commit
    pub(crate) dir: PathBuf,
    /// Make the store first if there is none
    #[arg(long)]
    pub(crate) init: bool,
    /// Remove from the store what DIR no longer has
    #[arg(long)]
    pub(crate) prune: bool,
    /// Commit under this directory of the store; --prune then looks at this directory only
    #[arg(long, value_name = "PREFIX")]
    pub(crate) into: Option<String>,
    /// Commit what symbolic links point to, instead of refusing them
    #[arg(long)]
    pub(crate) follow_links: bool,
    #[command(flatten)]
    pub(crate) save: Save,
}

#[derive(Args)]
pub(crate) struct Put {
    /// The path in the store
    pub(crate) path: String,
    /// The file to read; `-` or nothing is standard input
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) save: Save,
}

#[derive(Args)]
pub(crate) struct Rm {
    /// The paths in the store
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) save: Save,
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
    /// List only paths that begin with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The directory to write into; missing or empty
    pub(crate) dir: PathBuf,
    /// Leave damaged files out instead of writing nothing; they are named, and the exit code is 5
    #[arg(long)]
    pub(crate) skip_damaged: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Args)]
pub(crate) struct Log {
    /// Only the generations that changed this file
    pub(crate) path: Option<String>,
    /// Show at most this many
    #[arg(short = 'n', value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Args)]
pub(crate) struct Show {
    /// The generation
    #[arg(value_name = "REV")]
    pub(crate) revision: String,
}

#[derive(Args)]
pub(crate) struct Diff {
    /// The generation to compare from
    #[arg(value_name = "REV")]
    pub(crate) from: String,
    /// The generation to compare with, or PATH; without it, the latest generation
    #[arg(value_name = "REV or PATH")]
    pub(crate) second: Option<String>,
    /// Only this file or directory
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Only the list of files
    #[arg(long)]
    pub(crate) summary: bool,
}

#[derive(Args)]
pub(crate) struct Rollback {
    /// The generation whose state comes back
    #[arg(value_name = "REV")]
    pub(crate) revision: String,
    /// Only these files, directories or patterns
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) save: Save,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// Check every generation
    #[arg(long, conflicts_with = "at")]
    pub(crate) all: bool,
    /// Check names, lengths and the chain of manifests, but do not read the files
    #[arg(long)]
    pub(crate) quick: bool,
    /// Check this generation
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

/// A bare number is seconds; anything else must carry its unit.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok()).ok_or_else(
        || "a number of seconds is wanted, or a length of time with its unit, such as 30s or 2m".to_owned(),
    )
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
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            assert!(verb.get_long_about().is_some(), "{}", verb.get_name());
            let example = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(example.contains(&format!("genstore {}", verb.get_name())), "{}", verb.get_name());
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
