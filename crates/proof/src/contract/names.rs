//! What each operation does with each sort of name.

use std::io::{self, ErrorKind as K};

use super::{on_both, read, tree, write};
use crate::fs::LockMode;
use crate::fs::{Access, DirEntry, FileKind, Fs};

/// A file, a directory with a file in it, and an empty one.
fn fill(fs: &dyn Fs) {
    write(fs, "file", "old");
    write(fs, "other", "other");
    assert!(fs.create_dir("dir").unwrap());
    write(fs, "dir/inner", "inner");
    assert!(fs.create_dir("empty").unwrap());
}

/// The sorts of names: a file, a directory that is not empty, nothing, something in a directory
/// that is missing, something below a file, no name at all, a name that is too long, and something
/// below such a name.
fn names() -> [String; 8] {
    let long = "x".repeat(256);
    let below = format!("{long}/x");
    ["file", "dir", "new", "missing/x", "file/x", "", &long, &below].map(str::to_owned)
}

type Outcome = Result<&'static str, K>;

/// What an operation does with each of the names.
type Row = (&'static str, fn(&dyn Fs, &str) -> io::Result<&'static str>, [Outcome; 8]);

type Rename = fn(&dyn Fs, &str, &str) -> io::Result<()>;

const DONE: Outcome = Ok("done");
const MISSING: Outcome = Err(K::NotFound);
const TAKEN: Outcome = Err(K::AlreadyExists);
/// The name belongs to something else than the store would have created.
const FOREIGN: Outcome = Err(K::InvalidData);
const LONG: Outcome = Err(K::InvalidFilename);
const DIRECTORY: Outcome = Err(K::IsADirectory);

fn done<T>(_: T) -> &'static str {
    "done"
}

fn table() -> Vec<Row> {
    vec![
        (
            "create",
            |fs, path| fs.create(path, Access::ReadOnly).map(done),
            [TAKEN, TAKEN, DONE, MISSING, FOREIGN, MISSING, LONG, LONG],
        ),
        (
            "open",
            |fs, path| fs.open(path).map(done),
            [DONE, FOREIGN, MISSING, MISSING, FOREIGN, MISSING, LONG, LONG],
        ),
        (
            "stat",
            |fs, path| {
                Ok(fs.stat(path)?.map_or("nothing", |stat| match stat.kind {
                    FileKind::File => "a file",
                    FileKind::Directory => "a directory",
                    FileKind::Other => "something else",
                }))
            },
            [
                Ok("a file"),
                Ok("a directory"),
                Ok("nothing"),
                Ok("nothing"),
                FOREIGN,
                Ok("nothing"),
                LONG,
                LONG,
            ],
        ),
        (
            "create_dir",
            |fs, path| Ok(if fs.create_dir(path)? { "created" } else { "was there" }),
            [Ok("was there"), Ok("was there"), Ok("created"), MISSING, FOREIGN, MISSING, LONG, LONG],
        ),
        (
            "remove",
            |fs, path| fs.remove(path).map(done),
            [DONE, DIRECTORY, MISSING, MISSING, FOREIGN, MISSING, LONG, LONG],
        ),
        (
            "remove_dir",
            |fs, path| fs.remove_dir(path).map(done),
            [
                Err(K::NotADirectory),
                Err(K::DirectoryNotEmpty),
                MISSING,
                MISSING,
                FOREIGN,
                MISSING,
                LONG,
                LONG,
            ],
        ),
        (
            "list",
            |fs, path| fs.list(path).map(done),
            [FOREIGN, DONE, MISSING, MISSING, FOREIGN, DONE, LONG, LONG],
        ),
        (
            "sync_dir",
            |fs, path| fs.sync_dir(path).map(done),
            [FOREIGN, DONE, MISSING, MISSING, FOREIGN, DONE, LONG, LONG],
        ),
        (
            "try_lock",
            |fs, path| fs.try_lock(path, LockMode::Shared).map(|lock| lock.map_or("held", done)),
            [DONE, FOREIGN, DONE, MISSING, FOREIGN, MISSING, LONG, LONG],
        ),
        (
            "remove_locked with the lock of another file",
            |fs, path| fs.remove_locked(path, &*fs.try_lock("other", LockMode::Shared)?.unwrap()).map(done),
            [DONE, DONE, MISSING, MISSING, FOREIGN, MISSING, LONG, LONG],
        ),
        (
            "rename to",
            |fs, path| fs.rename("other", path).map(done),
            [DONE, DIRECTORY, DONE, MISSING, FOREIGN, MISSING, LONG, LONG],
        ),
        (
            "rename_new to",
            |fs, path| fs.rename_new("other", path).map(done),
            [TAKEN, TAKEN, DONE, MISSING, FOREIGN, MISSING, LONG, LONG],
        ),
        (
            "rename of what is missing to",
            |fs, path| fs.rename("nothing", path).map(done),
            [MISSING, MISSING, MISSING, MISSING, FOREIGN, MISSING, MISSING, LONG],
        ),
        (
            "rename_new of what is missing to",
            |fs, path| fs.rename_new("nothing", path).map(done),
            [MISSING, MISSING, MISSING, MISSING, FOREIGN, MISSING, MISSING, LONG],
        ),
    ]
}

#[test]
fn every_operation_on_every_sort_of_name() {
    for (number, name) in names().iter().enumerate() {
        for (operation, call, expected) in table() {
            on_both(|fs| {
                fill(fs);
                let before = tree(fs);
                let outcome = call(fs, name).map_err(|error| error.kind());
                assert_eq!(outcome, expected[number], "{operation} {name:?}");
                if outcome.is_err() {
                    assert_eq!(tree(fs), before, "{operation} {name:?} failed and changed something");
                }
            });
        }
    }
}

/// Renames from each sort of name.
#[test]
fn what_can_be_renamed() {
    let expected = [DONE, DONE, MISSING, MISSING, FOREIGN, MISSING, LONG, LONG];
    let ways: [Rename; 2] = [|fs, from, to| fs.rename(from, to), |fs, from, to| fs.rename_new(from, to)];
    for (name, expected) in names().iter().zip(expected) {
        // No commit renames a directory where that must not replace anything.
        for way in ways.into_iter().take(if name == "dir" { 1 } else { 2 }) {
            on_both(|fs| {
                fill(fs);
                assert_eq!(
                    way(fs, name, "target").map(done).map_err(|error| error.kind()),
                    expected,
                    "{name:?}"
                );
                // The directory of the first name is looked up first, whatever is wrong with the
                // second name.
                let outcome = way(fs, "missing/x", "other/x").map(done).map_err(|error| error.kind());
                assert_eq!(outcome, MISSING);
                let outcome = way(fs, "other/x", "missing/x").map(done).map_err(|error| error.kind());
                assert_eq!(outcome, FOREIGN);
            });
        }
    }
}

#[test]
fn a_rename_replaces_and_leaves_one_name() {
    on_both(|fs| {
        fill(fs);
        fs.rename("other", "dir/inner").unwrap();
        assert_eq!(read(fs, "dir/inner"), b"other");
        assert_eq!(fs.stat("other").unwrap(), None);
        fs.rename("dir/inner", "dir/inner").unwrap();
        assert_eq!(read(fs, "dir/inner"), b"other");
        assert_eq!(fs.rename_new("file", "file").unwrap_err().kind(), K::AlreadyExists);
        assert_eq!(fs.rename_new("file", "dir/inner").unwrap_err().kind(), K::AlreadyExists);
        assert_eq!((read(fs, "file"), read(fs, "dir/inner")), (b"old".to_vec(), b"other".to_vec()));
        fs.rename_new("file", "empty/file").unwrap();
        assert_eq!(read(fs, "empty/file"), b"old");
        assert_eq!(fs.stat("file").unwrap(), None);
    });
}

#[test]
fn a_directory_is_renamed_with_all_in_it_and_replaces_only_an_empty_one() {
    on_both(|fs| {
        fill(fs);
        let rename = |from, to| fs.rename(from, to).map(done).map_err(|error| error.kind());
        let cases = [
            ("dir", "file", Err(K::NotADirectory)),
            ("empty", "dir", Err(K::DirectoryNotEmpty)),
            ("dir", "dir/below", Err(K::InvalidInput)),
            ("dir/inner", "dir", Err(K::DirectoryNotEmpty)),
            ("dir", "missing/x", MISSING),
            ("dir", "dir", DONE),
            ("dir", "empty", DONE),
            ("empty", "new", DONE),
        ];
        for (from, to, expected) in cases {
            assert_eq!(rename(from, to), expected, "{from} to {to}");
        }
        assert_eq!(read(fs, "new/inner"), b"inner");
        assert_eq!((fs.stat("dir").unwrap(), fs.stat("empty").unwrap()), (None, None));
        write(fs, "new/later", "later");
        assert_eq!(fs.list("new").unwrap().len(), 2);
    });
}

#[test]
fn names_that_are_removed_are_free_again() {
    on_both(|fs| {
        fill(fs);
        fs.remove("dir/inner").unwrap();
        assert_eq!(fs.remove("dir/inner").unwrap_err().kind(), K::NotFound);
        fs.remove_dir("dir").unwrap();
        assert_eq!(fs.list("dir").unwrap_err().kind(), K::NotFound);
        assert_eq!(fs.sync_dir("dir").unwrap_err().kind(), K::NotFound);
        assert!(fs.create_dir("dir").unwrap());
        assert!(!fs.create_dir("dir").unwrap());
        assert_eq!(fs.list("dir").unwrap(), []);
        fs.remove_dir("dir").unwrap();
        write(fs, "dir", "a file now");
        assert!(!fs.create_dir("dir").unwrap(), "something has this name");
        assert_eq!(read(fs, "dir"), b"a file now");
    });
}

#[test]
fn a_directory_is_listed_in_the_order_of_bytes() {
    on_both(|fs| {
        for name in ["b", "a.b", "a", "Z", "é", "z", "a-b", "0"] {
            write(fs, name, "");
        }
        assert!(fs.create_dir("a!").unwrap());
        let listed = |name: &str| DirEntry { name: name.into(), is_directory: name == "a!", is_utf8: true };
        let expected = ["0", "Z", "a", "a!", "a-b", "a.b", "b", "z", "é"].map(listed);
        assert_eq!(fs.list("").unwrap(), expected);
        assert_eq!(fs.list("a!").unwrap(), []);
    });
}

#[test]
fn a_name_of_255_bytes_is_not_too_long_and_a_path_of_4096_is() {
    on_both(|fs| {
        let name = "n".repeat(255);
        write(fs, &name, "long");
        assert_eq!(read(fs, &name), b"long");
        let path = format!("{}x", "d/".repeat(2048));
        assert_eq!(fs.open(&path).map(done).map_err(|error| error.kind()), MISSING);
        let path = format!("{}/x", "d/".repeat(2048));
        assert_eq!(fs.open(&path).map(done).map_err(|error| error.kind()), LONG);
    });
}
