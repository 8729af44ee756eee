//! The exit codes and their sentences.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::sandbox::{Sandbox, assert_sentence, finish, flip, run_of, tree};

#[test]
fn usage_is_2() {
    let sandbox = Sandbox::new();
    for (words, said) in [
        (&[][..], "requires a subcommand"),
        (&["lgo"], "lgo"),
        (&["log", "--nosuch"], "--nosuch"),
        (&["put", "a"], "--message"),
        (&["rm", "-m", "x"], "PATH"),
        (&["verify", "--all", "--at", "1"], "cannot be used with"),
        (&["put", "a", "-m", "x", "--lock-wait", "soon"], "soon"),
        (&["completions", "nosuch"], "nosuch"),
    ] {
        let said_by_clap = sandbox.fails(2, words);
        assert!(said_by_clap.contains(said), "{words:?}: {said_by_clap}");
    }
    assert!(!sandbox.store().exists());
}

#[test]
fn every_command_asks_for_its_store() {
    let sandbox = Sandbox::new();
    for words in [
        &["init"][..],
        &["commit", "in", "-m", "m"],
        &["commit", "in", "--init", "-m", "m"],
        &["put", "a", "-m", "m"],
        &["rm", "a", "-m", "m"],
        &["cat", "a"],
        &["ls"],
        &["export", "out"],
        &["log"],
        &["show", "1"],
        &["diff", "1"],
        &["rollback", "1", "-m", "m"],
        &["status"],
        &["verify"],
    ] {
        let run = finish(sandbox.bare().args(words));
        assert_eq!(run.code, 2, "{words:?}: {}", run.stderr);
        assert_sentence(&run.stderr);
        assert!(
            run.stderr.contains("--store DIR") && run.stderr.contains("GENSTORE_STORE"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(fs::read_dir(sandbox.path(".")).unwrap().count(), 0);
}

#[test]
fn not_found_is_3() {
    let sandbox = Sandbox::new();
    assert!(sandbox.fails(3, &["status"]).contains("does not exist"));
    fs::create_dir(sandbox.store()).unwrap();
    assert!(sandbox.fails(3, &["status"]).contains("is empty"));
    sandbox.write("store/other.txt", "x");
    assert!(sandbox.fails(3, &["status"]).contains("no CURRENT"));
    fs::remove_dir_all(sandbox.store()).unwrap();

    sandbox.ok(&["init"]);
    sandbox.fails(3, &["cat", "nosuch"]);
    sandbox.fails(3, &["rm", "nosuch", "-m", "m"]);
    sandbox.fails(3, &["show", "7"]);
    sandbox.fails(3, &["cat", "a", "--at", "latest~5"]);
    sandbox.fails(3, &["ls", "--at", "2001-01-01"]);
    sandbox.fails(3, &["rollback", "7", "-m", "m"]);
    sandbox.fails(3, &["rollback", "1", "nosuch/*", "-m", "m"]);
    sandbox.fails(3, &["export", "out", "--at", "7"]);
    assert!(!sandbox.path("out").exists());
}

#[test]
fn the_advice_names_the_command_that_helps() {
    let sandbox = Sandbox::new();
    #[track_caller]
    fn advises(sandbox: &Sandbox, code: i32, words: &[&str], advice: &str) {
        let said = sandbox.fails(code, words);
        assert!(said.contains(advice), "{words:?}: {said}");
        let error = sandbox.error(code, words);
        assert!(error["advice"].as_str().unwrap().contains(advice), "{words:?}: {error}");
    }
    let init = "or create a store there with genstore init";
    advises(&sandbox, 3, &["status"], init);
    fs::create_dir(sandbox.store()).unwrap();
    advises(&sandbox, 3, &["status"], init);
    let other = sandbox.write("store/other.txt", "x");
    advises(&sandbox, 3, &["status"], "restore its CURRENT and manifests from a copy");
    fs::remove_file(other).unwrap();
    sandbox.ok(&["init"]);
    fs::remove_file(sandbox.store().join("CURRENT")).unwrap();
    advises(&sandbox, 3, &["status"], "run genstore init again, which completes it");

    let sandbox = Sandbox::with_store();
    sandbox.put("a.txt", "one");
    sandbox.put("a.txt", "two");
    advises(&sandbox, 3, &["cat", "nosuch", "--at", "2"], "genstore ls --at 2 lists the paths");
    advises(&sandbox, 3, &["rollback", "1", "nosuch/*", "-m", "m"], "genstore ls --at 1 lists the paths");
    advises(&sandbox, 3, &["show", "7"], "genstore log lists the generations");
    advises(&sandbox, 7, &["show", "yesterday"], "genstore log lists the generations");
    let source = "genstore commit takes a directory, genstore put a single file";
    let directory = sandbox.path(".");
    advises(&sandbox, 7, &["put", "b", directory.to_str().unwrap(), "-m", "m"], source);
    let holder = sandbox.hold_lock();
    advises(&sandbox, 6, &["rm", "a.txt", "-m", "m", "--lock-wait", "0"], "wait longer with --lock-wait");
    holder.release();

    flip(&sandbox.store().join("data/a.txt.g3"));
    let intact = "genstore cat --at 2 and genstore rollback 2, each with that path";
    advises(&sandbox, 5, &["cat", "a.txt"], intact);
}

#[test]
fn refused_input_is_7() {
    let sandbox = Sandbox::with_store();
    sandbox.write("x", "x");
    for (path, rule) in [
        ("/etc/passwd", "/"),
        ("../x", ".."),
        ("a//b", "empty"),
        ("a\\b", "\\"),
        ("con.json", "con"),
        ("a.g7", ".g"),
    ] {
        let said = sandbox.fails(7, &["put", path, "x", "-m", "m"]).to_lowercase();
        assert!(said.contains(rule), "{path}: {said}");
    }
    sandbox.put("Case.txt", "x");
    assert!(sandbox.fails(7, &["put", "case.txt", "x", "-m", "m"]).contains("Case.txt"));
    assert!(sandbox.fails(7, &["put", "Case.txt/b", "x", "-m", "m"]).contains("Case.txt"));
    assert!(sandbox.fails(7, &["show", "yesterday"]).contains("is not a revision"));
    assert!(sandbox.fails(7, &["cat", "a", "--at", "0"]).contains("1 to 9999999999"));
    assert_eq!(sandbox.ok(&["ls"]).lines().count(), 1);
}

#[test]
fn a_lost_race_is_a_conflict_4() {
    let sandbox = Sandbox::with_store();
    sandbox.put("shared.txt", "first");
    let mut slow = sandbox.spawn(&["put", "shared.txt", "-", "-m", "slow"]);
    // This is more than a pipe holds: once it is written, the command reads, and its base is fixed.
    let mut input = slow.stdin.take().unwrap();
    input.write_all(&vec![b's'; 4 << 20]).unwrap();
    sandbox.put("shared.txt", "quick");
    drop(input);
    let run = run_of(slow.wait_with_output().unwrap());
    assert_eq!((run.code, run.stdout.as_slice()), (4, &b""[..]), "{}", run.stderr);
    assert_sentence(&run.stderr);
    assert!(run.stderr.contains("shared.txt (in generation 3)"), "{}", run.stderr);
    assert_eq!(sandbox.ok(&["cat", "shared.txt"]), "quick");
    assert!(sandbox.one_json(&["verify", "--all"])["findings"].as_array().unwrap().is_empty());
}

#[test]
fn a_conflict_names_paths_and_generations_in_json() {
    let sandbox = Sandbox::with_store();
    let mut slow = sandbox.spawn(&["--json", "put", "shared.txt", "-m", "slow"]);
    let mut input = slow.stdin.take().unwrap();
    input.write_all(&vec![b's'; 4 << 20]).unwrap();
    sandbox.put("shared.txt", "quick");
    drop(input);
    let run = run_of(slow.wait_with_output().unwrap());
    let error = &crate::sandbox::json_lines(&run.stderr)[0]["error"];
    assert_eq!(error["kind"], "conflict");
    assert_eq!(error["conflicts"], serde_json::json!([{"path": "shared.txt", "generation": 2}]));
}

#[test]
fn damage_is_5_and_costs_only_its_file() {
    let sandbox = Sandbox::with_store();
    sandbox.put("good.txt", "good");
    sandbox.put("bad.txt", "bad");
    flip(&sandbox.store().join("data/bad.txt.g3"));
    let before = sandbox.store_bytes();
    assert!(sandbox.fails(5, &["cat", "bad.txt"]).contains("bad.txt"));
    assert_eq!(sandbox.ok(&["cat", "good.txt"]), "good");
    sandbox.fails(5, &["export", "out"]);
    assert!(!sandbox.path("out").exists());
    let partly = sandbox.run(&["export", "out", "--skip-damaged"]);
    assert_eq!(
        (partly.code, String::from_utf8(partly.stdout).unwrap().as_str()),
        (5, "generation 3: 1 file, 4 bytes, written to out\n")
    );
    assert_sentence(&partly.stderr);
    assert!(partly.stderr.contains("bad.txt"), "{}", partly.stderr);
    assert_eq!(fs::read_dir(sandbox.path("out")).unwrap().count(), 1);
    let verified = sandbox.run(&["verify"]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert_eq!((verified.code, verified.stderr.as_str()), (5, ""));
    assert!(said.starts_with("error    file_damaged  bad.txt  generation 3  "), "{said}");
    assert!(said.lines().last().unwrap().starts_with("damaged: 1 generation, "), "{said}");
    assert_eq!(said.lines().count(), 2);
    assert_eq!(sandbox.store_bytes(), before);
}

#[test]
fn log_tells_of_a_damaged_manifest_and_shows_the_rest() {
    let sandbox = Sandbox::with_store();
    for number in 0..40 {
        sandbox.put("a.txt", number.to_string());
    }
    // The latest state does not need the manifests below a checkpoint. The history needs them.
    let checkpoints = fs::read_dir(sandbox.store().join("checkpoints")).unwrap();
    let newest = checkpoints.map(|entry| entry.unwrap().file_name().into_string().unwrap()).max().unwrap();
    let damaged = newest.trim_end_matches(".jsonl").parse::<u64>().unwrap() - 2;
    flip(&sandbox.store().join(format!("manifests/{damaged:010}.json")));

    let run = sandbox.run(&["log"]);
    let log = String::from_utf8(run.stdout).unwrap();
    let numbers: Vec<u64> =
        log.lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert_eq!(run.code, 5, "{log}");
    assert!(numbers.starts_with(&(damaged + 1..=41).rev().collect::<Vec<_>>()), "{log}");
    assert!(!numbers.contains(&damaged), "{log}");
    assert_sentence(&run.stderr);
    assert!(run.stderr.contains(&format!("manifests/{damaged:010}.json")), "{}", run.stderr);
    assert!(run.stderr.contains("genstore verify --all shows what else is damaged"), "{}", run.stderr);
    // These generations are above the damage.
    assert_eq!(sandbox.ok(&["log", "-n", "2"]).lines().count(), 2);
    assert_eq!(sandbox.ok(&["cat", "a.txt"]), "39");
    let verified = sandbox.run(&["verify", "--all"]);
    assert_eq!(verified.code, 5);
    assert!(String::from_utf8(verified.stdout).unwrap().contains("manifest_damaged"));
}

#[test]
fn a_degraded_store_is_read_with_a_warning_and_5() {
    let sandbox = Sandbox::with_store();
    sandbox.put("a.txt", "one");
    sandbox.put("a.txt", "two");
    let pointer = sandbox.store().join("CURRENT");
    fs::set_permissions(&pointer, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&pointer, "rubbish\n").unwrap();
    let before = sandbox.store_bytes();

    let status = sandbox.run(&["status"]);
    assert_eq!(status.code, 5, "{}", status.stderr);
    assert!(String::from_utf8(status.stdout).unwrap().contains("\nhealth      degraded\n"));
    let read = sandbox.run(&["cat", "a.txt", "--quiet"]);
    assert_eq!((read.code, read.stdout.as_slice()), (5, &b"two"[..]));
    assert!(read.stderr.lines().count() >= 2, "{}", read.stderr);
    assert!(read.stderr.lines().all(|line| line.starts_with("genstore: warning: ")), "{}", read.stderr);
    assert!(read.stderr.contains("this is generation 3"), "{}", read.stderr);

    let read = sandbox.run(&["--json", "ls"]);
    assert_eq!(read.code, 5);
    let warning = &crate::sandbox::json_lines(&read.stderr)[0]["warning"];
    assert_eq!(
        (&warning["serving"], &warning["findings"][0]["kind"]),
        (&3.into(), &"pointer_damaged".into())
    );
    assert_eq!(sandbox.store_bytes(), before);

    sandbox.write("x", "x");
    let committed = sandbox.run(&["put", "x", "x", "-m", "m"]);
    assert_eq!((committed.code, committed.stdout.as_slice()), (5, &b""[..]), "{}", committed.stderr);
    assert!(committed.stderr.lines().last().unwrap().contains("damaged"), "{}", committed.stderr);
    assert_eq!(sandbox.ok_code(5, &["cat", "a.txt"]), "two");
}

#[test]
fn busy_is_6_and_readers_do_not_wait() {
    let sandbox = Sandbox::with_store();
    sandbox.put("a.txt", "one");
    let holder = sandbox.hold_lock();
    let before = sandbox.store_bytes();
    for words in
        [&["rm", "a.txt", "-m", "m", "--lock-wait", "0"][..], &["put", "b", "-m", "m", "--lock-wait", "10ms"]]
    {
        assert!(sandbox.fails(6, words).contains("the writer lock was held"), "{words:?}");
    }
    assert_eq!(sandbox.error(6, &["rm", "a.txt", "-m", "m", "--lock-wait", "0"])["kind"], "busy");
    assert_eq!(sandbox.ok(&["cat", "a.txt"]), "one");
    assert_eq!(sandbox.store_bytes(), before);
    holder.release();
    sandbox.ok(&["rm", "a.txt", "-m", "m", "--lock-wait", "0"]);
}

#[test]
fn other_failures_are_1() {
    let sandbox = Sandbox::with_store();
    sandbox.put("a.txt", "one");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = run_of(sandbox.command(&["cat", "a.txt"]).stdout(full).output().unwrap());
    assert_eq!(run.code, 1);
    assert_sentence(&run.stderr);
    assert!(run.stderr.contains("the result could not be printed"), "{}", run.stderr);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = run_of(sandbox.command(&["rm", "a.txt", "-m", "m"]).stdout(full).output().unwrap());
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("what the command did in the store stays done"), "{}", run.stderr);
    assert_eq!(sandbox.ok(&["ls"]), "");
    sandbox.fails(1, &["man", "--dir", "nowhere"]);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let sandbox = Sandbox::with_store();
    let pointer = sandbox.store().join("CURRENT");
    let text = fs::read_to_string(&pointer).unwrap();
    let body = text.lines().next().unwrap().replace("\"format\":1", "\"format\":2") + "\n";
    let sum = crc32fast::hash(body.as_bytes());
    fs::set_permissions(&pointer, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&pointer, format!("{body}{{\"sum\":\"crc32:{sum:08x}\"}}\n")).unwrap();
    let before = tree(&sandbox.store());
    assert!(sandbox.fails(1, &["ls"]).contains("format 2"));
    assert_eq!(sandbox.error(1, &["status"])["kind"], "unsupported");
    assert_eq!(tree(&sandbox.store()), before);
}

#[test]
fn too_many_open_files_commit_nothing_and_leave_nothing() {
    let sandbox = Sandbox::with_store();
    for number in 0..40 {
        sandbox.write(format!("many/f{number}"), "x");
    }
    let before = sandbox.store_bytes();
    for limit in 6..30 {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &limit.to_string()]);
        command.arg(crate::sandbox::program()).arg("--store").arg(sandbox.store());
        let run = finish(command.args(["commit", "-m", "m"]).arg(sandbox.path("many")));
        assert_eq!(run.code, 1, "{limit}: {}", run.stderr);
        assert!(run.stderr.contains("raise the limit on open files"), "{limit}: {}", run.stderr);
        assert_eq!(sandbox.store_bytes(), before, "{limit}");
    }
    sandbox.ok(&["commit", "many", "-m", "m"]);
}

#[test]
fn a_command_that_only_reads_does_not_speak_of_commits() {
    let sandbox = Sandbox::with_store();
    sandbox.put("stores/a.txt", "one");
    sandbox.write("full/x", "x");
    let store = sandbox.store().join("out");
    for (code, words) in [
        (7, &["export", "full"][..]),
        (7, &["export", "full/x"]),
        (7, &["export", "."]),
        (7, &["export", "nowhere/../out"]),
        (7, &["export", store.to_str().unwrap()]),
        (3, &["export", "out", "--at", "9"]),
        (3, &["cat", "nosuch"]),
        (3, &["cat", "stores"]),
        (7, &["cat", "a//b"]),
        (3, &["ls", "--at", "latest~9"]),
        (3, &["log", "nosuch"]),
        (3, &["diff", "1", "nosuch"]),
        (7, &["diff", "first"]),
        (3, &["show", "9"]),
        (3, &["verify", "--at", "9"]),
    ] {
        let said = sandbox.fails(code, words);
        assert!(!said.contains("commit"), "{words:?}: {said}");
    }
    assert!(sandbox.fails(7, &["export", "full"]).contains("; nothing was written; "));
    for words in [&["cat", "stores/a.txt"][..], &["ls"], &["log"], &["diff", "1"], &["status"], &["verify"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let run = run_of(sandbox.command(words).stdout(full).output().unwrap());
        assert_eq!(run.code, 1, "{words:?}");
        assert_sentence(&run.stderr);
        assert!(run.stderr.contains("; the store is as it was; "), "{words:?}: {}", run.stderr);
    }
}

#[test]
fn an_empty_directory_that_would_prune_everything() {
    let sandbox = Sandbox::with_store();
    sandbox.put("a.txt", "one");
    fs::create_dir(sandbox.path("empty")).unwrap();
    assert_eq!(
        sandbox.fails(7, &["commit", "empty", "--prune", "-m", "m"]),
        "genstore: empty has no file, and pruning would remove everything; nothing was committed, and the store \
         is as it was; name the directory that was meant, or remove the files by name.\n"
    );
}

#[test]
fn log_of_a_directory_says_so() {
    let sandbox = Sandbox::with_store();
    sandbox.put("stores/a.txt", "one");
    sandbox.put("gone/b.txt", "two");
    sandbox.ok(&["rm", "gone/b.txt", "-m", "m"]);
    for (path, said) in [
        (
            "stores",
            "stores is a directory in generation 4, not a file; nothing was done; genstore ls stores/ --at 4",
        ),
        (
            "stores/",
            "stores is a directory in generation 4, not a file; nothing was done; genstore ls stores/ --at 4",
        ),
        (
            "gone",
            "gone is a directory in generation 3, not a file; nothing was done; genstore ls gone/ --at 3",
        ),
    ] {
        assert!(sandbox.fails(3, &["log", path]).contains(said), "{}", sandbox.fails(3, &["log", path]));
        assert_eq!(sandbox.error(3, &["log", path])["path"], path);
    }
    assert!(sandbox.ok(&["ls", "gone/", "--at", "3"]).contains("gone/b.txt"));
    assert!(sandbox.fails(3, &["log", "store"]).contains("no generation ever put or removed store"));
    assert!(sandbox.fails(7, &["log", "nosuch/"]).contains("is not a path"));
}

#[test]
fn diff_names_a_path_that_neither_side_has() {
    let sandbox = Sandbox::with_store();
    sandbox.put("stores/a.txt", "one");
    for path in ["nope", "stroes/"] {
        let said = sandbox.fails(3, &["diff", "1", path]);
        assert!(said.contains(&format!("neither generation 1 nor 2 has {path}")), "{said}");
        assert_eq!(sandbox.error(3, &["diff", "1", path])["path"], path);
    }
    assert!(sandbox.fails(3, &["diff", "2", "nope"]).contains("generation 2 does not have nope"));
}

#[test]
fn a_time_before_the_store_is_named_as_it_was_typed() {
    let sandbox = Sandbox::with_store();
    for typed in ["2020-01-01", "2020-01-01T10:00:00Z", "2020-01-01T10:00:00.250Z"] {
        let said = sandbox.fails(3, &["ls", "--at", typed]);
        assert!(
            said.contains(&format!("revision {typed} does not exist: every generation is later")),
            "{said}"
        );
    }
}
