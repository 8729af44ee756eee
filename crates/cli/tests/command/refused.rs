//! Input that a store refuses, each with its own message, and stores that cannot be written.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::sandbox::{Sandbox, assert_sentence, finish, tree};

/// A store with one file, and a directory `in` with another.
fn ready() -> Sandbox {
    let sandbox = Sandbox::with_store();
    sandbox.put("kept.txt", "kept");
    sandbox.write("in/good.txt", "good");
    sandbox
}

/// Fails unless `commit in` is refused with a sentence that has these words, and the store stays as
/// it was.
#[track_caller]
fn refused(sandbox: &Sandbox, said: &[&str]) {
    let before = sandbox.store_bytes();
    let sentence = sandbox.fails(7, &["commit", "in", "-m", "m"]);
    for words in said {
        assert!(sentence.contains(words), "{words}: {sentence}");
    }
    assert_eq!(sandbox.store_bytes(), before, "the store changed");
}

#[test]
fn a_name_that_is_not_utf8() {
    let sandbox = ready();
    sandbox.write(OsStr::from_bytes(b"in/caf\xe9.txt"), "latin-1");
    refused(&sandbox, &["UTF-8"]);
}

#[test]
fn a_symbolic_link_unless_asked_to_follow() {
    let sandbox = ready();
    sandbox.write("elsewhere.txt", "elsewhere");
    symlink("../elsewhere.txt", sandbox.path("in/link.txt")).unwrap();
    refused(&sandbox, &["link.txt", "symbolic link", "--follow-links"]);
    sandbox.ok(&["commit", "in", "-m", "m", "--follow-links"]);
    assert_eq!(sandbox.ok(&["cat", "link.txt"]), "elsewhere");
}

#[test]
fn a_fifo() {
    let sandbox = ready();
    let created = std::process::Command::new("mkfifo").arg(sandbox.path("in/pipe")).status().unwrap();
    assert!(created.success());
    refused(&sandbox, &["pipe", "FIFO", "move it out of the directory: a store holds regular files only"]);
    let said = sandbox.fails(7, &["put", "a", "in/pipe", "-m", "m"]);
    assert!(said.contains("leave FILE out and give the bytes on standard input"), "{said}");
}

#[test]
fn a_socket() {
    let sandbox = ready();
    let _listener = UnixListener::bind(sandbox.path("in/socket")).unwrap();
    refused(&sandbox, &["socket", "a store holds regular files only"]);
}

#[test]
fn names_that_other_systems_cannot_hold() {
    for (name, rule) in [("in/nul.txt", "nul.txt"), ("in/a:b", ":"), ("in/dot.", "dot."), ("in/x.g7", ".g")] {
        let sandbox = ready();
        sandbox.write(name, "x");
        refused(
            &sandbox,
            &[rule, &format!("genstore: {name} cannot be committed"), "rename it, or leave it out"],
        );
    }
}

#[test]
fn two_names_that_differ_only_in_case() {
    let sandbox = ready();
    sandbox.write("in/Good.txt", "other");
    if fs::read_dir(sandbox.path("in")).unwrap().count() == 2 {
        refused(&sandbox, &["good.txt", "Good.txt", "case"]);
    }
}

#[test]
fn the_store_itself() {
    let sandbox = Sandbox::with_store();
    let before = sandbox.store_bytes();
    assert!(sandbox.fails(7, &["commit", ".", "-m", "m"]).contains("store"));
    assert!(sandbox.fails(7, &["commit", "store", "-m", "m"]).contains("store"));
    assert_eq!(sandbox.store_bytes(), before);
}

#[test]
fn a_directory_that_is_not_there_or_is_a_file() {
    let sandbox = ready();
    let before = sandbox.store_bytes();
    for (code, words) in [
        (1, &["commit", "nowhere", "-m", "m"][..]),
        (7, &["commit", "in/good.txt", "-m", "m"]),
        (1, &["put", "a", "nowhere", "-m", "m"]),
    ] {
        let sentence = sandbox.fails(code, words);
        assert!(sentence.contains("nowhere") || sentence.contains("in/good.txt"), "{sentence}");
    }
    assert_eq!(sandbox.store_bytes(), before);
}

#[test]
fn put_commits_regular_files_only() {
    let sandbox = ready();
    for (what, said) in [("in", "directory"), ("/dev/zero", "device")] {
        let sentence = sandbox.fails(7, &["put", "a", what, "-m", "m"]);
        assert!(sentence.contains(said), "{what}: {sentence}");
    }
}

#[test]
fn an_unreadable_file() {
    let sandbox = ready();
    let secret = sandbox.write("in/secret.txt", "secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    open_to_all(&sandbox);
    let before = sandbox.store_bytes();
    let run = finish(&mut sandbox.unprivileged(&["commit", "in", "-m", "m"]));
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_sentence(&run.stderr);
    assert!(run.stderr.contains("secret.txt") && run.stderr.contains("ermission denied"), "{}", run.stderr);
    assert_eq!(sandbox.store_bytes(), before);
}

#[test]
fn a_stored_file_without_permission_hides_no_damage() {
    let sandbox = ready();
    sandbox.put("a.txt", "secret");
    sandbox.put("b.txt", "damaged");
    open_to_all(&sandbox);
    let file = |name: &str| sandbox.store().join("data").join(name);
    fs::set_permissions(file("a.txt.g3"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::write(file("b.txt.g4"), "DAMAGED").unwrap();
    let verify = finish(&mut sandbox.unprivileged(&["verify", "--all"]));
    let printed = String::from_utf8(verify.stdout).unwrap();
    assert_eq!(verify.code, 5, "{}", verify.stderr);
    for (kind, path) in [("file_unreadable", "a.txt"), ("file_damaged", "b.txt")] {
        let line = printed.lines().find(|line| line.contains(kind)).unwrap_or(&printed);
        assert!(line.contains("error") && line.contains(path), "{line}");
    }
    let parent = sandbox.path("out");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o777)).unwrap();
    let out = parent.join("files");
    let words = ["export", out.to_str().unwrap()];
    assert_eq!(finish(&mut sandbox.unprivileged(&words)).code, 1);
    let run = finish(&mut sandbox.unprivileged(&[&words[..], &["--skip-damaged"]].concat()));
    assert_eq!(run.code, 5, "{}", run.stderr);
    assert!(run.stderr.contains("a.txt") && run.stderr.contains("b.txt"), "{}", run.stderr);
    assert_eq!(tree(&out).into_keys().collect::<Vec<_>>(), [Path::new("kept.txt")]);
}

#[test]
fn a_read_only_store_can_be_read_but_not_written() {
    let sandbox = ready();
    for (name, bytes) in tree(&sandbox.store()) {
        let mode = if bytes.is_none() { 0o555 } else { 0o444 };
        fs::set_permissions(sandbox.store().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(sandbox.store(), fs::Permissions::from_mode(0o555)).unwrap();
    let before = sandbox.store_bytes();
    for words in [
        &["cat", "kept.txt"][..],
        &["ls"],
        &["log"],
        &["show", "2"],
        &["diff", "1", "2"],
        &["status"],
        &["verify"],
    ] {
        let run = finish(&mut sandbox.unprivileged(words));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{words:?}");
    }
    let run = finish(&mut sandbox.unprivileged(&["commit", "in", "-m", "m"]));
    assert_eq!((run.code, run.stdout.as_slice()), (1, &b""[..]), "{}", run.stderr);
    assert_sentence(&run.stderr);
    assert!(run.stderr.contains("ermission denied"), "{}", run.stderr);
    assert_eq!(sandbox.store_bytes(), before);
    fs::set_permissions(sandbox.store(), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Lets the other user write to the store, so that only the thing under test stops the command.
fn open_to_all(sandbox: &Sandbox) {
    for (name, bytes) in tree(&sandbox.store()) {
        let mode = if bytes.is_none() { 0o777 } else { 0o666 };
        fs::set_permissions(sandbox.store().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(sandbox.store(), fs::Permissions::from_mode(0o777)).unwrap();
}
