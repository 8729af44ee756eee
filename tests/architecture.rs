//! The order of the modules of the library and of the command. Each module imports only from rows
//! above its own, so there are no circles. The test fails for a module in no row, and for a row
//! whose module does not exist.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, Visibility};

const LIBRARY: &str = "
    sync path time
    hash revision
    error::repr
    error::advice
    error
    cancel progress
    format
    format::names format::checksum format::json format::entry
    format::pointer
    format::checkpoint format::manifest
    fs
    fs::lock fs::probe fs::op fs::source fs::host_dirs
    fs::real
    fs::sim::random fs::sim::disk
    fs::sim::paths fs::sim::outcome
    fs::sim::crash_point
    fs::sim
    storage
    storage::batch
    storage::directory
    storage::export_dir
    engine::poison engine::pins engine::backoff engine::table engine::validate engine::content
    engine::read
    engine::finding
    engine::head
    engine::chain
    engine::replay
    engine::resolve engine::recover
    engine::handle
    engine::versions engine::lock engine::changeset
    engine::conflict engine::checkpoint engine::publish
    engine::commit engine::open
    engine::create
    engine
    json_value
    snapshot
    transaction
    options
    store
    status
    verify::options verify::work
    verify::files verify::whole
    verify update history import export rollback
    sim
    lib";

const COMMAND: &str = "
    exit term output jsondiff stdin
    args
    signal error
    content context
    progress
    summary
    cmd::verify
    cmd::cat cmd::commit cmd::completions cmd::diff cmd::export cmd::init cmd::log cmd::ls cmd::man cmd::put
    cmd::rm cmd::rollback cmd::show cmd::status
    cmd
    main";

/// Only `fs/` may name these: the disk, the clock, randomness, the environment.
const ONLY_FS: &[&str] =
    &["std::fs", "SystemTime", "Instant", "thread::sleep", "std::env", "getrandom", "fs2"];
/// Only `sync` may name these, so that the proof can decide the order of threads.
const ONLY_SYNC: &[&str] =
    &["sync::Mutex", "sync::RwLock", "sync::Condvar", "sync::OnceLock", "sync::atomic", "std::thread"];
const LINES_MAX: usize = 600;

/// The paths in the code of a file, each with its line and its inline module.
#[derive(Default)]
struct Paths {
    inside: Vec<String>,
    found: Vec<(usize, Vec<String>, Vec<String>)>,
}

impl Paths {
    fn add(&mut self, line: usize, words: Vec<String>) {
        self.found.push((line, self.inside.clone(), words));
    }

    fn add_tree(&mut self, tree: &UseTree, mut words: Vec<String>) {
        let name = match tree {
            UseTree::Path(path) => {
                words.push(path.ident.to_string());
                return self.add_tree(&path.tree, words);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_tree(tree, words.clone()));
            }
            UseTree::Name(name) => &name.ident,
            UseTree::Rename(name) => &name.ident,
            UseTree::Glob(glob) => return self.add(glob.star_token.spans[0].start().line, words),
        };
        words.push(name.to_string());
        self.add(name.span().start().line, words);
    }
}

/// Whether only tests or the proof compile the item.
fn is_test(attrs: &[Attribute]) -> bool {
    let is = |attr: &&Attribute| attr.path().is_ident("cfg") && attr.parse_args::<syn::Meta>().is_ok();
    attrs.iter().filter(is).any(|attr| {
        let syn::Meta::List(list) = &attr.meta else { return false };
        let text = list.tokens.to_string().replace(' ', "");
        ["test", "doctest", "feature=\"proof\"", "feature=\"shuttle\""].contains(&text.as_str())
    })
}

impl<'a> Visit<'a> for Paths {
    /// `pub(in path)` imports nothing.
    fn visit_visibility(&mut self, _: &'a Visibility) {}

    fn visit_item(&mut self, item: &'a Item) {
        let attrs = match item {
            Item::Mod(ItemMod { attrs, .. }) | Item::Use(ItemUse { attrs, .. }) => attrs.as_slice(),
            _ => &[],
        };
        if !is_test(attrs) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'a ItemMod) {
        self.inside.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.inside.pop();
    }

    fn visit_item_use(&mut self, import: &'a ItemUse) {
        self.add_tree(&import.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let words: Vec<_> = path.segments.iter().map(|word| word.ident.to_string()).collect();
        self.add(path.segments.first().unwrap().ident.span().start().line, words);
        visit::visit_path(self, path);
    }
}

/// `engine/mod.rs` is the module `engine`, `engine/read.rs` is `engine::read`, and `lib.rs` is
/// `lib`.
fn module_of(file: &str) -> String {
    let module = file.trim_end_matches(".rs").replace('/', "::");
    module.strip_suffix("::mod").unwrap_or(&module).to_owned()
}

/// The module of the crate that a path leads to, seen from a module. `None` when it leads out of
/// the crate.
fn target(words: &[String], module: &str, inside: &[String], rank: &BTreeMap<&str, usize>) -> Option<String> {
    let mut at: Vec<&str> = module.split("::").filter(|word| !["lib", "main"].contains(word)).collect();
    at.extend(inside.iter().map(String::as_str));
    let first = words.first()?.as_str();
    let is_child = || rank.contains_key([&at[..], &[first]].concat().join("::").as_str());
    if !["crate", "self", "super"].contains(&first) && !is_child() {
        return None;
    }
    for word in words {
        match word.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            word => at.push(word),
        }
    }
    (1..=at.len()).rev().map(|length| at[..length].join("::")).find(|name| rank.contains_key(name.as_str()))
}

/// All violations of the order in these files.
fn check(files: &[(String, String)], order: &str) -> Vec<String> {
    let rows = order.lines().enumerate();
    let rank: BTreeMap<&str, usize> =
        rows.flat_map(|(row, names)| names.split_whitespace().map(move |name| (name, row))).collect();
    let mut wrong = Vec::new();
    for (file, text) in files {
        let module = module_of(file);
        let Some(own) = rank.get(module.as_str()) else {
            wrong.push(format!("{file}: {module} is in no row"));
            continue;
        };
        if text.lines().count() > LINES_MAX {
            wrong.push(format!("{file}: more than {LINES_MAX} lines"));
        }
        let mut paths = Paths::default();
        paths.visit_file(&syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}")));
        for (line, inside, words) in paths.found {
            let path = words.join("::");
            match target(&words, &module, &inside, &rank) {
                Some(other) if other != module && rank[other.as_str()] >= *own => {
                    wrong.push(format!("{file}:{line}: {path} is not above {module}"));
                }
                _ => {}
            }
            let names = |name: &&str| format!("::{path}::").contains(&format!("::{name}::"));
            let is_library = rank.contains_key("lib");
            if is_library && !module.starts_with("fs") && ONLY_FS.iter().any(names) {
                wrong.push(format!("{file}:{line}: {path} belongs into fs/"));
            }
            if is_library && !["sync", "fs::real"].contains(&module.as_str()) && ONLY_SYNC.iter().any(names) {
                let is_ours = words.first().is_some_and(|word| word == "crate");
                wrong.extend((!is_ours).then(|| format!("{file}:{line}: {path} belongs into sync")));
            }
        }
    }
    let modules: Vec<String> = files.iter().map(|(file, _)| module_of(file)).collect();
    let gone = rank.keys().filter(|name| !modules.iter().any(|module| module == *name));
    wrong.extend(gone.map(|name| format!("{name} is in a row and has no file")));
    wrong
}

fn sources(dir: &Path, below: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            sources(&path, &format!("{name}/"), files);
        } else if name.ends_with(".rs") {
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn check_crate(dir: &str, order: &str) {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), "", &mut files);
    let wrong = check(&files, order);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_library_keeps_its_order() {
    check_crate("src", LIBRARY);
}

#[test]
fn the_command_keeps_its_order() {
    check_crate("crates/cli/src", COMMAND);
}

#[test]
fn what_is_against_the_order_is_named() {
    let order = "path\nfs\nengine::read\nengine\nstore\nlib";
    let said = |file: &str, text: &str| {
        let modules =
            ["path", "fs", "engine/read", "engine/mod", "store", "lib"].map(|name| format!("{name}.rs"));
        let empty = modules.into_iter().filter(|name| name != file).map(|name| (name, String::new()));
        let files: Vec<_> = empty.chain([(file.to_owned(), text.to_owned())]).collect();
        check(&files, order)
    };
    for (file, text, wrong) in [
        ("path.rs", "use crate::fs::Fs;", "path.rs:1: crate::fs::Fs is not above path"),
        ("path.rs", "\nfn f() { crate::store::open(); }", "path.rs:2: crate::store::open is not above path"),
        ("fs.rs", "use crate::{path, store::{A, B as C}};", "fs.rs:1: crate::store::A is not above fs"),
        ("engine/read.rs", "use super::Engine;", "engine/read.rs:1: super::Engine is not above engine::read"),
        ("fs.rs", "mod a { use super::super::store::*; }", "fs.rs:1: super::super::store is not above fs"),
        ("store.rs", "fn f() { std::fs::read(); }", "store.rs:1: std::fs::read belongs into fs/"),
        ("store.rs", "use std::sync::Mutex;", "store.rs:1: std::sync::Mutex belongs into sync"),
        ("other.rs", "", "other.rs: other is in no row"),
    ] {
        assert!(said(file, text).contains(&wrong.to_owned()), "{file}: {:?}", said(file, text));
    }
    for (file, text) in [
        ("engine/mod.rs", "mod read; use read::Pointer; use crate::path::Path;"),
        ("path.rs", "#[cfg(test)] mod tests { use crate::store::Store; }"),
        ("fs.rs", "use std::fs; use crate::path::*;"),
    ] {
        assert_eq!(said(file, text), Vec::<String>::new(), "{file}");
    }
}
