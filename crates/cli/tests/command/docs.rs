//! Help, completions, man pages and docs/cli.md have the same commands, flags and exit codes. Every
//! file and link in the documents exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::sandbox::{Sandbox, finish};

const DOCS: &str = include_str!("../../../../docs/cli.md");

fn print(words: &[&str]) -> String {
    let sandbox = Sandbox::new();
    let run = finish(sandbox.bare().args(words));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{words:?}");
    String::from_utf8(run.stdout).unwrap()
}

/// The lines of a part of the long help, up to the first empty one.
fn part_of_help(title: &str) -> Vec<String> {
    let help = print(&["--help"]);
    let lines: Vec<_> = help.lines().skip_while(|line| *line != title).skip(1).map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{help}");
    lines.into_iter().take_while(|line| !line.is_empty()).collect()
}

fn first_words(lines: &[String]) -> BTreeSet<String> {
    lines.iter().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn verbs() -> BTreeSet<String> {
    first_words(&part_of_help("Commands:"))
}

#[test]
fn the_documented_commands_are_the_programs() {
    let commands = DOCS.split("\n## ").find(|part| part.starts_with("Commands\n")).unwrap();
    let documented: BTreeSet<String> =
        commands.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    assert_eq!(documented, verbs());
    for verb in verbs() {
        assert!(DOCS.contains(&format!("\ngenstore {verb}")), "no synopsis of {verb}");
    }
}

#[test]
fn the_documented_exit_codes_are_the_programs() {
    let codes = DOCS.split("\n## ").find(|part| part.starts_with("Exit codes\n")).unwrap();
    let documented: BTreeSet<String> = codes
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, first_words(&part_of_help("Exit codes:")));
    assert_eq!(documented.len(), 9);
}

#[test]
fn every_documented_flag_is_the_commands_and_the_other_way_round() {
    let global = ["--help", "--version", "--store", "--json", "--quiet"];
    let of_commits = ["--message", "--author", "--lock-wait"];
    for section in DOCS.split("\n### ").skip(1) {
        let section = section.split("\n## ").next().unwrap();
        let verb = section.lines().next().unwrap();
        if verb == "help" {
            continue;
        }
        let help = print(&[verb, "--help"]);
        let options = help.split("\nOptions:\n").nth(1).unwrap_or_default();
        let known: BTreeSet<&str> =
            flags(options).filter(|flag| !global.contains(flag) && !of_commits.contains(flag)).collect();
        let synopsis = section.split("```").nth(1).unwrap();
        let documented: BTreeSet<&str> = flags(synopsis).collect();
        assert_eq!(documented, known, "{verb}");
    }
}

/// The long flags at the places where they are introduced, not where other texts mention them.
fn flags(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.starts_with("          ") && !line.starts_with("  genstore"))
        .flat_map(|line| line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-'))
        .filter(|word| word.starts_with("--") && word.len() > 2)
}

#[test]
fn completions_contain_every_verb() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = print(&["completions", shell]);
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell}: {verb}");
        }
        assert!(script.contains("genstore") && script.contains("--lock-wait") || shell == "fish", "{shell}");
    }
}

#[test]
fn man_pages_contain_every_verb() {
    let page = print(&["man"]);
    assert!(page.contains(".TH genstore 1"), "{page}");
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("man1")).unwrap();
    assert_eq!(finish(sandbox.bare().args(["man", "--dir", "man1"])).code, 0);
    for verb in verbs().iter().filter(|verb| *verb != "help") {
        assert!(page.contains(&format!("genstore\\-{verb}(1)")), "{verb}");
        let own = fs::read_to_string(sandbox.path(format!("man1/genstore-{verb}.1"))).unwrap();
        assert!(own.contains(&format!("genstore {verb}")), "{verb}: {own}");
    }
    assert_eq!(fs::read_to_string(sandbox.path("man1/genstore.1")).unwrap(), page);
    assert!(page.contains("stopped by Ctrl"), "the exit codes are missing: {page}");
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    let sandbox = Sandbox::with_store();
    let store = sandbox.store();
    let before = finish(sandbox.bare().args(["--json", "--store"]).arg(&store).arg("status"));
    let after = finish(sandbox.bare().args(["status", "--store"]).arg(&store).arg("--json"));
    assert_eq!((before.code, &before.stdout), (0, &after.stdout));
    assert!(before.stdout.starts_with(b"{"));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let sandbox = Sandbox::with_store();
    let plain = finish(&mut sandbox.command(&["status"]));
    assert!(!plain.stdout.contains(&0x1b));
    let forced = finish(sandbox.command(&["status"]).env("CLICOLOR_FORCE", "1"));
    assert!(forced.stdout.contains(&0x1b));
    let never = finish(sandbox.command(&["status"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"));
    assert!(!never.stdout.contains(&0x1b), "NO_COLOR lost");
    let json = finish(sandbox.command(&["status", "--json"]).env("CLICOLOR_FORCE", "1"));
    assert!(!json.stdout.contains(&0x1b));
}

/// The documents of the project.
fn documents() -> Vec<PathBuf> {
    let root = &Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let crates = fs::read_dir(root.join("crates")).unwrap().map(|found| found.unwrap().path());
    let others = ["", "docs", "docs/internals", "benches", "fuzz", "examples/retail"];
    let directories = crates.chain(others.iter().map(|directory| root.join(directory)));
    let names = directories.flat_map(|directory| fs::read_dir(directory).unwrap());
    let mut documents: Vec<PathBuf> = names.map(|name| name.unwrap().path()).collect();
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents
}

/// Whether a document that names this between backticks means a file or directory of the project.
fn is_of_the_project(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    let directories = ["src/", "crates/", "tests/", "docs/", "examples/", "benches/", "fuzz/", ".ci/"];
    name.bytes().all(is_plain)
        && (directories.iter().any(|directory| name.starts_with(directory))
            || [".rs", ".py", ".md"].iter().any(|ending| name.ends_with(ending)))
}

/// The output of a fuzzer, a placeholder, and a file of another project.
const NOT_THERE: [&str; 3] =
    ["fuzz/artifacts/", "fuzz/corpus/TARGET/found-WHAT-IT-IS", "src/backend/storage/file/fd.c"];

#[test]
fn every_file_that_the_documents_name_is_there() {
    let root = &Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut named, mut missing) = (0, Vec::new());
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        // Every second piece of a line is between backticks.
        let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        for name in spans.filter(|name| is_of_the_project(name) && !NOT_THERE.contains(name)) {
            named += 1;
            let places = [root, &root.join("src"), document.parent().unwrap()];
            if !places.iter().any(|place| place.join(name).exists()) {
                missing.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named > 50, "only {named} files are named");
}

/// Written by a long run of the proof.
const GENERATED: &str = "last-run.md";

/// The anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let (mut followed, mut broken) = (0, Vec::new());
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("https://")) {
            followed += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            let is_generated = path.ends_with(GENERATED);
            let leads = fs::metadata(&path).is_ok_and(|found| {
                let there = |text: String| {
                    text.lines()
                        .any(|line| line.starts_with('#') && anchor(line.trim_matches(['#', ' '])) == heading)
                };
                found.is_dir() || heading.is_empty() || there(fs::read_to_string(&path).unwrap())
            });
            if !leads && !is_generated {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(followed > 40, "only {followed} links are followed");
}
