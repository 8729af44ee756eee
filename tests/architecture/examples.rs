//! The checks find what they are for, shown on a small crate.

use super::layers::Layers;
use super::{check, module_of};

/// A crate to try the checks on.
const SMALL: Layers = Layers {
    sources: "src",
    rows: &[
        "path hash sync",
        "error",
        "format::names",
        "fs fs::real fs::lock",
        "storage storage::directory",
        "engine::read",
        "engine::chain",
        "engine",
        "store snapshot verify verify::whole",
        "lib",
    ],
    circles: &[],
};

/// What is said of one file of the small crate, without its name and line.
fn said(file: &str, text: &str) -> Vec<String> {
    let without_place = |text: String| text.rsplit_once(&format!("{file}:")).unwrap().1.to_owned();
    let without_line = |text: String| {
        text.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim_start_matches(": ").to_owned()
    };
    check(&[(file, text)], &SMALL).into_iter().map(without_place).map(without_line).collect()
}

#[test]
fn imports_from_below_are_caught_however_they_are_written() {
    for (file, text, path) in [
        ("format/names.rs", "use crate::fs::Fs;", "crate::fs::Fs"),
        ("format/names.rs", "fn f() { crate::engine::read::pointer(); }", "crate::engine::read::pointer"),
        ("format/names.rs", "fn f(x: Vec<crate::store::Store>) {}", "crate::store::Store"),
        ("format/names.rs", "fn f() { assert!(x == [crate::store::Y]); }", "crate::store::Y"),
        ("format/names.rs", "#[with(crate::store::f)] struct S;", "crate::store::f"),
        ("format/names.rs", "#[cfg(any(test, feature = \"sim\"))] use crate::store::Y;", "crate::store::Y"),
        (
            "format/names.rs",
            "mod inner { use super::super::super::store::Y; }",
            "super::super::super::store::Y",
        ),
        (
            "fs/real.rs",
            "use crate::{\n    error::Error,\n    storage::{Round, directory::Directory as D},\n};",
            "crate::storage::Round",
        ),
        (
            "fs/real.rs",
            "use crate::{\n    error::Error,\n    storage::{Round, directory::Directory as D},\n};",
            "crate::storage::directory::Directory",
        ),
        ("engine/read.rs", "use super::super::store::Store;", "super::super::store::Store"),
        ("engine/read.rs", "use super::chain::Chain;", "super::chain::Chain"),
        ("engine/read.rs", "use super::*;", "super::*"),
        ("engine/chain.rs", "use crate::engine::Engine;", "crate::engine::Engine"),
        ("engine/mod.rs", "use super::store::Store;", "super::store::Store"),
        ("error.rs", "impl From<crate::engine::read::Fault> for Error {}", "crate::engine::read::Fault"),
        ("path.rs", "use crate::Error;", "crate::Error"),
        ("store.rs", "use crate::lib::x;", "crate::lib::x"),
    ] {
        let said = said(file, text);
        let expected = format!("{path} is not above {}", module_of(file));
        assert!(said.contains(&expected), "{text}: {said:?}");
    }
    assert_eq!(said("cellar/mod.rs", ""), [" cellar is in no row of the layers"]);
    assert_eq!(said("engine/cellar.rs", ""), [" engine::cellar is in no row of the layers"]);
    let text = "use crate::path::P;\n\nfn f() {\n    vec![crate::store::new()];\n}\n";
    assert_eq!(
        check(&[("error.rs", text)], &SMALL),
        ["error.rs:4: crate::store::new is not above error"],
        "the line is that of the import"
    );
}

#[test]
fn imports_from_above_and_among_equals_are_allowed() {
    for (file, text) in [
        ("error.rs", "use crate::path::StorePath; use crate::hash::Blake3;"),
        (
            "store.rs",
            "use crate::snapshot::Snapshot; use crate::engine::{Engine, chain}; use crate::fs::real::R;",
        ),
        ("engine/chain.rs", "use super::read::Head; use crate::storage::Storage;"),
        ("engine/mod.rs", "mod chain; mod read; use chain::Chain; fn f() { read::pointer() }"),
        (
            "verify/whole.rs",
            "use super::Work; use super::super::store::Store; use crate::store::interrupted;",
        ),
        ("lib.rs", "mod engine; pub use engine::finding::Finding; use crate::store::Store;"),
        ("engine/read.rs", "pub(in crate::engine) fn f() {} pub(super) fn g() {}"),
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
        ("format/names.rs", "impl X { #[cfg(all(test, unix))] fn f() { crate::store::f() } }"),
        ("format/names.rs", "#[cfg(any(test, fuzzing))] use crate::store::Store;"),
        ("format/names.rs", "pub(crate) mod x; use std::io::{self, Read};"),
    ] {
        assert_eq!(said(file, text), Vec::<String>::new(), "{text}");
    }
    let text = "#[cfg(test)]\nmod tests {}\n#[cfg(test)]\npub(crate) mod fault;\n#[cfg(test)]\nmod more;\nuse crate::store::Store;";
    let below = "use crate::store::Store; fn f() { println!() }";
    let files = [
        ("engine/mod.rs", text),
        ("engine/fault.rs", below),
        ("engine/more/mod.rs", below),
        ("engine/more/deep.rs", below),
    ];
    assert_eq!(check(&files, &SMALL), ["engine/mod.rs:7: crate::store::Store is not above engine"]);
}

#[test]
fn circles_are_caught_also_among_equals_and_outside_of_the_list() {
    let text = |other: &str| format!("use crate::{other}::X;");
    let (snapshot, store, verify) = (text("snapshot"), text("store"), text("verify"));
    let files = [("store.rs", &*snapshot), ("snapshot.rs", &*verify), ("verify/mod.rs", &*store)];
    let circle =
        "snapshot.rs:1: crate::verify::X; store.rs:1: crate::snapshot::X; verify/mod.rs:1: crate::store::X";
    assert_eq!(check(&files, &SMALL), [format!("a circle of snapshot store verify: {circle}")]);
    assert_eq!(check(&files[..2], &SMALL), Vec::<String>::new());

    let files = [("a.rs", "use crate::b::X;"), ("b.rs", "use crate::a::X;"), ("c.rs", "use crate::a::X;")];
    let none = Layers { rows: &["lib"], ..SMALL };
    assert!(
        check(&files, &none)
            .contains(&"a circle of a b: a.rs:1: crate::b::X; b.rs:1: crate::a::X".to_owned())
    );
    let listed = Layers { rows: &["a", "b", "c"], circles: &["a b"], ..SMALL };
    assert_eq!(check(&files, &listed), Vec::<String>::new());
    assert_eq!(
        check(&files[..1], &Layers { circles: &[], ..listed }),
        ["a.rs:1: crate::b::X is not above a"],
    );
    assert_eq!(check(&files[1..], &listed), ["the circle of a b is gone: take it off the list"]);
}

#[test]
fn what_belongs_behind_a_door_is_caught_outside_of_it() {
    for text in [
        "use std::fs::File;",
        "use std::{fs, io};",
        "use std::{io, time::SystemTime};",
        "fn f() { std::fs::read(\"x\"); }",
        "fn f() { File::open(\"x\"); }",
        "fn f() { std::time::Instant::now(); }",
        "fn f() { thread::sleep(x); }",
        "use crate::sync::thread::{self, sleep};",
        "fn f() { std::env::var(\"HOME\"); }",
        "fn f() { getrandom::fill(&mut x); }",
        "use fs2::FileExt;",
        "fn f(path: &Path) -> bool { path.exists() }",
        "fn f(path: &Path) -> bool { matches!(x, y if path.exists()) }",
    ] {
        for file in ["store.rs", "engine/read.rs", "lib.rs", "verify/mod.rs"] {
            let said = said(file, text);
            assert!(said.len() == 1 && said[0].ends_with(" belongs into fs/"), "{file}: {text}: {said:?}");
        }
        assert!(said("fs/lock.rs", text).is_empty(), "{text}");
        assert_eq!(said("fs/real.rs", text).is_empty(), !text.contains("fs2"), "{text}");
    }
    assert!(said("store.rs", "use crate::fs::Fs; fn f(fs2_like: Fs) { self.fs.stat(x) }").is_empty());
}

#[test]
fn what_threads_share_is_caught_outside_of_sync() {
    for text in [
        "use std::sync::{Arc, Mutex};",
        "use std::sync::atomic::{AtomicBool, Ordering};",
        "fn f() { std::thread::scope(|scope| ()); }",
        "use std::{io, thread};",
        "static A: std::sync::LazyLock<u8> = f();",
        "use std::sync::{Barrier, Weak};",
        "static A: std::sync::Once = f();",
    ] {
        for file in ["store.rs", "engine/mod.rs", "fs/lock.rs"] {
            let said = said(file, text);
            assert!(!said.is_empty(), "{file}: {text}");
            assert!(said.iter().all(|said| said.ends_with(" belongs into sync")), "{file}: {text}: {said:?}");
        }
        assert!(said("sync.rs", text).is_empty(), "{text}");
    }
    assert!(said("store.rs", "use std::sync::Arc; use crate::sync::{Mutex, thread};").is_empty());
    assert!(said("fs/real.rs", "fn f() { std::thread::sleep(x); }").is_empty());
}

#[test]
fn prints_loose_ends_and_long_files_are_caught() {
    for word in ["print", "println", "eprint", "eprintln", "dbg", "todo", "unimplemented"] {
        for text in
            [format!("fn f() {{ {word}!(\"x\"); }}"), format!("fn f() {{ vec![std::{word}!(\"x\")] }}")]
        {
            assert_eq!(said("store.rs", &text), [format!("{word}! belongs nowhere")]);
        }
        let text = format!("// {word}!(x)\nfn f() {{ my_{word}!(x); \"{word}!\" }}");
        assert!(said("store.rs", &text).is_empty());
    }
    assert_eq!(said("store.rs", &"\n".repeat(601)), [" 601 lines"]);
    assert!(said("store.rs", &"\n".repeat(600)).is_empty());
}
