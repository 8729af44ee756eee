//! Commits from several threads at a time, each to files of its own.

use std::thread;

use super::SMALL;
use crate::Result;
use crate::bench::Bench;
use crate::contents::Contents;
use crate::contest::Contest;
use crate::peers::genstore::Genstore;
use crate::peers::sqlite::History;
use crate::peers::{Files, GENSTORE, Peer, SQLITE_HISTORY};
use crate::row::Bound::AtLeast;
use crate::row::Row;
use crate::stats::time;

const THREADS: usize = 8;

/// The commits of one thread in one round: the path and the bytes of each.
type Work = Files;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (commits, scaled) = bench.size("commits", 800, 80);
    let names = |peer: &str| [format!("{peer}, 1 thread"), format!("{peer}, {THREADS} threads")];
    let [one, eight] = names(GENSTORE);
    let mut contest = Contest::new();
    for (name, threads) in [(&one, 1), (&eight, THREADS)] {
        let store = Genstore::create(&bench.directory(&format!("threads/genstore-{threads}"))?)?;
        // All threads share one store.
        let mut handles = vec![store; threads];
        contest.enter(name, move |work: &Vec<Work>| rate(&mut handles, work));
    }
    for (name, threads) in names(SQLITE_HISTORY).iter().zip([1, THREADS]) {
        let dir = bench.directory(&format!("threads/sqlite-{threads}"))?;
        let mut handles = vec![History::create(&dir)?];
        while handles.len() < threads {
            handles.push(History::open(&dir)?);
        }
        contest.enter(name, move |work: &Vec<Work>| rate(&mut handles, work));
    }
    let mut contents = Contents::default();
    let [rates] = contest.run(bench, 15, |_| {
        let mut work = vec![Work::new(); THREADS];
        for (thread, work) in work.iter_mut().enumerate() {
            let path = |number| format!("thread-{thread}/{number:03}.json");
            work.extend((0..commits / THREADS).map(|number| (path(number), contents.next_of(SMALL))));
        }
        Ok(work)
    })?;
    let title = format!("{commits} commits of 1 file of 10 KB, from one thread or from {THREADS}");
    let row = Row::new("threads", &title, "commits/s", &one, rates);
    Ok(vec![row.ratio(&eight, &one, AtLeast, 1.8).scaled(scaled)])
}

/// Commits all work, shared out evenly among the handles, each in a thread of its own. Returns the
/// commits per second.
fn rate<P: Peer + Send>(handles: &mut [P], work: &[Work]) -> Result<[f64; 1]> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let commits = work.iter().map(Vec::len).sum::<usize>() as f64;
    let each = work.len().div_ceil(handles.len());
    let shares: Vec<Files> = work.chunks(each).map(<[Work]>::concat).collect();
    let ms = time(|| {
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for (handle, share) in handles.iter_mut().zip(shares) {
                threads.push(scope.spawn(move || {
                    // An error of a peer need not be one that threads may pass on.
                    let commit = |file| handle.commit(vec![file]).map_err(|error| error.to_string());
                    share.into_iter().try_for_each(commit)
                }));
            }
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
        })
        .map_err(Into::into)
    })?;
    Ok([commits / ms * 1e3])
}
