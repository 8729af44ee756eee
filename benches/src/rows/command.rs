//! One commit by the command, from the start of the process to its exit.

use std::fs;
use std::process::Command;

use super::SMALL;
use crate::Result;
use crate::bench::Bench;
use crate::commands::run as run_command;
use crate::contents::{Contents, path};
use crate::contest::Contest;
use crate::peers::genstore::{Genstore, put};
use crate::peers::{GENSTORE, Peer as _, sqlite};
use crate::row::Bound::AtMost;
use crate::row::Row;
use crate::stats::time;

const SQLITE3: &str = "sqlite3";
/// The files that each peer holds before.
const BEFORE: usize = 100;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let program = bench.genstore()?;
    let mut contents = Contents::default();
    let before = contents.next_files(BEFORE, SMALL);
    let file = bench.directory("command")?.join("new.json");
    let mut contest = Contest::new();

    let dir = bench.directory("command/genstore")?;
    Genstore::create(&dir)?.put(before.clone())?;
    let mut genstore = put(program, &dir, &path(0), &file);
    contest.enter(GENSTORE, move |(): &()| Ok([time(|| run_command(&mut genstore))?]));

    if bench.commands.sqlite3.is_some() {
        let dir = bench.directory("command/sqlite")?;
        sqlite::History::create(&dir)?.commit(before)?;
        let mut sqlite3 = Command::new("sqlite3");
        sqlite3.args(["-batch", "-bail"]).arg(dir.join("db")).arg(format!(
            "PRAGMA synchronous=FULL; BEGIN IMMEDIATE;
             INSERT INTO generations (message) VALUES ('commit');
             INSERT INTO versions (path, generation, bytes)
                 VALUES ('{}', last_insert_rowid(), readfile('{}'));
             COMMIT;",
            path(0),
            file.display()
        ));
        contest.enter(SQLITE3, move |(): &()| Ok([time(|| run_command(&mut sqlite3))?]));
    } else {
        bench.skip("the peer sqlite3 of the row command: not installed");
    }

    let [times] = contest.run(bench, 200, |_| Ok(fs::write(&file, contents.next_of(SMALL))?))?;
    let title = "commit 1 file of 10 KB by the command, from start to exit; sqlite3 keeps history";
    let row = Row::new("command", title, "ms", SQLITE3, times);
    Ok(vec![row.ratio(GENSTORE, SQLITE3, AtMost, 1.5)])
}
