//! The JSON that scripts rely on, field by field.

use std::fs;

use crate::sandbox::{Sandbox, finish, flip, json_lines, keys};
use serde_json::{Value, json};

const COMMITTED: [&str; 5] = ["bytes", "changed", "generation", "put", "removed"];

fn two_files() -> Sandbox {
    let sandbox = Sandbox::with_store();
    sandbox.write("in/a.json", "{\"x\": 1}");
    sandbox.write("in/b.txt", "beta\n");
    sandbox.ok(&["commit", "in", "-m", "two files", "--author", "anna"]);
    sandbox
}

fn is_hex(value: &Value, digits: usize) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether the value is a time of RFC 3339 in UTC.
fn is_time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.starts_with("20") && text.ends_with('Z') && text.as_bytes()[10] == b'T')
}

#[test]
fn init() {
    let sandbox = Sandbox::new();
    let created = sandbox.one_json(&["init"]);
    assert_eq!(keys(&created), ["generation", "medium", "store"]);
    assert!(is_hex(&created["store"], 32), "{created}");
    assert_eq!(created["generation"], 1);
    let medium = &created["medium"];
    assert!(medium["filesystem"].is_string() && medium["free_bytes"].is_u64(), "{medium}");
    assert!(medium["case_sensitive"].is_boolean() && medium["warnings"].is_array(), "{medium}");
    assert_eq!(medium["lock_excludes"], "second descriptor");
}

#[test]
fn a_commit() {
    let sandbox = Sandbox::with_store();
    sandbox.write("in/a.json", "{\"x\": 1}");
    let commit = sandbox.one_json(&["commit", "in", "-m", "one"]);
    assert_eq!(commit, json!({"generation": 2, "changed": true, "put": 1, "removed": 0, "bytes": 8}));
    let again = sandbox.one_json(&["commit", "in", "-m", "one"]);
    assert_eq!(again, json!({"generation": 2, "changed": false, "put": 0, "removed": 0, "bytes": 0}));
    let put = sandbox.one_json(&["put", "b", "in/a.json", "-m", "two"]);
    assert_eq!((keys(&put), &put["generation"], &put["put"]), (COMMITTED.to_vec(), &json!(3), &json!(1)));
    let removed = sandbox.one_json(&["rm", "b", "-m", "three"]);
    assert_eq!(removed, json!({"generation": 4, "changed": true, "put": 0, "removed": 1, "bytes": 0}));
    let back = sandbox.one_json(&["rollback", "3", "-m", "four"]);
    assert_eq!(back, json!({"generation": 5, "changed": true, "put": 1, "removed": 0, "bytes": 0}));
}

#[test]
fn ls_and_cat() {
    let sandbox = two_files();
    let hash = blake3::hash(b"beta\n").to_string();
    let listed = sandbox.json(&["ls"]);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1], json!({"path": "b.txt", "bytes": 5, "blake3": hash, "generation": 2}));
    let printed = sandbox.one_json(&["cat", "b.txt"]);
    assert_eq!(
        printed,
        json!({"path": "b.txt", "bytes": 5, "blake3": hash, "generation": 2, "text": "beta\n"})
    );
}

#[test]
fn cat_refuses_bytes_that_json_cannot_hold() {
    let sandbox = Sandbox::with_store();
    sandbox.put("raw.bin", [0xff, 0xfe, 0]);
    let error = sandbox.error(2, &["cat", "raw.bin"]);
    assert_eq!(error["kind"], "usage");
    assert!(error["advice"].as_str().unwrap().contains("--json"), "{error}");
    assert_eq!(sandbox.run(&["cat", "raw.bin"]).stdout, [0xff, 0xfe, 0]);
}

#[test]
fn export() {
    let sandbox = two_files();
    assert_eq!(
        sandbox.one_json(&["export", "out"]),
        json!({"generation": 2, "files": 2, "bytes": 13, "damaged": []})
    );
}

#[test]
fn log_and_show() {
    let sandbox = two_files();
    sandbox.ok(&["rm", "b.txt", "-m", "out", "--author", "ben"]);
    let log = sandbox.json(&["log"]);
    let expected =
        ["author", "generation", "kind", "manifest", "message", "parent", "put", "removed", "time"];
    for entry in &log {
        assert_eq!(keys(entry), expected);
        assert!(is_hex(&entry["manifest"], 64) && is_time(&entry["time"]), "{entry}");
    }
    let facts = |entry: &Value| {
        ["generation", "kind", "author", "message", "put", "removed", "parent"].map(|key| entry[key].clone())
    };
    assert_eq!(
        facts(&log[0]),
        [json!(3), json!("commit"), json!("ben"), json!("out"), json!(0), json!(1), json!(2)]
    );
    assert_eq!(facts(&log[1])[4..], [json!(2), json!(0), json!(1)]);
    assert_eq!(log[2]["parent"], Value::Null);

    let shown = sandbox.one_json(&["show", "3"]);
    let mut more = expected.to_vec();
    more.extend(["metadata", "files", "bytes", "restores"]);
    more.sort_unstable();
    assert_eq!(keys(&shown), more);
    assert_eq!((&shown["put"], &shown["removed"]), (&json!([]), &json!(["b.txt"])));
    assert_eq!((&shown["files"], &shown["bytes"], &shown["metadata"]), (&json!(1), &json!(8), &json!({})));
    assert_eq!(shown["manifest"], log[0]["manifest"]);
    assert_eq!(sandbox.one_json(&["show", "2"])["put"], json!(["a.json", "b.txt"]));
}

#[test]
fn diff() {
    let sandbox = two_files();
    sandbox.write("in/a.json", "{\"x\": 2, \"y\": [true]}");
    sandbox.write("in/c.txt", "gamma");
    fs::remove_file(sandbox.path("in/b.txt")).unwrap();
    sandbox.ok(&["commit", "in", "--prune", "-m", "three changes"]);
    let side = |text: &str, generation: u64| json!({"bytes": text.len(), "blake3": blake3::hash(text.as_bytes()).to_string(), "generation": generation});
    assert_eq!(
        sandbox.json(&["diff", "2", "3"]),
        [
            json!({
                "path": "a.json", "change": "modified",
                "from": side("{\"x\": 1}", 2), "to": side("{\"x\": 2, \"y\": [true]}", 3),
                "json": [{"pointer": "/x", "from": 1, "to": 2}, {"pointer": "/y", "to": [true]}],
            }),
            json!({"path": "b.txt", "change": "removed", "from": side("beta\n", 2), "to": null}),
            json!({"path": "c.txt", "change": "added", "from": null, "to": side("gamma", 3)}),
        ]
    );
    assert!(sandbox.json(&["diff", "2", "3", "--summary"]).iter().all(|line| line.get("json").is_none()));
}

#[test]
fn status() {
    let sandbox = two_files();
    let status = sandbox.one_json(&["status"]);
    assert_eq!(
        keys(&status),
        ["bytes", "files", "findings", "generation", "health", "interrupted", "message", "store", "time"]
    );
    assert_eq!(
        (&status["generation"], &status["files"], &status["bytes"]),
        (&json!(2), &json!(2), &json!(13))
    );
    assert_eq!((&status["health"], &status["interrupted"]), (&json!("ok"), &json!([])));
    assert_eq!((&status["message"], &status["findings"]), (&json!("two files"), &json!([])));
    assert!(is_hex(&status["store"], 32) && is_time(&status["time"]), "{status}");
}

#[test]
fn verify() {
    let sandbox = two_files();
    let fine = sandbox.one_json(&["verify"]);
    assert_eq!(fine, json!({"ok": true, "generations": 1, "files": 2, "bytes": 13, "findings": []}));
    flip(&sandbox.store().join("data/b.txt.g2"));
    let run = sandbox.run(&["verify", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (5, ""));
    let report = &json_lines(std::str::from_utf8(&run.stdout).unwrap())[0];
    assert_eq!(report["ok"], false);
    let finding = &report["findings"][0];
    assert_eq!(keys(finding), ["detail", "generation", "kind", "path", "severity"]);
    assert_eq!(
        [&finding["severity"], &finding["kind"], &finding["path"], &finding["generation"]],
        [&json!("error"), &json!("file_damaged"), &json!("b.txt"), &json!(2)]
    );
    assert!(finding["detail"].is_string());
}

#[test]
fn errors_have_every_field() {
    let sandbox = two_files();
    let fields = [
        "advice",
        "conflicts",
        "consequence",
        "expected",
        "found",
        "generation",
        "holder",
        "intact",
        "kind",
        "message",
        "path",
    ];
    let error = sandbox.error(3, &["cat", "nosuch"]);
    assert_eq!(keys(&error), fields);
    assert_eq!(
        [&error["kind"], &error["path"], &error["generation"]],
        [&json!("not_found"), &json!("nosuch"), &json!(2)]
    );
    assert_eq!(
        [&error["expected"], &error["holder"], &error["conflicts"]],
        [&Value::Null, &Value::Null, &json!([])]
    );
    assert!(
        ["message", "consequence", "advice"]
            .iter()
            .all(|part| error[part].as_str().is_some_and(|text| !text.is_empty()))
    );

    let usage = sandbox.error(2, &["lgo"]);
    assert_eq!((keys(&usage), &usage["kind"]), (fields.to_vec(), &json!("usage")));
    // Global flags count at any place, even on a command line that cannot be parsed.
    let run = finish(sandbox.bare().args(["log", "--nosuch", "--json"]));
    assert_eq!(json_lines(&run.stderr)[0]["error"]["kind"], "usage");
}

#[test]
fn damage_names_hashes_and_the_intact_version() {
    let sandbox = two_files();
    sandbox.put("b.txt", "BETA\n");
    flip(&sandbox.store().join("data/b.txt.g3"));
    let error = sandbox.error(5, &["cat", "b.txt"]);
    assert_eq!(
        [&error["kind"], &error["path"], &error["generation"]],
        [&json!("corrupt"), &json!("b.txt"), &json!(3)]
    );
    assert_eq!(error["expected"], blake3::hash(b"BETA\n").to_string());
    assert!(is_hex(&error["found"], 64) && error["found"] != error["expected"], "{error}");
    assert_eq!(error["intact"], 2);
}
