//! The rooms of the library: who may import whom, and what stays behind which door. Reads the sources as text.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the top down: a room imports from its own row where that is a set of equals, and from the rows above.
const ROWS: [&[&str]; 7] = [
    &["error", "path", "revision", "hash", "time", "sync", "cancel", "progress"],
    &["format"],
    &["fs"],
    &["storage"],
    &["engine"],
    &[
        "store",
        "snapshot",
        "transaction",
        "history",
        "rollback",
        "import",
        "export",
        "verify",
        "json_value",
        "update",
        "sim",
    ],
    &["lib"],
];

/// What nobody outside `fs/` may name: the disk, the clock, randomness, the environment.
const BEHIND_FS: [&str; 16] = [
    "std::fs",
    "File::open",
    "SystemTime",
    "Instant::now",
    "thread::sleep",
    "std::env",
    "getrandom",
    "fs2",
    ".exists()",
    ".try_exists()",
    ".is_file()",
    ".is_dir()",
    ".is_symlink()",
    ".canonicalize()",
    ".symlink_metadata()",
    ".read_dir()",
];
/// What only `sync` names, so that a test can decide the order in which threads run; `fs/real.rs` may wait.
const BEHIND_SYNC: [&str; 10] = [
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::Condvar",
    "std::sync::Once",
    "std::sync::OnceLock",
    "std::sync::LazyLock",
    "std::sync::Barrier",
    "std::sync::mpsc",
    "std::sync::atomic",
    "std::thread",
];
/// The library never prints, and nothing is left for later.
const NOWHERE: [&str; 7] = ["print!", "println!", "eprint!", "eprintln!", "dbg!", "todo!", "unimplemented!"];
const LINES_MAX: usize = 600;

/// The program text without comments, and without what stands in strings and characters.
fn code_of(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::new();
    let mut at = 0;
    let starts = |at: usize, what: &str| {
        what.chars().enumerate().all(|(n, letter)| letters.get(at + n) == Some(&letter))
    };
    while let Some(&letter) = letters.get(at) {
        let before = code.chars().last().unwrap_or(' ');
        let in_word = before.is_alphanumeric() || before == '_';
        if starts(at, "//") {
            while letters.get(at).is_some_and(|letter| *letter != '\n') {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    depth += 1;
                    at += 2;
                } else if starts(at, "*/") {
                    depth -= 1;
                    at += 2;
                } else {
                    at += 1;
                }
                if depth == 0 || at >= letters.len() {
                    break;
                }
            }
        } else if let Some(hashes) =
            raw_string(&letters, at).filter(|_| !in_word || matches!(before, 'b' | 'c'))
        {
            let end = format!("\"{}", "#".repeat(hashes));
            at += 2 + hashes;
            while at < letters.len() && !starts(at, &end) {
                at += 1;
            }
            at += end.len();
            code.push_str("\"\"");
        } else if letter == '"' {
            at += 1;
            while letters.get(at).is_some_and(|letter| *letter != '"') {
                at += if letters[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
            code.push_str("\"\"");
        } else if letter == '\'' && letters.get(at + 1) == Some(&'\\') {
            at += 3;
            while letters.get(at).is_some_and(|letter| *letter != '\'') {
                at += 1;
            }
            at += 1;
        } else if letter == '\'' && letters.get(at + 2) == Some(&'\'') {
            at += 3;
        } else {
            code.push(letter);
            at += 1;
        }
    }
    code
}

/// The number of hashes of a raw string that begins here.
fn raw_string(letters: &[char], at: usize) -> Option<usize> {
    let hashes = letters.get(at..)?.strip_prefix(&['r'])?;
    let count = hashes.iter().take_while(|letter| **letter == '#').count();
    (hashes.get(count) == Some(&'"')).then_some(count)
}

/// The code without its tests, and the modules in files of their own that are tests.
fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARKS: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test, fuzzing))]"];
    let (mut kept, mut files, mut rest) = (String::new(), Vec::new(), code);
    let next = |rest: &str| MARKS.iter().filter_map(|mark| Some((rest.find(mark)?, mark.len()))).min();
    while let Some((at, length)) = next(rest) {
        let (before, after) = (&rest[..at], &rest[at + length..]);
        kept.push_str(before);
        let mut depth = 0_usize;
        let mut end = after.len();
        for (at, letter) in after.char_indices() {
            match letter {
                '{' | '[' | '(' => depth += 1,
                ']' | ')' => depth -= 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        end = at + 1;
                        break;
                    }
                }
                ';' if depth == 0 => {
                    end = at + 1;
                    let item = after[..at].trim();
                    files.extend(item.rsplit_once("mod ").map(|(_, name)| name.trim().to_owned()));
                    break;
                }
                _ => {}
            }
        }
        rest = &after[end..];
    }
    kept.push_str(rest);
    (kept, files)
}

/// Every path with two parts or more that the code names, with `{a, b::c}` written out.
fn paths_in(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    for (at, _) in code.match_indices("::") {
        // Only from the first part on: what follows it is read from there.
        let first: String = code[..at]
            .chars()
            .rev()
            .take_while(|letter| is_word(*letter))
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        let before = &code[..at - first.len()];
        if first.is_empty() || before.ends_with("::") {
            continue;
        }
        spell(&code[at..], &first, &mut found);
    }
    found
}

/// Adds every path that begins with `prefix` and goes on with `rest`, and gives what stands behind it.
fn spell<'a>(rest: &'a str, prefix: &str, found: &mut BTreeSet<String>) -> &'a str {
    let Some(rest) = rest.strip_prefix("::") else {
        found.insert(prefix.to_owned());
        return rest;
    };
    if let Some(mut rest) = rest.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ',');
            if let Some(rest) = rest.strip_prefix('}') {
                return rest;
            }
            let word = rest
                .split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '*'))
                .next()
                .unwrap_or("");
            if word.is_empty() {
                return rest;
            }
            rest = spell(&rest[word.len()..], &format!("{prefix}::{word}"), found);
            // `as name`
            rest = rest.trim_start_matches(|letter: char| !matches!(letter, ',' | '}'));
        }
    }
    let word = rest.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).next().unwrap_or("");
    if word.is_empty() {
        found.insert(prefix.to_owned());
        return rest;
    }
    spell(&rest[word.len()..], &format!("{prefix}::{word}"), found)
}

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

/// Where a name stands as a whole: not as a part of a longer word or path.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        let after = code[at + name.len()..].chars().next().unwrap_or(' ');
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let begins = name.starts_with('.') || !is_word(before);
        begins && (name.ends_with(['!', ')']) || !is_word(after))
    })
}

/// Everything that is wrong with one file of the library, and the files beside it that are tests.
fn violations(file: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        wrong.push(format!("{file}: {lines} lines"));
    }
    let (code, tests) = without_tests(&code_of(text));
    let paths = paths_in(&code);
    // `engine/mod.rs` is the module `engine`, `engine/load.rs` is `engine::load`.
    let module: Vec<&str> = file.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
    let room = module[0];
    let Some(own) = row(room) else {
        wrong.push(format!("{file}: {room} is no room that the design names"));
        return (wrong, tests);
    };
    for path in &paths {
        let parts: Vec<&str> = path.split("::").collect();
        let supers = parts.iter().take_while(|part| **part == "super").count();
        let target = match parts[0] {
            "crate" => parts[1],
            "super" if supers >= module.len() => parts.get(supers).copied().unwrap_or("lib"),
            _ => continue,
        };
        let allowed = match row(target) {
            _ if target == room => true,
            Some(other) => other < own || (other == own && ROWS[own].len() > 1),
            None => false,
        };
        if !allowed && room != "lib" {
            wrong.push(format!("{file}: {path} is not above {room}"));
        }
    }
    let spelled: String = paths.iter().map(|path| format!("{path}\n")).collect();
    let is_named = |name: &str| names(&code, name) || names(&spelled, name);
    if room != "fs" {
        wrong.extend(
            BEHIND_FS
                .iter()
                .filter(|name| is_named(name))
                .map(|name| format!("{file}: {name} belongs into fs/")),
        );
    }
    if room != "sync" {
        wrong.extend(
            BEHIND_SYNC
                .iter()
                .filter(|name| is_named(name) && (**name, file) != ("std::thread", "fs/real.rs"))
                .map(|name| format!("{file}: {name} belongs into sync")),
        );
    }
    if file != "fs/lock.rs" && room == "fs" && is_named("fs2") {
        wrong.push(format!("{file}: fs2 belongs into fs/lock.rs"));
    }
    wrong.extend(NOWHERE.iter().filter(|name| names(&code, name)).map(|name| format!("{file}: {name}")));
    (wrong, tests)
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_room_imports_only_from_those_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let (mut wrong, mut tests, mut checked) = (Vec::new(), BTreeSet::new(), Vec::new());
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let file = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        if file.starts_with("bin/") {
            let lines = text.lines().count();
            wrong.extend((lines > LINES_MAX).then(|| format!("{file}: {lines} lines")));
            continue;
        }
        let (found, test_files) = violations(&file, &text);
        let folder = file.strip_suffix("mod.rs").or_else(|| file.strip_suffix("lib.rs")).map(str::to_owned);
        let folder = folder.unwrap_or_else(|| format!("{}/", file.trim_end_matches(".rs")));
        tests.extend(
            test_files.iter().flat_map(|name| [format!("{folder}{name}.rs"), format!("{folder}{name}/")]),
        );
        checked.push((file, found));
    }
    assert!(checked.len() > 30, "the sources were found");
    for (file, found) in checked {
        let is_test =
            tests.iter().any(|test| file == *test || (test.ends_with('/') && file.starts_with(test)));
        wrong.extend(found.into_iter().filter(|text| !is_test || text.ends_with(" lines")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the checker says of a snippet, without the name of the file.
fn said(file: &str, text: &str) -> Vec<String> {
    let (wrong, _) = violations(file, text);
    wrong.into_iter().map(|text| text.split_once(": ").unwrap().1.to_owned()).collect()
}

#[test]
fn imports_from_below_are_caught_however_they_are_written() {
    for (file, text, path) in [
        ("format/names.rs", "use crate::fs::Fs;", "crate::fs::Fs"),
        ("format/names.rs", "fn f() { crate::engine::load::pointer(); }", "crate::engine::load::pointer"),
        (
            "fs/real.rs",
            "use crate::{\n    error::Error,\n    storage::{Round, directory::Directory as D},\n};",
            "crate::storage::Round",
        ),
        ("engine/load.rs", "use super::super::store::Store;", "super::super::store::Store"),
        ("engine/mod.rs", "use super::store::Store;", "super::store::Store"),
        ("error.rs", "impl From<crate::engine::load::Fault> for Error {}", "crate::engine::load::Fault"),
        ("storage/mod.rs", "pub(in crate::engine) fn f() {}", "crate::engine"),
        ("path.rs", "use crate::Error;", "crate::Error"),
        ("store.rs", "use crate::lib::x;", "crate::lib::x"),
    ] {
        let said = said(file, text);
        assert!(
            said.iter().any(|said| said.starts_with(&format!("{path} is not above"))),
            "{text}: {said:?}"
        );
    }
    assert_eq!(said("cellar/mod.rs", ""), ["cellar is no room that the design names"]);
}

#[test]
fn imports_from_above_and_among_equals_are_allowed() {
    for (file, text) in [
        ("error.rs", "use crate::path::StorePath; use crate::time::Timestamp;"),
        (
            "store.rs",
            "use crate::snapshot::Snapshot; use crate::engine::{Engine, chain}; use crate::fs::medium::ProbeReport;",
        ),
        ("engine/load.rs", "use super::Head; use super::table::Table; use crate::storage::Storage;"),
        (
            "verify/whole.rs",
            "use super::Work; use super::super::store::Store; use crate::store::interrupted;",
        ),
        ("lib.rs", "mod engine; pub use engine::finding::Finding; use crate::store::Store;"),
        (
            "format/names.rs",
            "// use crate::fs::Fs;\n/* crate::engine */ const A: &str = \"crate::fs::Fs \\\" crate::store::S\";",
        ),
        (
            "format/names.rs",
            "const A: &str = r#\"crate::fs \" crate::store::S\"#; fn f<'a>(c: &'a char) -> bool { *c == '\"' || *c == '\\'' }",
        ),
        (
            "format/names.rs",
            "#[cfg(test)]\nmod tests { use crate::store::Store; fn f() { println!(\"{}\", 1); } }",
        ),
        ("format/names.rs", "#[cfg(test)]\n#[allow(x)]\nuse crate::store::Store;"),
        ("format/names.rs", "pub(crate) mod x; use std::io::{self, Read};"),
    ] {
        assert_eq!(said(file, text), Vec::<String>::new(), "{text}");
    }
    let text = "#[cfg(test)]\nmod tests {}\n#[cfg(test)]\npub(crate) mod fault;\n#[cfg(test)]\nmod more;\nuse crate::store::Store;";
    let (wrong, tests) = violations("engine/mod.rs", text);
    assert_eq!(tests, ["fault", "more"]);
    assert_eq!(wrong.len(), 1, "what follows the tests counts: {wrong:?}");
}

#[test]
fn what_belongs_behind_a_door_is_caught_outside_of_it() {
    for (text, name) in [
        ("use std::fs::File;", "std::fs"),
        ("use std::{fs, io};", "std::fs"),
        ("use std::{io, time::SystemTime};", "SystemTime"),
        ("fn f() { std::fs::read(\"x\"); }", "std::fs"),
        ("fn f() { File::open(\"x\"); }", "File::open"),
        ("fn f() { std::time::Instant::now(); }", "Instant::now"),
        ("fn f() { thread::sleep(x); }", "thread::sleep"),
        ("use crate::sync::thread::{self, sleep};", "thread::sleep"),
        ("fn f() { std::env::var(\"HOME\"); }", "std::env"),
        ("fn f() { getrandom::fill(&mut x); }", "getrandom"),
        ("use fs2::FileExt;", "fs2"),
        ("fn f(path: &Path) -> bool { path.exists() }", ".exists()"),
    ] {
        for file in ["store.rs", "engine/load.rs", "lib.rs", "verify/mod.rs"] {
            assert_eq!(said(file, text), [format!("{name} belongs into fs/")], "{text}");
        }
        assert!(said("fs/lock.rs", text).is_empty(), "{text}");
        assert_eq!(said("fs/real.rs", text).is_empty(), name != "fs2", "{text}");
    }
    assert!(said("store.rs", "use crate::fs::Fs; fn f(fs2_like: Fs) { self.fs.stat(x) }").is_empty());
}

#[test]
fn what_threads_share_is_caught_outside_of_sync() {
    for (text, name) in [
        ("use std::sync::{Arc, Mutex};", "std::sync::Mutex"),
        ("use std::sync::atomic::{AtomicBool, Ordering};", "std::sync::atomic"),
        ("fn f() { std::thread::scope(|scope| ()); }", "std::thread"),
        ("use std::{io, thread};", "std::thread"),
        ("static A: std::sync::LazyLock<u8> = f();", "std::sync::LazyLock"),
        ("use std::sync::{Barrier, Weak};", "std::sync::Barrier"),
        ("static A: std::sync::Once = f();", "std::sync::Once"),
    ] {
        for file in ["store.rs", "engine/mod.rs", "fs/sim/mod.rs"] {
            assert_eq!(said(file, text), [format!("{name} belongs into sync")], "{text}");
        }
        assert!(said("sync.rs", text).is_empty(), "{text}");
    }
    assert!(said("store.rs", "use std::sync::Arc; use crate::sync::{Mutex, thread};").is_empty());
    assert!(said("fs/real.rs", "fn f() { std::thread::sleep(x); }").is_empty());
}

#[test]
fn prints_loose_ends_and_long_files_are_caught() {
    for word in ["print", "println", "eprint", "eprintln", "dbg", "todo", "unimplemented"] {
        assert_eq!(said("store.rs", &format!("fn f() {{ {word}!(\"x\"); }}")), [format!("{word}!")]);
        assert!(
            said("store.rs", &format!("// {word}!(x)\nfn f() {{ my_{word}!(x); \"{word}!\" }}")).is_empty()
        );
    }
    assert_eq!(said("store.rs", &"\n".repeat(601)), ["601 lines"]);
    assert!(said("store.rs", &"\n".repeat(600)).is_empty());
}
