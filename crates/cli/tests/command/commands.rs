//! Each command does its work and reports it.

use std::fs;

use crate::sandbox::{Sandbox, finish, quiet, tree};

/// Generation 1 is empty, 2 has three files, and 3 changes one of them and removes one.
fn three_generations() -> Sandbox {
    let sandbox = Sandbox::with_store();
    sandbox.write("in/stores/downtown.json", "{\"open\":\"09:00\"}\n");
    sandbox.write("in/stores/closed.json", "{}\n");
    sandbox.write("in/index.txt", "downtown\nclosed\n");
    sandbox.ok(&["commit", "in", "-m", "first import", "--author", "anna"]);
    fs::remove_file(sandbox.path("in/stores/closed.json")).unwrap();
    sandbox.write("in/stores/downtown.json", "{\"open\":\"10:00\"}\n");
    sandbox.ok(&["commit", "in", "-m", "the shop closed", "--prune", "--author", "ben"]);
    sandbox
}

#[test]
fn init_creates_an_empty_store() {
    let sandbox = Sandbox::new();
    let said = sandbox.ok(&["init"]);
    assert!(said.starts_with("generation 1: an empty store, "), "{said}");
    assert!(sandbox.store().join("CURRENT").is_file());
    assert_eq!(sandbox.ok(&["ls"]), "");
    assert!(sandbox.fails(7, &["init"]).contains("is a store already"));
}

#[test]
fn init_refuses_a_directory_with_something_in_it() {
    let sandbox = Sandbox::new();
    sandbox.write("store/mine.txt", "mine");
    assert!(sandbox.fails(7, &["init"]).contains("is not empty"));
    assert_eq!(tree(&sandbox.store()).len(), 1);
}

#[test]
fn quiet_says_nothing_when_all_went_well() {
    let sandbox = Sandbox::new();
    for words in [&["--quiet", "init"][..], &["put", "a", "-m", "m", "--quiet"], &["verify", "--quiet"]] {
        let run = sandbox.run(words);
        assert_eq!((run.code, run.stdout.as_slice(), run.stderr.as_str()), (0, &b""[..], ""), "{words:?}");
    }
}

#[test]
fn commit_counts_what_it_did_and_does_nothing_twice() {
    let sandbox = Sandbox::with_store();
    sandbox.write("in/a.txt", "alpha");
    sandbox.write("in/sub/b.txt", "beta");
    assert_eq!(sandbox.ok(&["commit", "in", "-m", "one"]), "generation 2: 2 files put, 0 removed, 9 bytes\n");
    assert_eq!(
        sandbox.ok(&["commit", "in", "-m", "again"]),
        "nothing changed: generation 2 holds this state already\n"
    );
    sandbox.write("in/a.txt", "ALPHA!");
    fs::remove_dir_all(sandbox.path("in/sub")).unwrap();
    assert_eq!(sandbox.ok(&["commit", "in", "-m", "two"]), "generation 3: 1 file put, 0 removed, 6 bytes\n");
    assert_eq!(sandbox.ok(&["cat", "sub/b.txt"]), "beta");
    let pruned = sandbox.ok(&["commit", "in", "--prune", "-m", "three"]);
    assert!(pruned.starts_with("generation 4: 0 files put, 1 removed, "), "{pruned}");
    assert!(sandbox.fails(3, &["cat", "sub/b.txt"]).contains("sub/b.txt is not in generation 4"));
}

#[test]
fn commit_creates_the_store_only_when_asked() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.txt", "alpha");
    assert!(sandbox.fails(3, &["commit", "in", "-m", "one"]).contains("there is no store"));
    assert!(!sandbox.store().exists());
    sandbox.ok(&["commit", "in", "--init", "-m", "one"]);
    sandbox.ok(&["commit", "in", "--init", "-m", "two"]);
    assert_eq!(sandbox.ok(&["cat", "a.txt"]), "alpha");
}

#[test]
fn commit_into_a_directory_prunes_that_directory_only() {
    let sandbox = Sandbox::with_store();
    sandbox.put("keep.txt", "keep");
    sandbox.put("shops/old.txt", "old");
    sandbox.write("in/new.txt", "new");
    sandbox.ok(&["commit", "in", "--into", "shops", "--prune", "-m", "shops"]);
    let paths: Vec<_> =
        sandbox.json(&["ls"]).iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(paths, ["keep.txt", "shops/new.txt"]);
}

#[test]
fn put_reads_a_file_or_standard_input() {
    let sandbox = Sandbox::with_store();
    sandbox.write("in.bin", [0, 255, 10, 13, 0]);
    assert_eq!(
        sandbox.ok(&["put", "a.bin", "in.bin", "-m", "file"]),
        "generation 2: 1 file put, 0 removed, 5 bytes\n"
    );
    for words in [&["put", "b.bin", "-m", "none"][..], &["put", "c.bin", "-", "-m", "dash"]] {
        let input = fs::File::open(sandbox.path("in.bin")).unwrap();
        assert_eq!(finish(sandbox.command(words).stdin(input)).code, 0);
    }
    for path in ["a.bin", "b.bin", "c.bin"] {
        assert_eq!(sandbox.run(&["cat", path]).stdout, [0, 255, 10, 13, 0], "{path}");
    }
}

#[test]
fn rm_removes_all_or_nothing() {
    let sandbox = three_generations();
    assert!(sandbox.fails(3, &["rm", "index.txt", "nosuch", "-m", "gone"]).contains("nosuch"));
    assert_eq!(sandbox.ok(&["cat", "index.txt"]), "downtown\nclosed\n");
    let said = sandbox.ok(&["rm", "index.txt", "stores/downtown.json", "index.txt", "-m", "gone"]);
    assert!(said.starts_with("generation 4: 0 files put, 2 removed, "), "{said}");
    assert_eq!(sandbox.ok(&["ls"]), "");
    assert_eq!(sandbox.ok(&["cat", "index.txt", "--at", "3"]), "downtown\nclosed\n");
}

#[test]
fn cat_prints_the_bytes_of_any_generation() {
    let sandbox = three_generations();
    for (revision, bytes) in [("latest", "10:00"), ("3", "10:00"), ("2", "09:00"), ("latest~1", "09:00")] {
        let printed = sandbox.ok(&["cat", "stores/downtown.json", "--at", revision]);
        assert_eq!(printed, format!("{{\"open\":\"{bytes}\"}}\n"), "{revision}");
    }
}

#[test]
fn ls_lists_by_prefix() {
    let sandbox = three_generations();
    assert_eq!(
        sandbox.ok(&["ls"]),
        "          16       2  index.txt\n          17       3  stores/downtown.json\n"
    );
    assert_eq!(sandbox.ok(&["ls", "stores/", "--at", "2"]).lines().count(), 2);
    assert_eq!(sandbox.ok(&["ls", "stores/d"]), "          17       3  stores/downtown.json\n");
    assert_eq!(sandbox.ok(&["ls", "nothing"]), "");
}

#[test]
fn export_gives_back_the_directory_and_overwrites_nothing() {
    let sandbox = three_generations();
    assert_eq!(sandbox.ok(&["export", "out"]), "generation 3: 2 files, 33 bytes, written to out\n");
    assert_eq!(tree(&sandbox.path("out")), tree(&sandbox.path("in")));
    sandbox.ok(&["export", "old", "--at", "2"]);
    assert_eq!(fs::read(sandbox.path("old/stores/closed.json")).unwrap(), b"{}\n");
    assert_eq!(fs::read(sandbox.path("old/stores/downtown.json")).unwrap(), b"{\"open\":\"09:00\"}\n");
    let before = tree(&sandbox.path("out"));
    assert!(sandbox.fails(7, &["export", "out", "--at", "2"]).contains("not empty"));
    assert_eq!(tree(&sandbox.path("out")), before);
}

#[test]
fn export_refuses_the_directory_that_you_are_in() {
    let sandbox = three_generations();
    let here = sandbox.path("here");
    fs::create_dir(&here).unwrap();
    std::os::unix::fs::symlink("here", sandbox.path("link")).unwrap();
    let before = sandbox.names();
    for dir in [".", "", "../here", "../link/"].map(|name| here.join(name)).iter().chain([&".".into()]) {
        let run = finish(sandbox.command(&["export"]).arg(dir).current_dir(&here));
        assert_eq!(run.code, 7, "{dir:?}: {}", run.stderr);
        assert!(
            run.stderr.contains("works in") && run.stderr.contains("name a new directory"),
            "{}",
            run.stderr
        );
        assert!(tree(&here).is_empty(), "{dir:?}");
        assert_eq!(sandbox.names(), before, "{dir:?}");
    }
    let run = finish(sandbox.command(&["export", "new"]).current_dir(&here));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(tree(&here.join("new")), tree(&sandbox.path("in")));
}

#[test]
fn log_is_one_line_for_each_generation() {
    let sandbox = three_generations();
    let log = sandbox.ok(&["log"]);
    let lines: Vec<Vec<_>> = log.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert_eq!([lines[0][0], lines[0][2], lines[0][3], lines[0][4]], ["3", "ben", "+1", "-1"]);
    assert_eq!(lines[0][5..].join(" "), "the shop closed");
    assert_eq!([lines[1][0], lines[1][2], lines[1][3], lines[1][4]], ["2", "anna", "+3", "-0"]);
    assert_eq!(lines[1][1].len(), "2026-11-22T10:00:00Z".len());
    assert_eq!(sandbox.ok(&["log", "-n", "1"]).lines().count(), 1);
    let of_one: Vec<_> =
        sandbox.ok(&["log", "stores/closed.json"]).lines().map(|line| line[..1].to_owned()).collect();
    assert_eq!(of_one, ["3", "2"]);
    assert!(sandbox.fails(3, &["log", "nosuch"]).contains("nosuch"));
}

#[test]
fn log_fits_80_columns() {
    let sandbox = Sandbox::with_store();
    sandbox.write("a", "1");
    let long = "word ".repeat(60);
    sandbox.ok(&["put", "a", "a", "-m", &long, "--author", "an author with a very long name"]);
    sandbox.write("a", "2");
    sandbox.ok(&[
        "put",
        "a",
        "a",
        "-m",
        "設定を変更しました、とても長いメッセージで説明しています、まだ終わりません",
    ]);
    sandbox.write("a", "3");
    sandbox.ok(&["put", "a", "a", "-m", "a title\n\nand a body\u{7}\u{1b}[31m"]);
    let log = sandbox.ok(&["log"]);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[0].ends_with("  a title …"), "{log}");
    assert!(lines[1].ends_with('…') && lines[1].contains("設定を変更"), "{log}");
    assert!(lines[2].ends_with('…') && lines[2].contains("an auth…"), "{log}");
    assert_eq!(lines[2].chars().count(), 80, "{log}");
    for line in lines {
        let columns: usize =
            line.chars().map(|letter| if letter < '\u{1100}' || letter == '…' { 1 } else { 2 }).sum();
        assert!(columns <= 80, "{columns}: {line}");
    }
    let shown = sandbox.ok(&["show", "latest"]);
    assert!(shown.contains("    a title\n    \n    and a body\\u{7}\\u{1b}[31m\n"), "{shown}");
}

#[test]
fn show_names_every_path() {
    let sandbox = three_generations();
    let shown = sandbox.ok(&["show", "3"]);
    assert!(shown.starts_with("generation 3 (commit)\ntime      20"), "{shown}");
    assert!(shown.contains("\nauthor    ben\nparent    2\nmanifest  "), "{shown}");
    assert!(shown.contains("\nholds     2 files, 33 bytes\n"), "{shown}");
    assert!(
        shown.ends_with("\n    the shop closed\n\n+ stores/downtown.json\n- stores/closed.json\n"),
        "{shown}"
    );
    assert!(sandbox.ok(&["show", "1"]).contains("\nparent    none\n"));
}

#[test]
fn rollback_whole_in_part_and_to_the_present_state() {
    let sandbox = three_generations();
    let said = sandbox.ok(&["rollback", "2", "stores/downtown.json", "-m", "earlier after all"]);
    assert!(said.starts_with("generation 4: 1 file put, 0 removed, "), "{said}");
    assert_eq!(sandbox.ok(&["cat", "stores/downtown.json"]), "{\"open\":\"09:00\"}\n");
    assert!(sandbox.fails(3, &["cat", "stores/closed.json"]).contains("stores/closed.json"));
    let said = sandbox.ok(&["rollback", "2", "-m", "all of it"]);
    assert!(said.starts_with("generation 5: 1 file put, 0 removed, "), "{said}");
    assert_eq!(sandbox.ok(&["cat", "stores/closed.json"]), "{}\n");
    assert_eq!(
        sandbox.ok(&["rollback", "2", "-m", "once more"]),
        "nothing changed: generation 5 holds this state already\n"
    );
    let log = sandbox.ok(&["log", "-n", "1"]);
    assert!(log.contains("  [rollback] all of it\n") && log.contains("  tester  "), "{log}");
    sandbox.ok(&["rollback", "3", "stores/*.json", "-m", "by pattern"]);
    assert_eq!(sandbox.ok(&["cat", "stores/downtown.json"]), "{\"open\":\"10:00\"}\n");
}

#[test]
fn status_says_where_the_store_stands() {
    let sandbox = three_generations();
    let status = sandbox.ok(&["status"]);
    let lines: Vec<_> = status.lines().collect();
    assert!(lines[0].starts_with("store       "), "{status}");
    assert!(lines[1].starts_with("generation  3, 20"), "{status}");
    assert_eq!(
        lines[2..],
        ["message     the shop closed", "holds       2 files, 33 bytes", "health      ok"]
    );
}

#[test]
fn status_explains_an_interrupted_commit() {
    let sandbox = three_generations();
    // A crash leaves such a file: bytes under a number that was never committed.
    fs::write(sandbox.store().join("data/index.txt.g4"), "half an ed").unwrap();
    let status = sandbox.ok(&["status"]);
    assert!(status.contains("\ninterrupted 4\n"), "{status}");
    assert!(status.contains("nothing deletes them"), "{status}");
    assert_eq!(sandbox.one_json(&["status"])["interrupted"], serde_json::json!([4]));
    let verified = sandbox.ok(&["verify", "--all"]);
    assert!(verified.lines().any(|line| line.contains("interrupted_commit")), "{verified}");
    assert!(verified.ends_with("read\n") && verified.contains("\nok: "), "{verified}");
    // The next commit skips the number, and the file stays.
    sandbox.put("index.txt", "a whole edit");
    assert_eq!(sandbox.one_json(&["status"])["generation"], 5);
    assert_eq!(sandbox.ok(&["cat", "index.txt"]), "a whole edit");
    assert_eq!(fs::read(sandbox.store().join("data/index.txt.g4")).unwrap(), b"half an ed");
    // `status` names only those above the latest generation. `verify --all` names all.
    assert_eq!(sandbox.one_json(&["status"])["interrupted"], serde_json::json!([]));
    assert!(sandbox.ok(&["verify", "--all"]).contains("interrupted_commit  -  generation 4"));
}

#[test]
fn many_notes_of_one_kind_are_cut_and_errors_are_not() {
    let sandbox = three_generations();
    let findings = |words: &[&str]| sandbox.one_json(words)["findings"].as_array().unwrap().len();
    for number in 0..5 {
        fs::write(sandbox.store().join(format!("staging/{number:032x}")), "x").unwrap();
    }
    assert_eq!(sandbox.ok(&["verify", "--all"]).lines().count(), 6);
    fs::write(sandbox.store().join(format!("staging/{:032x}", 5)), "x").unwrap();
    fs::write(sandbox.store().join(format!("staging/{:032x}", 6)), "x").unwrap();
    fs::write(sandbox.store().join("data/index.txt.g4"), "half an ed").unwrap();
    let all = sandbox.ok(&["verify", "--all"]);
    let lines: Vec<_> = all.lines().collect();
    assert!(lines[0].starts_with("note     interrupted_commit  "), "{all}");
    assert!(lines[1..6].iter().all(|line| line.starts_with("note     orphan  staging/")), "{all}");
    assert_eq!(lines[6], "         and 2 more of this kind; --json lists all");
    assert_eq!(lines.len(), 8, "{all}");
    assert_eq!(findings(&["verify", "--all"]), 8);

    for number in 0..7 {
        sandbox.put(&format!("f{number}"), "x");
        fs::remove_file(sandbox.store().join(format!("data/f{number}.g{}", number + 4))).unwrap();
    }
    let damaged = sandbox.ok_code(5, &["verify"]);
    assert_eq!(damaged.matches("file_missing").count(), 7, "{damaged}");
    assert!(!damaged.contains("more of this kind"), "{damaged}");
}

#[test]
fn verify_counts_what_it_read() {
    let sandbox = three_generations();
    assert_eq!(sandbox.ok(&["verify"]), "ok: 1 generation, 2 files, 33 bytes read\n");
    assert!(sandbox.ok(&["verify", "--quick"]).ends_with("looked at; contents not read\n"));
    let all = sandbox.ok(&["verify", "--all"]);
    assert!(all.starts_with("ok: 3 generations, "), "{all}");
    assert!(sandbox.ok(&["verify", "--at", "2"]).starts_with("ok: 1 generation, 3 files, "));
}

#[test]
fn the_store_may_come_from_the_environment_and_the_flag_wins() {
    let sandbox = three_generations();
    let from_environment = finish(sandbox.bare().arg("status").env("GENSTORE_STORE", sandbox.store()));
    assert_eq!((from_environment.code, quiet(&from_environment.stderr)), (0, ""));
    let flag =
        finish(sandbox.bare().args(["status", "--store", "nowhere"]).env("GENSTORE_STORE", sandbox.store()));
    assert_eq!(flag.code, 3);
    let neither = finish(sandbox.bare().arg("status").env("GENSTORE_STORE", ""));
    assert_eq!(neither.code, 2);
    assert!(
        neither.stderr.contains("--store DIR") && neither.stderr.contains("GENSTORE_STORE"),
        "{}",
        neither.stderr
    );
}

#[test]
fn the_author_is_the_user_or_unknown() {
    let sandbox = Sandbox::with_store();
    sandbox.write("a", "1");
    finish(&mut sandbox.command(&["put", "a", "a", "-m", "by the user"]));
    sandbox.write("a", "2");
    finish(
        sandbox.command(&["put", "a", "a", "-m", "without a user"]).env_remove("USER").env_remove("USERNAME"),
    );
    let authors: Vec<_> =
        sandbox.json(&["log", "-n", "2"]).iter().map(|entry| entry["author"].clone()).collect();
    assert_eq!(authors, ["unknown", "tester"]);
}
