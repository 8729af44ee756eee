//! The creation of a store is killed. There is then no store, or an empty one, and the creation can
//! be completed.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use crate::Where;
use crate::budget::{runs, seed};
use crate::sandbox::{Sandbox, json_lines};

#[test]
fn a_store_whose_creation_was_killed_can_be_created() {
    let rounds = runs(60).div_ceil(5);
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let start = Instant::now();
    Sandbox::new().ok(&["init"]);
    let mut usual = start.elapsed();
    let mut begun = 0;
    let mut created = 0;
    for round in 0..rounds {
        let _place = Where(format!("seed {seed}, creation {round}"));
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("source")).unwrap();
        fs::write(sandbox.path("source/file"), "committed").unwrap();
        let commit = ["--json", "commit", "source", "--init", "-m", "first"];
        let words = if random.bool() { &["--json", "init"][..] } else { &commit };
        // Some are killed twice. The second finds what the first one left.
        for _ in 0..random.u32(1..3) {
            let start = Instant::now();
            let mut child =
                sandbox.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(usual.mul_f64(random.f64()).saturating_sub(start.elapsed()));
            child.kill().unwrap();
            let in_time = child.wait().unwrap().code().is_none();
            usual = usual.mul_f64(if in_time { 1.025 } else { 0.9 });
        }
        let state = sandbox.run(&["--json", "status"]);
        let before = if state.code == 3 {
            begun += u64::from(sandbox.store().exists());
            assert!(!sandbox.store().join("CURRENT").exists());
            None
        } else {
            created += 1;
            let line = String::from_utf8(state.stdout).unwrap();
            let status = json_lines(&line).remove(0);
            assert_eq!((state.code, &status["health"]), (0, &"ok".into()), "{status}");
            Some(status["generation"].as_u64().unwrap())
        };
        let highest = |directory: &str| {
            fs::read_dir(sandbox.store().join(directory)).map_or(0, |names| {
                let number = |name: &str| name.strip_suffix(".json").unwrap().parse::<u64>().unwrap();
                names.map(|name| number(name.unwrap().file_name().to_str().unwrap())).max().unwrap_or(0)
            })
        };
        let highest = highest("manifests");
        let after = sandbox.one_json(&commit[1..]);
        assert!(after["generation"].as_u64() >= before && after["put"].as_u64().unwrap() <= 1, "{after}");
        assert!(
            after["generation"].as_u64().unwrap() > highest || after["changed"] == false,
            "a number that was seen was used again: {highest}, {after}"
        );
        assert_eq!(sandbox.ok(&["cat", "file"]), "committed");
        assert_eq!(sandbox.one_json(&["verify", "--all"])["ok"], true);
    }
    println!("kill: {rounds} stores, {begun} left unfinished, {created} created by the killed command");
    assert!(begun * 10 > rounds, "too few kills met a store in creation: {begun} of {rounds}");
}
