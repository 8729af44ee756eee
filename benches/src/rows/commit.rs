//! One commit of a few files, by genstore and by all peers.

use super::SMALL;
use crate::Result;
use crate::bench::Bench;
use crate::contents::Contents;
use crate::contest::Contest;
use crate::peers::{self, FLOOR, Files, GENSTORE, LMDB, SQLITE_HISTORY};
use crate::row::Bound::AtMost;
use crate::row::Row;
use crate::stats::time;

/// The small files that each peer holds before the first commit that is measured.
const BEFORE: usize = 100;

pub(super) fn one(bench: &Bench) -> Result<Vec<Row>> {
    run(bench, "commit-1", "commit 1 file of 10 KB", (1, SMALL), 400, |row| {
        row.ratio(GENSTORE, SQLITE_HISTORY, AtMost, 0.60)
            .ratio(GENSTORE, FLOOR, AtMost, 1.35)
            .ratio(GENSTORE, LMDB, AtMost, 1.0)
    })
}

pub(super) fn ten(bench: &Bench) -> Result<Vec<Row>> {
    run(bench, "commit-10", "commit 10 files of 10 KB", (10, SMALL), 200, |row| {
        row.ratio(GENSTORE, SQLITE_HISTORY, AtMost, 0.40)
    })
}

pub(super) fn hundred(bench: &Bench) -> Result<Vec<Row>> {
    run(bench, "commit-100", "commit 100 files of 10 KB", (100, SMALL), 60, |row| {
        row.ratio(GENSTORE, SQLITE_HISTORY, AtMost, 0.25)
    })
}

pub(super) fn ten_large(bench: &Bench) -> Result<Vec<Row>> {
    run(bench, "commit-10-large", "commit 10 files of 1 MB", (10, 1_000_000), 40, |row| {
        row.ratio(GENSTORE, SQLITE_HISTORY, AtMost, 0.35)
    })
}

/// Measures the times of commits, and how often each made the disk flush its cache.
fn run(
    bench: &Bench,
    name: &str,
    title: &str,
    (files, bytes): (usize, usize),
    rounds: usize,
    targets: impl FnOnce(Row) -> Row,
) -> Result<Vec<Row>> {
    let mut contents = Contents::default();
    let before = contents.next_files(BEFORE, SMALL);
    let mut contest = Contest::new();
    for (peer_name, mut peer) in peers::all(bench, name)? {
        peer.commit(before.clone())?;
        contest.enter(peer_name, move |files: &Files| {
            let files = files.clone();
            let flushes = bench.disk.flushes().unwrap_or_default();
            let ms = time(|| peer.commit(files))?;
            let flushes = bench.disk.flushes().unwrap_or_default() - flushes;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            Ok([ms, flushes as f64])
        });
    }
    let [times, flushes] = contest.run(bench, rounds, |_| Ok(contents.next_files(files, bytes)))?;
    let mut rows = vec![targets(Row::new(name, title, "ms", SQLITE_HISTORY, times))];
    if bench.disk.flushes().is_some() {
        let title = format!("{title}: flushes of the disk, those of other programs included");
        rows.push(Row::new(&format!("{name}-flushes"), &title, "flushes", SQLITE_HISTORY, flushes));
    } else {
        bench.skip("the flushes of the disk: the kernel does not count them here");
    }
    Ok(rows)
}
