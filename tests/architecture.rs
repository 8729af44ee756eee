//! The layers of the library and of the command: who may import whom, and what stays behind which door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::Visit;

use layers::{COMMAND, LIBRARY, Layers};
use names::Names;

#[path = "architecture/examples.rs"]
mod examples;
#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/names.rs"]
mod names;

/// What nothing outside `fs/` may name: the disk, the clock, randomness, the environment.
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

/// `engine/mod.rs` is the module `engine`, `engine/load.rs` is `engine::load`, and `lib.rs` is `lib`.
fn module_of(file: &str) -> String {
    let module = file.trim_end_matches(".rs").replace('/', "::");
    module.strip_suffix("::mod").unwrap_or(&module).to_owned()
}

/// The module that a path leads to, seen from the module or inline module `at`.
fn target(path: &str, at: &[String], known: &BTreeSet<String>) -> Option<String> {
    let mut words: Vec<&str> = path.split("::").collect();
    let mut full: Vec<&str> =
        at.iter().map(String::as_str).filter(|word| !matches!(*word, "lib" | "main")).collect();
    match words[0] {
        "crate" => full.clear(),
        "self" | "super" => {}
        child if known.contains(&[&full[..], &[child]].concat().join("::")) => words.insert(0, "self"),
        _ => return None,
    }
    for word in &words {
        match *word {
            "crate" | "self" => {}
            "super" => drop(full.pop()),
            word => full.push(word),
        }
    }
    let mut prefixes = (1..=full.len()).rev().map(|length| full[..length].join("::"));
    // What lies in no other module lies in the topmost one.
    let root = || known.iter().find(|name| matches!(name.as_str(), "lib" | "main")).cloned();
    prefixes.find(|prefix| known.contains(prefix)).or_else(root)
}

/// Everything that is wrong with these files: pairs of a name below the sources and a text.
fn check(files: &[(&str, &str)], layers: &Layers) -> Vec<String> {
    let row_of = |module: &str| layers.rows.iter().position(|row| row.split(' ').any(|name| name == module));
    let (mut wrong, mut tests, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for (file, text) in files {
        let (module, lines) = (module_of(file), text.lines().count());
        wrong.extend((lines > LINES_MAX).then(|| format!("{file}: {lines} lines")));
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut names = Names { at: module.split("::").map(str::to_owned).collect(), ..Names::default() };
        names.visit_file(&syntax);
        let folder =
            if matches!(module.as_str(), "lib" | "main") { String::new() } else { format!("{module}::") };
        tests.extend(names.tests.iter().map(|name| format!("{folder}{name}")));
        read.push((*file, module, names.found));
    }
    read.retain(|(_, module, _)| {
        !tests.iter().any(|test| module == test || module.starts_with(&format!("{test}::")))
    });
    let listed = layers.rows.iter().flat_map(|row| row.split(' ')).map(str::to_owned);
    let known: BTreeSet<String> = read.iter().map(|(_, module, _)| module.clone()).chain(listed).collect();
    let mut edges: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (file, module, found) in &read {
        if row_of(module).is_none() {
            wrong.push(format!("{file}: {module} is in no row of the layers"));
        }
        for (line, at, path) in found {
            let place = format!("{file}:{line}: {path}");
            if let Some(other) = target(path, at, &known).filter(|other| other != module) {
                edges.entry((module.clone(), other)).or_default().push(place.clone());
            }
            if layers.sources == "src" {
                wrong.extend(behind_a_door(file, path).map(|door| format!("{place} {door}")));
            }
        }
    }
    let circles = circles(&edges);
    let allowed: Vec<BTreeSet<&str>> = layers.circles.iter().map(|line| line.split(' ').collect()).collect();
    let is_allowed = |names: &[&String]| {
        allowed.iter().any(|circle| names.iter().all(|name| circle.contains(name.as_str())))
    };
    for ((from, to), places) in &edges {
        if row_of(to).is_some() && row_of(to) > row_of(from) && !is_allowed(&[from, to]) {
            wrong.extend(places.iter().map(|place| format!("{place} is not above {from}")));
        }
    }
    for circle in circles.iter().filter(|circle| !is_allowed(&circle.iter().collect::<Vec<_>>())) {
        // What goes upwards is in order, and there can be much of it.
        let within = edges.iter().filter(|((from, to), _)| {
            let is_upwards = row_of(to).is_some_and(|row| row_of(from).is_some_and(|own| row < own));
            circle.contains(from) && circle.contains(to) && !is_upwards
        });
        let places: Vec<_> = within.flat_map(|(_, places)| places).map(String::as_str).collect();
        let names: Vec<_> = circle.iter().map(String::as_str).collect();
        wrong.push(format!("a circle of {}: {}", names.join(" "), places.join("; ")));
    }
    for (names, line) in allowed.iter().zip(layers.circles) {
        let shared =
            |circle: &BTreeSet<String>| circle.iter().filter(|name| names.contains(name.as_str())).count();
        if circles.iter().all(|circle| shared(circle) < 2) {
            wrong.push(format!("the circle of {line} is gone: take it off the list"));
        }
    }
    wrong
}

/// The sets of modules that import one another, directly or through others.
fn circles(edges: &BTreeMap<(String, String), Vec<String>>) -> BTreeSet<BTreeSet<String>> {
    let reached = |start: &String| {
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![start]);
        while let Some(next) = waiting.pop() {
            let targets = edges.keys().filter(|(from, _)| from == next).map(|(_, to)| to);
            waiting.extend(targets.filter(|to| seen.insert((*to).clone())));
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> =
        edges.keys().map(|(from, _)| (from, reached(from))).collect();
    let circle_of = |name: &String| {
        reach[name]
            .iter()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(name)))
            .cloned()
            .collect()
    };
    reach.keys().map(|name| circle_of(name)).filter(|circle: &BTreeSet<String>| circle.len() > 1).collect()
}

/// What a file of the library may not name, and why.
fn behind_a_door(file: &str, path: &str) -> Option<&'static str> {
    let names = |name: &&str| format!("::{path}::").contains(&format!("::{name}::"));
    let room = module_of(file).split("::").next().unwrap().to_owned();
    if NOWHERE.contains(&path) {
        return Some("belongs nowhere");
    }
    if room != "fs" && BEHIND_FS.iter().any(names) {
        return Some("belongs into fs/");
    }
    if room == "fs" && file != "fs/lock.rs" && names(&"fs2") {
        return Some("belongs into fs/lock.rs");
    }
    let may_wait = file == "fs/real.rs" && names(&"std::thread");
    (room != "sync" && !may_wait && BEHIND_SYNC.iter().any(names)).then_some("belongs into sync")
}

/// Everything that is wrong with the sources of a crate.
fn check_sources(layers: &Layers) -> Vec<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(layers.sources);
    let (mut files, mut waiting) = (Vec::new(), vec![sources.clone()]);
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let file = path.strip_prefix(&sources).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                waiting.extend((file != "bin").then_some(path));
            } else if file.ends_with(".rs") {
                files.push((file, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    let files: Vec<_> = files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let mut wrong = check(&files, layers);
    let modules: BTreeSet<_> = files.iter().map(|(file, _)| module_of(file)).collect();
    let listed = layers.rows.iter().chain(layers.circles).flat_map(|row| row.split(' '));
    wrong.extend(
        listed
            .filter(|name| !modules.contains(*name))
            .map(|name| format!("{name} is listed and has no file")),
    );
    wrong
}

#[test]
fn the_library_keeps_to_its_layers() {
    let wrong = check_sources(&LIBRARY);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_command_keeps_to_its_layers() {
    let wrong = check_sources(&COMMAND);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
