//! A commit to a store of many files, and to one of few.

use super::SMALL;
use crate::Result;
use crate::bench::Bench;
use crate::big::{FEW, few, many_files, path_of_many};
use crate::contents::{Contents, path};
use crate::contest::Contest;
use crate::peers::genstore::Genstore;
use crate::row::Bound::AtMost;
use crate::row::Row;
use crate::stats::time;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let (count, scaled) = many_files(bench);
    let few_name = format!("of {FEW} files");
    let many_name = format!("of {count} files");
    let mut contest = Contest::new();
    let small = Genstore::open(&few(bench, "commit-of-many")?)?;
    contest.enter(&few_name, move |(round, bytes): &(usize, Vec<u8>)| {
        let files = vec![(path(round % FEW), bytes.clone())];
        Ok([time(|| small.put(files))?])
    });
    let large = Genstore::open(bench.big.files(bench)?)?;
    contest.enter(&many_name, move |(round, bytes): &(usize, Vec<u8>)| {
        // A prime number of files apart, so that each commit goes to another directory.
        let files = vec![(path_of_many(round * 7919 % count), bytes.clone())];
        Ok([time(|| large.put(files))?])
    });
    let mut contents = Contents::default();
    let [times] = contest.run(bench, 200, |round| Ok((round, contents.next_of(SMALL))))?;
    let row = Row::new("commit-of-many", "commit 1 file of 10 KB of many", "ms", &few_name, times);
    Ok(vec![row.ratio(&many_name, &few_name, AtMost, 1.2).scaled(scaled)])
}
