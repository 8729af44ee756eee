//! Opening and reading: many files, many generations, and old generations.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::bench::Bench;
use crate::big::{FEW, few, many_files, many_generations, path_of_many};
use crate::contents::path;
use crate::contest::Contest;
use crate::peers::genstore::Genstore;
use crate::row::Bound::AtMost;
use crate::row::Row;
use crate::stats::time;

pub(super) fn open(bench: &Bench) -> Result<Vec<Row>> {
    let (files, files_scaled) = many_files(bench);
    let (generations, generations_scaled) = many_generations(bench);
    let few_name = format!("{FEW} files and generations");
    let files_name = format!("{files} files");
    let generations_name = format!("{generations} generations");
    let mut contest = Contest::new();
    let mut enter = |name: &str, store: PathBuf, path: String| {
        contest.enter(name, move |round: &usize| {
            // Each round finds the store at another distance from its newest checkpoint.
            let content = format!("{{\"round\":{round}}}");
            Genstore::open(&store)?.put(vec![(path.clone(), content.into_bytes())])?;
            let mut child = Command::new(std::env::current_exe()?);
            let output = child.arg(super::child::OPEN).arg(&store).arg(&path).output()?;
            super::child::figures(&output)
        });
    };
    enter(&few_name, few(bench, "open")?, path(0));
    enter(&files_name, bench.big.files(bench)?.into(), path_of_many(files / 2));
    enter(&generations_name, bench.big.generations(bench)?.into(), path(0));
    let [times, peaks] = contest.run(bench, 25, Ok)?;
    let title = "open a store and read one file, without the start of the process";
    let scaled = files_scaled.or(generations_scaled);
    let times = Row::new("open", title, "ms", &few_name, times)
        .ratio(&files_name, &few_name, AtMost, 2.0)
        .ratio(&generations_name, &few_name, AtMost, 2.0)
        .scaled(scaled.clone());
    let title = "open a store and read one file: the peak memory of the process";
    let peaks = Row::new("open-memory", title, "MiB", &few_name, peaks)
        .value(&files_name, AtMost, 32.0)
        .value(&generations_name, AtMost, 32.0)
        .scaled(scaled);
    Ok(vec![times, peaks])
}

pub(super) fn old_generation(bench: &Bench) -> Result<Vec<Row>> {
    let (generations, scaled) = many_generations(bench);
    let store = Genstore::open(bench.big.generations(bench)?)?;
    let middle = u64::try_from(generations / 2)?;
    let newest = store.newest()?;
    let mut contest = Contest::new();
    contest.enter("newest", |_: &u64| Ok([time(|| store.get_at(newest, &path(0)))?]));
    // Another one each time, so that nothing of the last round helps.
    contest.enter("middle", |round: &u64| Ok([time(|| store.get_at(middle + round, &path(0)))?]));
    let [times] = contest.run(bench, 200, |round| Ok(u64::try_from(round)?))?;
    let title = format!("read one file of an old generation of {generations}");
    let row = Row::new("old-generation", &title, "ms", "newest", times);
    Ok(vec![row.ratio("middle", "newest", AtMost, 5.0).scaled(scaled)])
}
