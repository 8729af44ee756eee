//! Validators hold for committed files and for recovered ones.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Place, assert_same, contents, flip, g, refused, save, state, text};
use genstore::{ErrorKind, OpenOptions, Provenance, Store, StorePath, json, json_as};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[allow(dead_code, reason = "the test only needs that it can be read")]
    day: String,
}

/// Accepts text that does not begin with `bad`.
fn not_bad(_: &StorePath, content: &mut dyn Read) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut text = String::new();
    content.read_to_string(&mut text)?;
    if text.starts_with("bad") { Err("it begins badly".into()) } else { Ok(()) }
}

fn open(place: &Place, options: OpenOptions) -> Store {
    options.open(place.store()).unwrap()
}

fn try_commit(store: &Store, path: &str, text: &str) -> genstore::Result<genstore::Commit> {
    let mut tx = store.begin().unwrap();
    tx.put(path, text).unwrap();
    tx.put("bystander", text).unwrap();
    tx.commit("validated")
}

#[test]
fn refused_content_changes_nothing() {
    let (place, _) = Place::with_commits(&[&[("a.json", "1")]]);
    let validating = || {
        let options = Store::options().validate("*.json", json()).unwrap();
        let options = options.validate("settings/*.json", json_as::<Settings>()).unwrap();
        open(&place, options.validate("**/*.txt", not_bad).unwrap())
    };
    for (path, bad, good, detail) in [
        ("a.json", "{\"a\":1,}", "{\"a\":1}", "trailing comma"),
        ("b.json", "", "null", "EOF"),
        ("c.json", "{} {}", "[]", "trailing characters"),
        ("d.json", "[1e999]", "[1e308]", "number out of range"),
        ("e.json", r#"["\ud800"]"#, r#"["\ud83e\udd80"]"#, "unexpected end of hex escape"),
        ("f.json", &"[".repeat(128), "[[[]]]", "recursion limit exceeded"),
        ("settings/a.json", "{\"night\":1}", "{\"day\":\"Friday\"}", "unknown field"),
        ("settings/b.json", "{\"day\":7}", "{\"day\":\"\"}", "expected a string"),
        ("a.txt", "bad", "good", "begins badly"),
        ("deep/er/a.txt", "badly", "b", "begins badly"),
    ] {
        // The first time the path is new, the second time it exists.
        for _ in 0..2 {
            let store = validating();
            let before = contents(&place.store());
            let error = refused(try_commit(&store, path, bad), ErrorKind::Invalid);
            assert_eq!(error.path(), Some(path));
            assert!(error.to_string().contains(detail), "{error}");
            assert_same(&contents(&place.store()), &before);
            try_commit(&store, path, good).unwrap();
            assert_eq!(text(&store, path), good);
            assert_eq!(text(&store, "bystander"), good, "the refused commit left the other path alone too");
        }
    }
}

#[test]
fn a_star_stays_within_one_part_of_a_path() {
    let (place, _) = Place::with_store();
    for (glob, concerned, free) in [
        ("*.json", "a.json", "stores/a.json"),
        ("stores/*.json", "stores/a.json", "stores/sub/a.json"),
        ("**/*.json", "stores/sub/a.json", "a.txt"),
        ("**/*.json", "top.json", "json"),
        ("stores/**", "stores/sub/deep/a", "other/a"),
        ("{a,b}/c", "b/c", "c/c"),
        ("a?", "ab", "abc"),
    ] {
        let store = open(&place, Store::options().validate(glob, not_bad).unwrap());
        assert_eq!(
            refused(try_commit(&store, concerned, "bad"), ErrorKind::Invalid).path(),
            Some(concerned),
            "{glob}"
        );
        assert!(
            try_commit(&store, free, &format!("bad {glob}")).unwrap().changed,
            "{glob} does not concern {free}"
        );
    }
    let error = refused(Store::options().validate("{a", not_bad), ErrorKind::Invalid);
    assert!(error.to_string().contains("{a"), "{error}");
}

#[test]
fn the_error_of_a_validator_is_the_source_of_the_error() {
    let (place, _) = Place::with_store();
    let parses = |_: &StorePath, content: &mut dyn Read| {
        let mut text = String::new();
        content.read_to_string(&mut text)?;
        text.parse::<u8>()?;
        Ok(())
    };
    let store = open(&place, Store::options().validate("n", parses).unwrap());
    let error = refused(try_commit(&store, "n", "256"), ErrorKind::Invalid);
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.downcast_ref::<std::num::ParseIntError>().is_some(), "{source:?}");
    assert!(error.to_string().ends_with(&source.to_string()), "{error}");
    try_commit(&store, "n", "255").unwrap();
}

#[test]
fn every_way_to_put_a_file_is_validated() {
    let (place, plain) =
        Place::with_commits(&[&[("elsewhere", "bad old"), ("x/a", "bad and live"), ("x/b", "fine")]]);
    let outside = place.write("dir/b", "bad");
    let store = open(&place, Store::options().validate("x/*", not_bad).unwrap());
    let before = contents(&place.store());
    let large = format!("bad{}", "x".repeat(100_000));
    let puts: [&dyn Fn(&mut genstore::Transaction) -> genstore::Result<()>; 6] = [
        &|tx| tx.put("x/b", large.clone()),
        &|tx| tx.put_reader("x/b", large.as_bytes()),
        &|tx| tx.put_file("x/b", &outside),
        &|tx| tx.put_dir(place.path("dir"), &genstore::PutDirOptions::new().into_dir("x")).map(drop),
        &|tx| tx.rename("elsewhere", "x/c"),
        &|tx| tx.put("y", "bad").and_then(|()| tx.rename("y", "x/b")),
    ];
    for (number, put) in puts.iter().enumerate() {
        let mut tx = store.begin().unwrap();
        put(&mut tx).unwrap();
        refused(tx.commit("refused"), ErrorKind::Invalid);
        assert_same(&contents(&place.store()), &before);
        assert_eq!(crate::support::names(&place.inside("staging")), Vec::<String>::new(), "put {number}");
    }
    // A removal has no content, and untouched files are not validated.
    let mut tx = store.begin().unwrap();
    tx.remove("x/a").unwrap();
    tx.put("elsewhere", "bad is fine here").unwrap();
    tx.commit("removed").unwrap();
    // A rollback to content that would be refused now is refused too.
    let error = refused(store.rollback("2", "back"), ErrorKind::Invalid);
    assert_eq!(error.path(), Some("x/a"));
    assert!(plain.rollback("2", "a handle without validators may").unwrap().changed);
}

#[test]
fn every_matching_validator_sees_the_whole_file() {
    let (place, _) = Place::with_store();
    let seen = Arc::new(AtomicUsize::new(0));
    let counting = |seen: &Arc<AtomicUsize>| {
        let seen = Arc::clone(seen);
        move |path: &StorePath, content: &mut dyn Read| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            assert_eq!(path.as_str(), "a.json");
            seen.fetch_add(bytes.len(), Ordering::Relaxed);
            Ok(())
        }
    };
    let options = Store::options()
        .validate("*.json", counting(&seen))
        .unwrap()
        .validate("a*", counting(&seen))
        .unwrap();
    let store = open(&place, options);
    save(&store, &[("a.json", "12345"), ("other", "1")]);
    assert_eq!(seen.load(Ordering::Relaxed), 10);
}

#[test]
fn a_version_that_is_refused_is_not_offered_as_recovered() {
    let (place, plain) = Place::with_commits(&[&[("a", "good")], &[("a", "bad edit")], &[("a", "newest")]]);
    flip(&place.inside("data/a.g4"), 0);
    let recover = |store: &Store| store.snapshot().unwrap().get_or_recover("a", b"default").unwrap();
    assert_eq!(recover(&plain), (b"bad edit".to_vec(), Provenance::Recovered { generation: g(3) }));
    let store = open(&place, Store::options().validate("a", not_bad).unwrap());
    assert_eq!(recover(&store), (b"good".to_vec(), Provenance::Recovered { generation: g(2) }));
    flip(&place.inside("data/a.g2"), 0);
    assert_eq!(recover(&store), (b"default".to_vec(), Provenance::Default));
    // Intact content is served without validation: it was acceptable when it was committed.
    save(&plain, &[("a", "bad but intact")]);
    assert_eq!(recover(&store), (b"bad but intact".to_vec(), Provenance::Current));
    assert_eq!(text(&store, "a"), "bad but intact");
}

#[test]
fn a_removal_has_no_content_to_judge() {
    let (place, _) = Place::with_commits(&[&[("a.json", "1"), ("b.json", "2"), ("c.json", "3")]]);
    let store = open(&place, Store::options().validate("*.json", json()).unwrap());
    store.update("remove", |tx| tx.remove("a.json")).unwrap();
    store.update("rename", |tx| tx.rename("b.json", "d.json")).unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("a.json", "4").unwrap();
    tx.remove("c.json").unwrap();
    tx.commit("put and remove").unwrap();
    let left = [("a.json", "4"), ("d.json", "2")].map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(state(&store), left.into());
    // What is not empty JSON is still refused.
    refused(try_commit(&store, "e.json", ""), ErrorKind::Invalid);
}
