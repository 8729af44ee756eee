//! The text that `diff` prints for people.

use crate::sandbox::{Sandbox, flip};
use serde_json::json;

/// Generation 2 holds the first bytes under `file`, generation 3 the second.
fn two(file: &str, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = Sandbox::with_store();
    sandbox.put(file, from);
    sandbox.put(file, to);
    sandbox
}

#[test]
fn json_by_pointer() {
    let from = json!({"hours": {"friday": "09:00", "monday": "08:00"}, "a/b~c": 1, "tags": ["x", "y", "z"]});
    let to =
        json!({"hours": {"friday": "10:00", "sunday": null}, "a/b~c": 2, "tags": ["x", "new", "y", "z"]});
    let sandbox = two("stores/downtown.json", from.to_string(), to.to_string());
    let shown = sandbox.ok(&["diff", "2", "3"]);
    let expected = format!(
        "modified  stores/downtown.json  {} bytes -> {} bytes
    /a~1b~0c: 1 -> 2
    /hours/friday: \"09:00\" -> \"10:00\"
  - /hours/monday: \"08:00\"
  + /hours/sunday: null
  + /tags/1: \"new\"
0 added, 0 removed, 1 modified
",
        from.to_string().len(),
        to.to_string().len()
    );
    assert_eq!(shown, expected);
}

#[test]
fn json_that_only_looks_different_is_shown_by_lines() {
    let sandbox = two("a.json", "{\"x\": 1}\n", "{\n  \"x\": 1\n}\n");
    assert_eq!(
        sandbox.ok(&["diff", "2"]),
        "modified  a.json  9 bytes -> 13 bytes
  the values are equal, the text differs:
  @@ -1 +1,3 @@
  -{\"x\": 1}
  +{
  +  \"x\": 1
  +}
0 added, 0 removed, 1 modified
"
    );
    assert_eq!(sandbox.one_json(&["diff", "2"])["json"], json!([]));
}

#[test]
fn a_long_value_is_cut_for_people_only() {
    let long = "v".repeat(500);
    let sandbox = two("a.json", "{\"x\":1}", json!({"x": long}).to_string());
    let shown = sandbox.ok(&["diff", "2"]);
    let line = shown.lines().nth(1).unwrap();
    assert!(line.starts_with("    /x: 1 -> \"vvv") && line.ends_with("v… (342 bytes more)"), "{line}");
    assert_eq!(sandbox.one_json(&["diff", "2"])["json"][0]["to"], json!(long));
}

#[test]
fn text_by_lines() {
    let sandbox = two("a.txt", "one\ntwo\nthree\n", "one\n2\r\nthree\nfour\tand \u{1b}[31m");
    assert_eq!(
        sandbox.ok(&["diff", "2"]),
        "modified  a.txt  14 bytes -> 27 bytes
  @@ -1,3 +1,4 @@
   one
  -two
  +2\\r
   three
  +four\tand \\u{1b}[31m
  \\ no newline at the end of the file
0 added, 0 removed, 1 modified
"
    );
}

#[test]
fn other_bytes_by_size_and_hash() {
    let sandbox = two("a.bin", [0, 1, 2], [0, 1, 2, 3]);
    assert_eq!(
        sandbox.ok(&["diff", "2"]),
        format!(
            "modified  a.bin  3 bytes -> 4 bytes
  not text:
  - 3 bytes, blake3 {}
  + 4 bytes, blake3 {}
0 added, 0 removed, 1 modified
",
            blake3::hash(&[0, 1, 2]),
            blake3::hash(&[0, 1, 2, 3])
        )
    );
}

#[test]
fn large_text_is_summed_up() {
    let from = "line\n".repeat(300_000);
    let sandbox = two("a.txt", &from, format!("{from}more\n"));
    let shown = sandbox.ok(&["diff", "2"]);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[..2], ["modified  a.txt  1.5 MB -> 1.5 MB", "  larger than 1 MiB and not JSON:"]);
    assert!(lines[2].starts_with("  - 1500000 bytes, blake3 "), "{shown}");
    assert_eq!(lines.len(), 5, "{shown}");
    let sandbox = two("b.bin", vec![b'x'; 9 << 20], "x");
    assert!(sandbox.ok(&["diff", "2"]).contains("\n  larger than 8 MiB:\n"));
}

#[test]
fn large_json_is_still_compared_by_value() {
    let from: Vec<_> = (0..120_000).map(|number| format!("item {number}")).collect();
    let mut to = from.clone();
    to.insert(5, "new".to_owned());
    let sandbox = two("a.json", json!(from).to_string(), json!(to).to_string());
    let shown = sandbox.ok(&["diff", "2"]);
    assert_eq!(shown.lines().nth(1), Some("  + /5: \"new\""));
    assert_eq!(shown.lines().count(), 3);
}

#[test]
fn added_and_removed_files_and_the_order_of_revisions() {
    let sandbox = Sandbox::with_store();
    sandbox.put("a.txt", "alpha");
    assert_eq!(sandbox.ok(&["diff", "1", "2"]), "added     a.txt  5 bytes\n1 added, 0 removed, 0 modified\n");
    assert_eq!(sandbox.ok(&["diff", "2", "1"]), "removed   a.txt  5 bytes\n0 added, 1 removed, 0 modified\n");
    assert_eq!(sandbox.ok(&["diff", "2", "latest"]), "no differences\n");
}

#[test]
fn the_second_word_is_a_revision_if_it_can_be_one() {
    let sandbox = Sandbox::with_store();
    sandbox.write("in/stores/a.txt", "a");
    sandbox.write("in/stores2/b.txt", "b");
    sandbox.write("in/2", "two");
    sandbox.ok(&["commit", "in", "-m", "all"]);
    let names = |words: &[&str]| -> Vec<String> {
        sandbox.json(words).iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["diff", "1", "2"]), ["2", "stores/a.txt", "stores2/b.txt"]);
    assert_eq!(names(&["diff", "1", "latest", "2"]), ["2"]);
    assert_eq!(names(&["diff", "1", "stores"]), ["stores/a.txt"]);
    assert_eq!(names(&["diff", "1", "stores/"]), ["stores/a.txt"]);
    assert_eq!(names(&["diff", "1", "2", "stores/a.txt"]), ["stores/a.txt"]);
    assert!(sandbox.fails(3, &["diff", "1", "lattest"]).contains("lattest"));
    assert!(sandbox.fails(7, &["diff", "first", "2"]).contains("is not a revision"));
    assert!(sandbox.fails(3, &["diff", "1", "9"]).contains("revision 9 does not exist"));
}

#[test]
fn summary_leaves_the_contents_out() {
    let sandbox = two("a.txt", "one\n", "two\n");
    assert_eq!(
        sandbox.ok(&["diff", "2", "--summary"]),
        "modified  a.txt  4 bytes -> 4 bytes\n0 added, 0 removed, 1 modified\n"
    );
}

#[test]
fn a_damaged_file_does_not_hide_the_others() {
    let sandbox = Sandbox::with_store();
    for (a, b) in [("one\n", "uno\n"), ("two\n", "due\n")] {
        sandbox.write("in/a.txt", a);
        sandbox.write("in/b.txt", b);
        sandbox.ok(&["commit", "in", "-m", "both"]);
    }
    flip(&sandbox.store().join("data/a.txt.g2"));
    let run = sandbox.run(&["diff", "2", "3"]);
    let shown = String::from_utf8(run.stdout).unwrap();
    assert_eq!(run.code, 5);
    assert!(shown.starts_with("modified  a.txt  4 bytes -> 4 bytes\nmodified  b.txt"), "{shown}");
    assert!(shown.contains("\n  -uno\n  +due\n"), "{shown}");
    crate::sandbox::assert_sentence(&run.stderr);
    assert!(run.stderr.contains("a.txt"), "{}", run.stderr);
}
