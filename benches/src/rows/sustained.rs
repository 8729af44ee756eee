//! Many commits back to back. What a peer puts off, it has to do here.

use super::SMALL;
use crate::Result;
use crate::bench::Bench;
use crate::contents::{Contents, path};
use crate::contest::Contest;
use crate::peers::{self, GENSTORE, Peer, SQLITE_HISTORY};
use crate::row::Bound::{AtLeast, AtMost};
use crate::row::Row;
use crate::stats::{Samples, time};

/// The files that are committed in turn.
const PATHS: usize = 100;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (commits, scaled) = bench.size("commits", 20_000, 500);
    let mut contest = Contest::new();
    for (name, mut peer) in peers::in_process(bench, "sustained")? {
        contest.enter(name, move |round: &usize| {
            // The round that is not counted need not be long.
            back_to_back(peer.as_mut(), *round, if *round == 0 { commits / 20 } else { commits })
        });
    }
    let [rates, worst] = contest.run(bench, 5, Ok)?;
    let title = format!("{commits} commits of 1 file of 10 KB back to back");
    let rates = Row::new("sustained", &title, "commits/s", SQLITE_HISTORY, rates)
        .ratio(GENSTORE, SQLITE_HISTORY, AtLeast, 1.2)
        .scaled(scaled.clone());
    let title = format!("{title}: the p99 of each round");
    let worst = Row::new("sustained-p99", &title, "ms", SQLITE_HISTORY, worst)
        .ratio(GENSTORE, SQLITE_HISTORY, AtMost, 1.5)
        .scaled(scaled);
    Ok(vec![rates, worst])
}

/// The commits per second, and the 99th percentile of their times in milliseconds.
fn back_to_back(peer: &mut dyn Peer, round: usize, commits: usize) -> Result<[f64; 2]> {
    // To make new contents for each commit would take as long as a commit does.
    let base = Contents::default().next_of(SMALL);
    let mut times = Samples::default();
    for commit in 0..commits {
        let mut bytes = base.clone();
        let stamp = format!("{{\"round {round:06} commit {commit:06}\":");
        bytes.splice(..stamp.len(), stamp.into_bytes());
        let files = vec![(path(commit % PATHS), bytes)];
        times.push(time(|| peer.commit(files))?);
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = commits as f64 / times.sum() * 1e3;
    Ok([rate, times.quantile(0.99)])
}
