//! The order of the system calls of the command, as `strace` sees them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    clippy::disallowed_methods
)]

#[path = "../../cli/tests/sandbox/mod.rs"]
mod sandbox;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sandbox::Sandbox;

/// Everything that creates, writes, names, fsyncs or removes. Some processors lack those with a
/// question mark.
const CALLS: &str = "trace=openat,openat2,mkdirat,write,fsync,fdatasync,syncfs,renameat,renameat2,unlinkat,linkat,close,\
    ?open,?creat,?mkdir,?rmdir,?rename,?unlink,?link,?symlink,symlinkat,?truncate,?ftruncate,?pwrite64,?writev,\
    ?pwritev,?pwritev2,?copy_file_range,?sendfile,?splice,?fallocate";
/// Calls that no commit needs. This test does not follow them, so it fails if one concerns the
/// store's files.
const UNKNOWN: [&str; 13] = [
    "creat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "truncate",
    "ftruncate",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "sendfile",
    "splice",
];

/// One system call that has ended.
#[derive(Clone, Debug)]
struct Call {
    /// The process or thread.
    process: String,
    name: String,
    args: Vec<String>,
    /// The result. A descriptor has its path behind it.
    result: String,
    /// The lines on which it begins and ends. Calls of other threads may lie between them.
    begin: usize,
    end: usize,
}

impl Call {
    /// Whether the command itself prints something. A process that it starts may have an output of
    /// its own.
    fn prints(&self, first: &str) -> bool {
        self.process == first && self.name == "write" && self.args[0].starts_with("1<")
    }

    fn is_done(&self) -> bool {
        !self.result.starts_with('-')
    }

    /// The file or directory that a descriptor stands for.
    fn file(&self, arg: usize) -> &str {
        file_of(&self.args[arg])
    }

    /// The path that two arguments name: a directory, and a name in it.
    fn at(&self, dir: usize) -> String {
        let name = unquoted(&self.args[dir + 1]);
        match (name.as_str(), self.file(dir)) {
            (name, _) if name.starts_with('/') => name.to_owned(),
            (".", dir) => dir.to_owned(),
            (name, dir) => format!("{}/{name}", dir.trim_end_matches('/')),
        }
    }
}

/// `3</tmp/file>` stands for `/tmp/file`.
fn file_of(descriptor: &str) -> &str {
    descriptor.split_once('<').and_then(|(_, path)| path.strip_suffix('>')).unwrap_or("")
}

fn unquoted(text: &str) -> String {
    text.trim_start_matches('"').trim_end_matches('"').to_owned()
}

/// Splits the arguments of a call.
fn arguments(text: &str) -> Vec<String> {
    let mut args = vec![String::new()];
    let mut depth = 0;
    let mut quoted = false;
    let mut escaped = false;
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' | '<' | '(' if !quoted => depth += 1,
            '}' | ']' | '>' | ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                args.push(String::new());
                continue;
            }
            _ => {}
        }
        args.last_mut().unwrap().push(letter);
    }
    args.iter().map(|arg| arg.trim().to_owned()).collect()
}

/// The calls in a log of `strace -f`, in the order in which they end.
fn parse(log: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut begun = BTreeMap::new();
    for (number, line) in log.lines().enumerate() {
        let (process, text) = match line.split_once(' ') {
            Some((process, text)) if process.bytes().all(|byte| byte.is_ascii_digit()) => {
                (process, text.trim_start())
            }
            _ => ("", line),
        };
        if text.starts_with("+++") || text.starts_with("---") {
            continue;
        }
        let (text, begin) = if let Some(text) = text.strip_suffix("<unfinished ...>") {
            begun.insert(process.to_owned(), (text.trim_end().to_owned(), number));
            continue;
        } else if let Some(text) = text.strip_prefix("<... ") {
            let (_, rest) = text.split_once(" resumed>").unwrap();
            let (first, begin) = begun.remove(process).unwrap();
            (first + rest, begin)
        } else {
            (text.to_owned(), number)
        };
        let (call, result) = text.rsplit_once(" = ").unwrap_or_else(|| panic!("no call: {line}"));
        let (name, args) = call.trim_end().strip_suffix(')').and_then(|call| call.split_once('(')).unwrap();
        calls.push(Call {
            process: process.to_owned(),
            name: name.to_owned(),
            args: arguments(args),
            result: result.trim().to_owned(),
            begin,
            end: number,
        });
    }
    calls
}

/// When something was written first, and last. It is not fsynced yet.
#[derive(Clone, Copy, Debug)]
struct Since {
    first: usize,
    last: usize,
}

/// What is not fsynced yet. Paths are absolute.
#[derive(Default, Debug)]
struct Waiting {
    files: BTreeMap<String, Since>,
    /// Names that a directory gained or lost to another one, by directory and name.
    names: BTreeMap<(String, String), Since>,
    /// The line on which each descriptor was opened.
    opened: BTreeMap<String, usize>,
}

impl Waiting {
    fn wrote(&mut self, path: &str, at: usize) {
        let since = self.files.entry(path.to_owned()).or_insert(Since { first: at, last: at });
        since.last = at;
    }

    fn named(&mut self, path: &str, at: usize) {
        let (dir, name) = path.rsplit_once('/').unwrap();
        self.names.insert((dir.to_owned(), name.to_owned()), Since { first: at, last: at });
    }

    fn unnamed(&mut self, path: &str) {
        let (dir, name) = path.rsplit_once('/').unwrap();
        self.names.remove(&(dir.to_owned(), name.to_owned()));
        self.files.remove(path);
    }

    /// An fsync covers what was written before it began.
    fn synced(&mut self, path: &str, begin: usize) {
        self.files.retain(|file, since| file != path || since.last > begin);
        self.names.retain(|(dir, _), since| dir != path || since.last > begin);
    }

    fn synced_fs(&mut self, descriptor: &str, begin: usize) -> Result<(), String> {
        let opened = self.opened.get(descriptor).ok_or("syncfs on a descriptor that was not opened")?;
        if let Some((path, _)) = self.files.iter().find(|(_, since)| since.first < *opened) {
            return Err(format!("the descriptor of syncfs was opened after {path} was written"));
        }
        self.files.retain(|_, since| since.last > begin);
        self.names.retain(|_, since| since.last > begin);
        Ok(())
    }
}

/// What a run did, for the summary.
#[derive(Default, Debug)]
struct Seen {
    written: BTreeSet<String>,
    fsyncs: usize,
    syncfs: usize,
}

/// The directories of a run. Paths outside of them do not matter.
struct Place<'a> {
    outer: &'a str,
    store: &'a str,
}

impl Place<'_> {
    /// Whether a path must become durable: all but the locks.
    fn matters(&self, path: &str) -> bool {
        let locks = format!("{}/locks/", self.store);
        (path == self.outer || path.starts_with(&format!("{}/", self.outer))) && !path.starts_with(&locks)
    }

    /// Checks everything that must hold for the calls of one commit.
    fn check(&self, calls: &[Call]) -> Result<Seen, String> {
        let mut waiting = Waiting::default();
        let mut seen = Seen::default();
        let first = &calls.first().ok_or("there are no calls")?.process;
        let pointer = format!("{}/CURRENT", self.store);
        // The lines on which the rename of the pointer ended, and the fsync after it.
        let mut swapped = None;
        let mut durable = None;
        for call in calls {
            self.check_known(call)?;
            let Call { begin, end, .. } = *call;
            match call.name.as_str() {
                "openat" | "openat2" | "open" => {
                    self.check_open(call)?;
                    if call.is_done() {
                        let (number, path) = call.result.split_once('<').unwrap_or((&call.result, ""));
                        waiting.opened.insert(number.to_owned(), end);
                        let path = path.trim_end_matches('>');
                        if self.matters(path) && call.args.iter().any(|arg| arg.contains("O_CREAT")) {
                            waiting.wrote(path, end);
                            waiting.named(path, end);
                        }
                    }
                }
                "write" | "copy_file_range" | "fallocate" => {
                    let path = call.file(if call.name == "copy_file_range" { 2 } else { 0 });
                    if call.prints(first) && durable.is_none() {
                        return Err("success is printed before the commit is durable".into());
                    }
                    if self.matters(path) {
                        if swapped.is_some() {
                            return Err(format!("{path} is written after the swap"));
                        }
                        waiting.wrote(path, end);
                        seen.written.insert(path.to_owned());
                    }
                }
                "mkdir" | "mkdirat" if call.is_done() => {
                    let path = if call.name == "mkdir" { unquoted(&call.args[0]) } else { call.at(0) };
                    if self.matters(&path) {
                        waiting.named(&path, end);
                    }
                }
                "fsync" | "fdatasync" if call.is_done() => {
                    seen.fsyncs += 1;
                    waiting.synced(call.file(0), begin);
                    if call.file(0) == self.store && swapped.is_some_and(|swapped| swapped < begin) {
                        durable = durable.or(Some(end));
                    }
                }
                "syncfs" if call.is_done() => {
                    seen.syncfs += 1;
                    let number = call.args[0].split('<').next().unwrap();
                    waiting.synced_fs(number, begin)?;
                }
                "rename" | "renameat" | "renameat2" if call.is_done() => {
                    let (from, to) = if call.name == "rename" {
                        (unquoted(&call.args[0]), unquoted(&call.args[1]))
                    } else {
                        (call.at(0), call.at(2))
                    };
                    if to == pointer {
                        if swapped.is_some() {
                            return Err("the pointer is swapped twice".into());
                        }
                        waiting.check_empty()?;
                        swapped = Some(end);
                        continue;
                    }
                    let moved = waiting.files.remove(&from);
                    waiting.unnamed(&to);
                    waiting.files.extend(moved.map(|since| (to.clone(), since)));
                    waiting.named(&from, end);
                    waiting.named(&to, end);
                    if seen.written.remove(&from) {
                        seen.written.insert(to);
                    }
                }
                "unlink" | "rmdir" | "unlinkat" if call.is_done() => {
                    let path = if call.name == "unlinkat" { call.at(0) } else { unquoted(&call.args[0]) };
                    if self.matters(&path) {
                        if swapped.is_some() {
                            return Err(format!("{path} is removed after the swap"));
                        }
                        waiting.unnamed(&path);
                        seen.written.remove(&path);
                    }
                }
                _ => {}
            }
        }
        swapped.ok_or("the pointer is never swapped")?;
        let durable = durable.ok_or("the store's directory is not fsynced after the swap")?;
        let said = calls.iter().any(|call| call.prints(first) && call.begin > durable);
        if said { Ok(seen) } else { Err("nothing was printed".into()) }
    }

    /// Only new files and locks are opened for writing.
    fn check_open(&self, call: &Call) -> Result<(), String> {
        let path = if call.name == "open" { unquoted(&call.args[0]) } else { call.at(0) };
        let flags = &call.args[if call.name == "open" { 1 } else { 2 }];
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| flags.contains(flag));
        if self.matters(&path) && writes && (flags.contains("O_TRUNC") || !flags.contains("O_EXCL")) {
            return Err(format!("{path} is opened for writing although it may exist: {flags}"));
        }
        Ok(())
    }

    fn check_known(&self, call: &Call) -> Result<(), String> {
        let concerns = |arg: &String| self.matters(file_of(arg)) || self.matters(&unquoted(arg));
        if UNKNOWN.contains(&&*call.name) && call.args.iter().any(concerns) {
            return Err(format!("this test does not follow the call {}: {:?}", call.name, call.args));
        }
        Ok(())
    }
}

impl Waiting {
    fn check_empty(&self) -> Result<(), String> {
        if let Some(path) = self.files.keys().next() {
            return Err(format!("{path} is not fsynced before the swap"));
        }
        match self.names.keys().next() {
            None => Ok(()),
            Some((dir, name)) => {
                Err(format!("{dir} is not fsynced before the swap, and {name} is new there"))
            }
        }
    }
}

/// Whether processes can be traced here.
fn is_possible() -> bool {
    let tried = Command::new("strace").args(["-f", "-y", "-o", "/dev/null", "true"]).output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    println!("NOT TESTED: the order of system calls. strace does not run here: {why}");
    false
}

/// The calls of a run of the command, which must succeed.
fn trace(sandbox: &Sandbox, words: &[&str]) -> Vec<Call> {
    let wanted = sandbox.command(words);
    let log = sandbox.path("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", CALLS, "-e", "signal=none", "-o"]).arg(&log);
    command.arg(wanted.get_program()).args(wanted.get_args());
    command.current_dir(wanted.get_current_dir().unwrap()).stdin(Stdio::null());
    for (name, value) in wanted.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let run = sandbox::finish(&mut command);
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert_eq!(run.code, 0, "{words:?}: {}", run.stderr);
    parse(&text)
}

/// A sandbox, and the paths in it as the system names them.
struct Bench {
    sandbox: Sandbox,
    outer: String,
    store: String,
}

impl Bench {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let outer = fs::canonicalize(sandbox.path("")).unwrap().to_str().unwrap().to_owned();
        let store = format!("{outer}/store");
        Self { sandbox, outer, store }
    }

    fn with_store() -> Self {
        let bench = Self::new();
        bench.sandbox.ok(&["init"]);
        bench
    }

    fn place(&self) -> Place<'_> {
        Place { outer: &self.outer, store: &self.store }
    }

    fn trace(&self, words: &[&str]) -> Vec<Call> {
        trace(&self.sandbox, words)
    }

    /// Traces a run and checks it. Gives the files that were written in the store.
    #[track_caller]
    fn check(&self, words: &[&str]) -> (BTreeSet<String>, Seen) {
        let calls = self.trace(words);
        let seen =
            self.place().check(&calls).unwrap_or_else(|wrong| panic!("{words:?}: {wrong}\n{calls:#?}"));
        let below = format!("{}/", self.store);
        let written = seen.written.iter().map(|path| path.strip_prefix(&below).unwrap().to_owned()).collect();
        println!(
            "{words:?}: {} files written, {} fsync, {} syncfs",
            seen.written.len(),
            seen.fsyncs,
            seen.syncfs
        );
        (written, seen)
    }

    fn fill(&self, directory: &str, files: usize, bytes: usize) {
        for number in 0..files {
            self.sandbox
                .write(Path::new(directory).join(format!("f{number}.json")), vec![b'x'; bytes + number]);
        }
    }
}

/// The pointer, the manifest, and data files.
fn written(generation: u64, data: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let others = ["CURRENT.next".to_owned(), format!("manifests/{generation:010}.json")];
    data.into_iter().map(|path| format!("data/{path}.g{generation}")).chain(others).collect()
}

#[test]
fn every_run_syncs_in_order() {
    if !is_possible() {
        return;
    }
    let bench = Bench::new();
    assert_eq!(bench.check(&["init"]).0, written(1, []));
    bench.fill("one", 1, 10);
    assert_eq!(bench.check(&["commit", "one", "-m", "1"]).0, written(2, ["f0.json".into()]));
    // They are long enough to be streamed.
    bench.fill("three", 3, 100_000);
    let files = |count: usize| (0..count).map(|number| format!("f{number}.json"));
    assert_eq!(bench.check(&["commit", "three", "-m", "3"]).0, written(3, files(3)));
    bench.fill("deep/one/two/three", 2, 10);
    let deep = files(2).map(|name| format!("one/two/three/{name}"));
    assert_eq!(bench.check(&["commit", "deep", "-m", "deep"]).0, written(4, deep));
    assert_eq!(bench.check(&["rollback", "latest~2", "-m", "back"]).0, written(5, []));
    // A store of its own, so that no checkpoint is due. A checkpoint is written after the commit.
    let bench = Bench::with_store();
    bench.fill("hundred", 100, 20);
    let (files_written, seen) = bench.check(&["commit", "hundred", "-m", "100"]);
    assert_eq!(files_written, written(2, files(100)));
    assert!(seen.syncfs == 1 || seen.fsyncs >= 102, "{seen:?}");
    println!("contract: 6 runs of the command under strace, in order");
}

/// The check must notice every fsync that is left out, and what comes too late or too early.
#[test]
fn what_is_out_of_order_is_noticed() {
    if !is_possible() {
        return;
    }
    let bench = Bench::with_store();
    bench.fill("deep/one/two/three", 2, 10);
    let calls = bench.trace(&["commit", "deep", "-m", "deep"]);
    let place = bench.place();
    place.check(&calls).unwrap();
    let wrong = |calls: &[Call], what: &str| place.check(calls).expect_err(what);
    let at = |name: &str, path: &str| {
        calls
            .iter()
            .position(|call| call.name.starts_with(name) && call.args.iter().any(|arg| arg.contains(path)))
            .unwrap()
    };
    let mut left_out = 0;
    for (number, call) in calls.iter().enumerate() {
        if matches!(&*call.name, "fsync" | "syncfs") && call.file(0).starts_with(&bench.store) {
            let mut calls = calls.clone();
            calls.remove(number);
            wrong(&calls, &format!("without {call:?}"));
            left_out += 1;
        }
    }
    assert!(left_out >= 2, "{left_out}");
    let swap = at("renameat", "\"CURRENT\"");
    let mut swapped = calls.clone();
    let rename = swapped.remove(swap);
    swapped.insert(at("write", "CURRENT.next"), rename);
    assert!(wrong(&swapped, "the swap comes first").contains("is not fsynced before the swap"));
    let mut late = calls.clone();
    let write = late.remove(at("write", "manifests/"));
    late.insert(swap + 2, write);
    assert!(wrong(&late, "a write comes last").contains("after the swap"));
    for (from, to) in [("O_EXCL", "O_TRUNC"), ("O_EXCL|", "")] {
        let mut truncated = calls.clone();
        let open = &mut truncated[at("openat", "\"CURRENT.next\"")];
        open.args[2] = open.args[2].replace(from, to);
        assert!(wrong(&truncated, "an existing file is written to").contains("although it may exist"));
    }
}

#[test]
fn a_log_of_several_threads_is_read() {
    let log = "\
        10 openat(3</s>, \"a, b\", O_WRONLY|O_CREAT|O_EXCL, 0444) = 4</s/a, b>\n\
        10 write(4</s/a, b>, \"x = (\\\"1\\\", 2)\\n\"..., 14 <unfinished ...>\n\
        11 fsync(5</s>)            = 0\n\
        11 --- SIGCHLD {si_signo=SIGCHLD} ---\n\
        10 <... write resumed>)              = 14\n\
        11 openat2(3</s>, \"d\", {flags=O_RDONLY|O_DIRECTORY, resolve=RESOLVE_BENEATH}, 24) = -1 ENOENT (No such file or directory)\n\
        11 +++ exited with 0 +++\n";
    let calls = parse(log);
    let names: Vec<&str> = calls.iter().map(|call| &*call.name).collect();
    assert_eq!(names, ["openat", "fsync", "write", "openat2"]);
    assert_eq!((calls[0].at(0).as_str(), file_of(&calls[0].result)), ("/s/a, b", "/s/a, b"));
    assert_eq!((calls[2].begin, calls[2].end, calls[2].args.len()), (1, 4, 3));
    assert_eq!(
        (calls[2].file(0), calls[2].args[2].as_str(), calls[2].result.as_str()),
        ("/s/a, b", "14", "14")
    );
    assert_eq!((calls[3].at(0).as_str(), calls[3].args.len(), calls[3].is_done()), ("/s/d", 4, false));
}
