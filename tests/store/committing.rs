//! A commit gives back every byte as one generation, or it leaves nothing.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{
    Noise, Place, assert_same, contents, files, g, names, refused, rename, rewrite_newest, save, state, text,
    tree,
};
use genstore::{CancelFlag, ErrorKind, GenerationKind, PutDirOptions, Store};
use serde_json::{Value, json};

/// More than a transaction keeps in memory until the commit.
const LARGE: u64 = 200_000;

/// Gives some bytes and then an error.
struct Broken(u32);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 += 1;
        if self.0 < 3 {
            buffer.fill(b'x');
            return Ok(buffer.len());
        }
        Err(io::Error::new(io::ErrorKind::ConnectionReset, "the other side went away"))
    }
}

#[test]
fn every_put_gives_the_bytes_back_and_leaves_them_plain_on_disk() {
    let (place, store) = Place::with_store();
    let outside = place.write("outside.bin", b"from a file\0");
    place.write("dir/a/b.txt", "b");
    place.write("dir/c.txt", "");
    let mut tx = store.begin().unwrap();
    tx.put("bytes", [0, 255, 13, 10]).unwrap();
    tx.put("large", Noise::bytes(LARGE)).unwrap();
    tx.put_json("settings.json", &json!({"day": "Friday", "list": [1]})).unwrap();
    tx.put_reader("streamed", Noise::new(LARGE + 1)).unwrap();
    tx.put_file("deep/er/file", &outside).unwrap();
    let read = tx.put_dir(place.path("dir"), &PutDirOptions::new().into_dir("in")).unwrap();
    assert_eq!((read.files, read.bytes), (2, 1));
    let commit = tx.commit("all ways").unwrap();

    let json = "{\n  \"day\": \"Friday\",\n  \"list\": [\n    1\n  ]\n}\n";
    let expected: Vec<(&str, Vec<u8>)> = vec![
        ("bytes", vec![0, 255, 13, 10]),
        ("deep/er/file", b"from a file\0".to_vec()),
        ("in/a/b.txt", b"b".to_vec()),
        ("in/c.txt", Vec::new()),
        ("large", Noise::bytes(LARGE)),
        ("settings.json", json.into()),
        ("streamed", Noise::bytes(LARGE + 1)),
    ];
    let bytes: u64 = expected.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!(
        (commit.generation, commit.changed, commit.put, commit.removed, commit.bytes),
        (g(2), true, 7, 0, bytes)
    );
    let snapshot = place.open().snapshot().unwrap();
    assert_eq!((snapshot.generation(), snapshot.len(), snapshot.total_bytes()), (g(2), 7, bytes));
    for (path, bytes) in &expected {
        assert_eq!(&snapshot.get(path).unwrap(), bytes, "{path}");
        let mut streamed = Vec::new();
        snapshot.reader(path).unwrap().read_to_end(&mut streamed).unwrap();
        assert_eq!(&streamed, bytes, "{path}");
        let entry = snapshot.metadata(path).unwrap();
        assert_eq!((entry.bytes, entry.generation), (bytes.len() as u64, g(2)));
        assert_eq!(entry.blake3.to_string(), blake3::hash(bytes).to_hex().to_string());
        let stored = place.inside(&format!("data/{path}.g2"));
        assert_eq!(&fs::read(&stored).unwrap(), bytes, "{path}");
        assert_eq!(
            fs::metadata(&stored).unwrap().permissions().mode() & 0o222,
            0,
            "{path} can be written to"
        );
    }
    let listed: Vec<String> = snapshot.list("").map(|file| file.path.to_string()).collect();
    assert_eq!(listed, expected.iter().map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>());
    let listed: Vec<String> = snapshot.list("in/").map(|file| file.path.to_string()).collect();
    assert_eq!(listed, ["in/a/b.txt", "in/c.txt"]);
    let value: Value = snapshot.get_json("settings.json").unwrap();
    assert_eq!(value["day"], "Friday");
    assert_eq!(names(&place.inside("data")).len(), 7 + 4, "one file each, and four directories");
    assert_eq!(names(&place.inside("staging")), Vec::<String>::new());
}

#[test]
fn unchanged_content_creates_no_generation_and_writes_nothing() {
    let (place, store) = Place::with_store();
    let outside = place.write("outside", "same");
    place.write("dir/d", "same too");
    let put_all = |store: &Store| {
        let mut tx = store.begin().unwrap();
        tx.put("small", "s").unwrap();
        tx.put("large", Noise::bytes(LARGE)).unwrap();
        tx.put_json("json", &json!([1, 2])).unwrap();
        tx.put_reader("streamed", Noise::new(LARGE)).unwrap();
        tx.put_file("file", &outside).unwrap();
        tx.put_dir(place.path("dir"), &PutDirOptions::new()).unwrap();
        tx.commit("again").unwrap()
    };
    assert!(put_all(&store).changed);
    let before = contents(&place.store());
    for store in [&store, &place.open()] {
        let commit = put_all(store);
        assert_eq!((commit.generation, commit.changed), (g(2), false));
        assert_eq!((commit.put, commit.removed, commit.bytes), (0, 0, 0));
    }
    assert!(!store.begin().unwrap().commit("nothing at all").unwrap().changed);
    assert_same(&contents(&place.store()), &before);
    assert_eq!(store.history().unwrap().count(), 2);
}

#[test]
fn a_generation_leaves_out_unchanged_files() {
    let (place, store) = Place::with_commits(&[&[("same", "1"), ("other", "1")]]);
    let commit = save(&store, &[("same", "1"), ("other", "2")]);
    assert_eq!((commit.put, commit.bytes), (1, 1));
    assert_eq!(names(&place.inside("data")), ["other.g2", "other.g3", "same.g2"]);
    let entry = store.show("latest").unwrap();
    assert_eq!(entry.put.iter().map(ToString::to_string).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn nothing_is_visible_before_the_commit_and_nothing_is_left_by_a_drop() {
    let (place, store) = Place::with_commits(&[&[("kept", "1"), ("gone", "1")]]);
    let other = place.open();
    let before = contents(&place.store());
    let mut tx = store.begin().unwrap();
    tx.put("kept", "2").unwrap();
    tx.put("new", Noise::bytes(LARGE)).unwrap();
    tx.put_reader("streamed", Noise::new(LARGE)).unwrap();
    tx.remove("gone").unwrap();
    assert_eq!(names(&place.inside("staging")).len(), 2, "large content waits in staging files");
    for store in [&store, &other, &place.open()] {
        assert_eq!(state(store), files(&[("kept", "1"), ("gone", "1")]));
    }
    drop(tx);
    assert_same(&contents(&place.store()), &before);
    assert_eq!(names(&place.inside("staging")), Vec::<String>::new());
    assert_eq!(state(&store), files(&[("kept", "1"), ("gone", "1")]));
}

#[test]
fn a_reader_that_fails_leaves_the_path_as_it_was() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    let mut tx = store.begin().unwrap();
    tx.put("a", "2").unwrap();
    let error = refused(tx.put_reader("a", Broken(0)), ErrorKind::Io);
    assert!(error.to_string().contains("the other side went away"), "{error}");
    assert_eq!(names(&place.inside("staging")), Vec::<String>::new());
    assert_eq!(tx.get("a").unwrap(), b"2");
    tx.commit("the put before it").unwrap();
    assert_eq!(text(&store, "a"), "2");
}

#[test]
fn content_that_is_put_twice_leaves_one_file_and_no_staging() {
    let (place, store) = Place::with_store();
    let mut tx = store.begin().unwrap();
    tx.put_reader("a", Noise::new(LARGE)).unwrap();
    tx.put_reader("a", Noise::new(LARGE + 5)).unwrap();
    tx.put_reader("b", Noise::new(LARGE)).unwrap();
    tx.put("b", "small after all").unwrap();
    tx.commit("twice").unwrap();
    assert_eq!(names(&place.inside("data")), ["a.g2", "b.g2"]);
    assert_eq!(store.snapshot().unwrap().metadata("a").unwrap().bytes, LARGE + 5);
    assert_eq!(text(&store, "b"), "small after all");
    assert_eq!(names(&place.inside("staging")), Vec::<String>::new());
}

#[test]
fn a_rename_copies_no_bytes() {
    let (place, store) = Place::with_commits(&[&[("a/one", "1"), ("two", "2")]]);
    let before = tree(&place.inside("data"));
    assert_eq!(rename(&store, "a/one", "b/uno").bytes, 0);
    assert_same(&tree(&place.inside("data")), &before);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.get("b/uno").unwrap(), b"1");
    assert_eq!(snapshot.metadata("b/uno").unwrap().generation, g(2));
    refused(snapshot.get("a/one"), ErrorKind::NotFound);

    // A new handle, which reads all from disk, renames the path again, over another file.
    let store = place.open();
    let commit = rename(&store, "b/uno", "two");
    assert_eq!((commit.put, commit.removed, commit.bytes), (1, 1, 0));
    assert_same(&tree(&place.inside("data")), &before);
    assert_eq!(state(&place.open()), files(&[("two", "1")]));
    assert_eq!(state(&store), files(&[("two", "1")]));

    // The old name is free again. A new file there does not touch the renamed one.
    save(&store, &[("a/one", "new")]);
    assert_eq!(state(&place.open()), files(&[("a/one", "new"), ("two", "1")]));
    assert!(store.verify(&genstore::VerifyOptions::new().scope(genstore::VerifyScope::All)).unwrap().ok);
}

#[test]
fn renames_within_one_transaction_follow_each_other() {
    let (place, store) = Place::with_commits(&[&[("a", "A"), ("b", "B")]]);
    let mut tx = store.begin().unwrap();
    tx.rename("a", "swap").unwrap();
    tx.rename("b", "a").unwrap();
    tx.rename("swap", "b").unwrap();
    tx.put("new", "N").unwrap();
    tx.rename("new", "newer").unwrap();
    refused(tx.get("new"), ErrorKind::NotFound);
    refused(tx.rename("new", "x"), ErrorKind::NotFound);
    assert_eq!(tx.get("a").unwrap(), b"B");
    tx.commit("swap").unwrap();
    assert_eq!(state(&place.open()), files(&[("a", "B"), ("b", "A"), ("newer", "N")]));

    let mut tx = store.begin().unwrap();
    tx.rename("a", "a").unwrap();
    refused(tx.rename("missing", "x"), ErrorKind::NotFound);
    assert!(!tx.commit("onto itself").unwrap().changed);
}

#[test]
fn a_removed_file_stays_readable_in_earlier_generations() {
    let (_place, store) = Place::with_commits(&[&[("a", "1"), ("b", "1")]]);
    let mut tx = store.begin().unwrap();
    tx.remove("a").unwrap();
    refused(tx.remove("a"), ErrorKind::NotFound);
    let error = refused(tx.remove("missing"), ErrorKind::NotFound);
    assert_eq!((error.path(), error.generation()), (Some("missing"), Some(g(2))));
    let commit = tx.commit("remove a").unwrap();
    assert_eq!((commit.put, commit.removed, commit.bytes), (0, 1, 0));
    assert_eq!(state(&store), files(&[("b", "1")]));
    assert_eq!(store.snapshot_at("2").unwrap().get("a").unwrap(), b"1");

    let mut tx = store.begin().unwrap();
    tx.put("c", "never was").unwrap();
    tx.remove("c").unwrap();
    assert!(!tx.commit("nothing came of it").unwrap().changed);
}

#[test]
fn a_transaction_sees_its_own_changes() {
    let (_place, store) = Place::with_commits(&[&[("f/a", "1"), ("f/b", "1"), ("z", "1")]]);
    let mut tx = store.begin().unwrap();
    assert_eq!(tx.base(), g(2));
    tx.put("f/a", "2").unwrap();
    tx.put_reader("f/c", Noise::new(LARGE)).unwrap();
    tx.remove("f/b").unwrap();
    tx.put_json("f/j", &json!({"n": 1})).unwrap();
    tx.rename("z", "f/z").unwrap();
    let listed: Vec<String> = tx.list("f/").map(|path| path.to_string()).collect();
    assert_eq!(listed, ["f/a", "f/c", "f/j", "f/z"]);
    assert_eq!(tx.get("f/a").unwrap(), b"2");
    assert_eq!(tx.get("f/c").unwrap(), Noise::bytes(LARGE));
    assert_eq!(tx.get("f/z").unwrap(), b"1");
    assert_eq!(tx.get_json::<Value>("f/j").unwrap()["n"], 1);
    refused(tx.get("f/b"), ErrorKind::NotFound);
    refused(tx.get_json::<Value>("f/c"), ErrorKind::Invalid);
    assert!(tx.contains("f/c").unwrap() && !tx.contains("f/b").unwrap() && !tx.contains("nowhere").unwrap());
    refused(tx.contains("../x"), ErrorKind::Invalid);
}

#[test]
fn the_history_has_author_message_and_metadata() {
    let (place, _) = Place::with_store();
    let store = Store::options().author("the application").open(place.store()).unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("a", "1").unwrap();
    tx.author("ann")
        .metadata("ticket", json!({"n": 7}))
        .metadata("ticket", json!(8))
        .metadata("π", Value::Null);
    tx.commit("why \"so\"\nsecond line").unwrap();
    let mut tx = store.begin().unwrap();
    tx.put("b", "1").unwrap();
    tx.remove("a").unwrap();
    tx.commit("").unwrap();
    let history: Vec<_> = place.open().history().unwrap().map(Result::unwrap).collect();
    let [second, first, created] = history.as_slice() else { panic!("{history:?}") };
    assert_eq!((first.author.as_str(), first.message.as_str()), ("ann", "why \"so\"\nsecond line"));
    assert_eq!(first.metadata.get("ticket"), Some(&json!(8)));
    assert_eq!(first.metadata.get("π"), Some(&Value::Null));
    assert_eq!(
        (first.kind, first.parent, first.files, first.bytes),
        (GenerationKind::Commit, Some(g(1)), 1, 1)
    );
    assert_eq!((second.author.as_str(), second.message.as_str()), ("the application", ""));
    assert_eq!(second.put.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b"]);
    assert_eq!(second.removed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a"]);
    assert_eq!((created.generation, created.parent, created.files), (g(1), None, 0));
    assert!(created.metadata.get("medium").is_some_and(|medium| medium["filesystem"].is_string()));
    assert!(created.time <= first.time && first.time <= second.time);
    let bytes = fs::read(place.inside("manifests/0000000002.json")).unwrap();
    assert_eq!(first.manifest.to_string(), blake3::hash(&bytes).to_hex().to_string());
}

#[test]
fn a_generation_is_never_earlier_than_its_parent() {
    let (place, store) = Place::with_commits(&[&[("a", "1")]]);
    drop(store);
    let later = "2099-01-01T00:00:00.000Z";
    rewrite_newest(&place, |manifest| manifest["time"] = later.into());
    let store = place.open();
    save(&store, &[("a", "2")]);
    let times: Vec<String> =
        store.history().unwrap().map(|entry| entry.unwrap().time.to_string()).take(2).collect();
    assert_eq!(times, [later, later]);
    assert_eq!(place.open().snapshot_at("2099-01-01").unwrap().generation(), g(3));
    assert_eq!(place.open().snapshot_at("2098-12-31").unwrap().generation(), g(1));
}

#[test]
fn a_broken_rule_is_refused_and_leaves_nothing() {
    let (place, store) = Place::with_commits(&[&[("Dir/file", "1")]]);
    let before = contents(&place.store());
    for path in ["", "/abs", "../up", "a//b", "a\\b", "CON", "x.g7", "e\u{301}"] {
        let mut tx = store.begin().unwrap();
        assert_eq!(refused(tx.put(path, ""), ErrorKind::Invalid).path(), Some(path));
        refused(tx.put_reader(path, io::empty()), ErrorKind::Invalid);
        refused(tx.put_json(path, &1), ErrorKind::Invalid);
        refused(tx.rename("Dir/file", path), ErrorKind::Invalid);
        refused(tx.remove(path), ErrorKind::Invalid);
        refused(store.snapshot().unwrap().get(path), ErrorKind::Invalid);
    }
    for (path, other) in [
        ("dir/FILE", "Dir/file"),
        ("Dir", "Dir/file"),
        ("Dir/file/x", "Dir/file"),
        ("dir/file/x", "Dir/file"),
    ] {
        let mut tx = store.begin().unwrap();
        tx.put(path, "2").unwrap();
        tx.put_reader("large", Noise::new(LARGE)).unwrap();
        let error = refused(tx.commit("collides"), ErrorKind::Invalid);
        assert!(error.to_string().contains(other), "{error}");
        assert_eq!(error.path(), Some(path));
    }
    let mut tx = store.begin().unwrap();
    tx.put("x", "").unwrap();
    tx.author(&"a".repeat(1025));
    refused(tx.commit("long author"), ErrorKind::Invalid);
    let mut tx = store.begin().unwrap();
    tx.put("x", "").unwrap();
    refused(tx.commit(&"m".repeat(65537)), ErrorKind::Invalid);
    assert_same(&contents(&place.store()), &before);
    assert_eq!(store.status().unwrap().interrupted, []);
}

#[test]
fn a_commit_that_is_cancelled_removes_what_it_wrote() {
    let (place, _) = Place::with_commits(&[&[("a", "1")]]);
    let flag = CancelFlag::new();
    let store = Store::options().cancel(flag.clone()).open(place.store()).unwrap();
    let before = names(&place.store());
    let mut tx = store.begin().unwrap();
    tx.put("a", "2").unwrap();
    tx.put_reader("directory/large", Noise::new(LARGE)).unwrap();
    flag.cancel();
    let error = refused(tx.commit("cancelled"), ErrorKind::Io);
    assert!(error.is_interrupted());
    let mut after = names(&place.store());
    after.retain(|name| name != "locks/used-3");
    assert_eq!(after, before, "only its number is left");
    assert_eq!(text(&place.open(), "a"), "1");
    flag.reset();
    assert!(save(&store, &[("a", "2")]).changed, "the handle stays usable");
}

#[test]
fn a_directory_is_put_whole_and_pruned_only_on_request() {
    let (place, store) = Place::with_commits(&[&[("in/old", "1"), ("in/same", "1"), ("outside", "1")]]);
    place.write("dir/same", "1");
    place.write("dir/sub/new", "2");
    let put = |prune| {
        let mut tx = store.begin().unwrap();
        tx.put_dir(place.path("dir"), &PutDirOptions::new().prune(prune).into_dir("in/")).unwrap();
        tx.commit("directory").unwrap()
    };
    let commit = put(false);
    assert_eq!((commit.put, commit.removed, commit.bytes), (1, 0, 1));
    assert_eq!(
        state(&store),
        files(&[("in/old", "1"), ("in/same", "1"), ("in/sub/new", "2"), ("outside", "1")])
    );
    let commit = put(true);
    assert_eq!((commit.put, commit.removed), (0, 1));
    assert_eq!(state(&store), files(&[("in/same", "1"), ("in/sub/new", "2"), ("outside", "1")]));
    assert!(!put(true).changed);
}

#[test]
fn a_source_that_is_no_regular_file_is_refused_by_name() {
    let (place, store) = Place::with_store();
    let put = |options: &PutDirOptions| {
        let mut tx = store.begin().unwrap();
        tx.put_dir(place.path("dir"), options).map(|_| tx.commit("directory").unwrap())
    };
    place.write("dir/good", "1");
    let bad = place.path("dir/bad");
    crate::support::fifo(&bad);
    assert!(refused(put(&PutDirOptions::new()), ErrorKind::Invalid).to_string().contains("FIFO"));
    crate::support::link(&bad, &place.path("dir/good"));
    assert!(refused(put(&PutDirOptions::new()), ErrorKind::Invalid).to_string().contains("symbolic link"));
    put(&PutDirOptions::new().follow_links(true)).unwrap();
    assert_eq!(state(&store), files(&[("bad", "1"), ("good", "1")]));
    crate::support::link(&bad, &place.path("dir"));
    let error = refused(put(&PutDirOptions::new().follow_links(true)), ErrorKind::Invalid);
    assert!(error.to_string().contains("link to a directory above it"), "{error}");
    crate::support::clear(&bad);
    place.write("dir/CON", "");
    let error = refused(put(&PutDirOptions::new()), ErrorKind::Invalid);
    assert_eq!(error.path(), Some("CON"));
    let con = place.path("dir/CON").display().to_string();
    assert!(error.to_string().starts_with(&con) && error.advice().contains("rename"), "{error:?}");
    crate::support::clear(&place.path("dir/CON"));
    Store::create(place.path("dir/nested")).unwrap();
    assert!(refused(put(&PutDirOptions::new()), ErrorKind::Invalid).to_string().contains("is a store"));
    let mut tx = store.begin().unwrap();
    refused(tx.put_dir(place.inside("data"), &PutDirOptions::new()), ErrorKind::Invalid);
    refused(tx.put_file("x", place.path("dir")), ErrorKind::Invalid);
    refused(tx.put_file("x", place.path("missing")), ErrorKind::Io);
    assert!(!tx.commit("nothing").unwrap().changed);
}

#[test]
fn a_directory_that_changes_while_it_is_read_is_refused() {
    let (place, store) = Place::with_store();
    place.write("dir/a", "1");
    place.write("dir/sub/b", "1");
    let late = place.path("dir/sub/late");
    let options = PutDirOptions::new().progress(move |_| fs::write(&late, "x").unwrap());
    let mut tx = store.begin().unwrap();
    let error = refused(tx.put_dir(place.path("dir"), &options), ErrorKind::Invalid);
    assert!(error.to_string().contains("while it was being read"), "{error}");
    assert!(error.advice().contains("stop the program that writes"), "{}", error.advice());
}

#[test]
fn files_rewritten_after_they_were_read_are_refused() {
    let (place, store) = Place::with_store();
    place.write("dir/a", "old");
    place.write("dir/z", "old");
    let both = [place.path("dir/a"), place.path("dir/z")];
    let rewrite = move |progress: &genstore::Progress| {
        if progress.files_done == 1 {
            both.iter().for_each(|file| fs::write(file, "new and longer").unwrap());
        }
    };
    let options = PutDirOptions::new().progress(rewrite);
    let mut tx = store.begin().unwrap();
    let error = refused(tx.put_dir(place.path("dir"), &options), ErrorKind::Invalid);
    assert!(error.to_string().contains("dir/a") && error.to_string().contains("written to"), "{error}");
}

#[test]
fn an_empty_directory_does_not_prune_everything() {
    let (place, store) = Place::with_store();
    save(&store, &[("a", "1")]);
    fs::create_dir(place.path("empty")).unwrap();
    let mut tx = store.begin().unwrap();
    let options = PutDirOptions::new().prune(true);
    let error = refused(tx.put_dir(place.path("empty"), &options), ErrorKind::Invalid);
    assert!(error.to_string().contains("would remove everything"), "{error}");
    assert!(error.advice().starts_with("name the directory that was meant"), "{}", error.advice());
    drop(tx);
    assert_eq!(state(&store), files(&[("a", "1")]));
}

#[test]
fn a_file_that_keeps_changing_while_it_is_read_is_refused() {
    let (place, store) = Place::with_store();
    let file = place.write("log", vec![b'x'; 4 << 20]);
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (file, done) = (file.clone(), Arc::clone(&done));
        move || {
            let mut log = fs::OpenOptions::new().append(true).open(file).unwrap();
            while !done.load(Ordering::Relaxed) {
                log.write_all(b"y").unwrap();
            }
        }
    });
    // The writer may sleep during a whole read, and the file has then not changed.
    let error = (0..1000).find_map(|_| store.begin().unwrap().put_file("log", &file).err());
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let error = error.expect("it was read while it was written to, and never refused");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("changed while it was being read"), "{error}");
    assert_eq!(names(&place.inside("staging")), Vec::<String>::new());
    let mut tx = store.begin().unwrap();
    tx.put_file("log", &file).unwrap();
    tx.commit("at rest").unwrap();
    assert_eq!(store.snapshot().unwrap().get("log").unwrap(), fs::read(&file).unwrap());
}

#[test]
fn a_value_that_does_not_read_back_is_refused() {
    #[derive(serde::Serialize)]
    struct Shop {
        name: &'static str,
        rate: Option<f64>,
    }
    let (place, store) = Place::with_store();
    let before = contents(&place.store());
    let mut tx = store.begin().unwrap();
    for rate in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let shops = vec![Shop { name: "Downtown", rate: None }, Shop { name: "Harbour", rate: Some(rate) }];
        let error = refused(tx.put_json("shops.json", &shops), ErrorKind::Invalid);
        assert_eq!(error.path(), Some("shops.json"));
        assert!(error.to_string().contains("JSON cannot express"), "{error}");
    }
    assert!(!tx.contains("shops.json").unwrap());
    assert!(!tx.commit("nothing").unwrap().changed);
    assert_same(&contents(&place.store()), &before);
    // An intended null is an ordinary value.
    let mut tx = store.begin().unwrap();
    tx.put_json("shops.json", &[Shop { name: "Downtown", rate: None }]).unwrap();
    tx.commit("null").unwrap();
    assert!(text(&store, "shops.json").contains("\"rate\": null"));
}

#[test]
fn a_directory_that_is_cancelled_is_put_in_part() {
    let (place, store) = Place::with_store();
    for name in ["dir/a", "dir/b", "dir/c"] {
        place.write(name, "1");
    }
    let flag = CancelFlag::new();
    let stop = flag.clone();
    let options = PutDirOptions::new().cancel(flag.clone()).progress(move |_| stop.cancel());
    let mut tx = store.begin().unwrap();
    assert!(tx.put_dir(place.path("dir"), &options).unwrap_err().is_interrupted());
    assert!(tx.contains("a").unwrap() && !tx.contains("b").unwrap());
    assert!(tx.put_dir(place.path("dir"), &options).unwrap_err().is_interrupted(), "before it is looked at");
    flag.reset();
    assert_eq!(tx.put_dir(place.path("dir"), &PutDirOptions::new().cancel(flag)).unwrap().files, 3);
}
