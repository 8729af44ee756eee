//! Eight writers. One of them holds the lock when it is stopped or killed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Output};
use std::time::Instant;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::budget::runs;
use crate::flight::holder;
use crate::sandbox::{Sandbox, json_lines, run_of};
use crate::{Where, sandbox};

/// The writers besides the one that holds the lock.
const OTHERS: usize = 7;
/// With this many, a commit takes some milliseconds.
const FILES: usize = 40;

/// A command. It ends with the test, even if the test fails.
struct Writer(Option<Child>);

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Writer {
    fn spawn(sandbox: &Sandbox, words: &[&str]) -> Self {
        Self(Some(sandbox.spawn(&[&["--json"], words].concat())))
    }

    /// Commits a small file of its own.
    fn other(sandbox: &Sandbox, number: usize, lock_wait: &str) -> Self {
        let file = sandbox.write(format!("own-{number}"), own(number));
        let path = format!("own/{number}");
        Self::spawn(
            sandbox,
            &["put", &path, file.to_str().unwrap(), "-m", "another", "--lock-wait", lock_wait],
        )
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    fn id(&mut self) -> u32 {
        self.child().id()
    }

    fn has_ended(&mut self) -> bool {
        self.child().try_wait().unwrap().is_some()
    }

    fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(self.child()), signal).unwrap();
    }

    fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }

    /// The generation that it committed.
    fn generation(self) -> u64 {
        let run = run_of(self.output());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let said = json_lines(std::str::from_utf8(&run.stdout).unwrap()).remove(0);
        assert_eq!(said["changed"], true, "{said}");
        said["generation"].as_u64().unwrap()
    }
}

fn own(number: usize) -> String {
    format!("of writer {number}")
}

fn is_held(sandbox: &Sandbox) -> bool {
    let lock = File::options().read(true).write(true).open(sandbox.store().join("locks/writer")).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
}

/// A writer of many files with the same text. It is stopped in the middle of its commit, while it
/// holds the lock.
fn stopped_holder(sandbox: &Sandbox) -> (Writer, String) {
    for attempt in 0.. {
        let text = format!("attempt {attempt}");
        for number in 0..FILES {
            sandbox.write(format!("large/{number}"), &text);
        }
        let mut writer = Writer::spawn(sandbox, &["commit", "large", "--into", "large", "-m", "the holder"]);
        let id = writer.id();
        while holder(sandbox) != Some(id) && !writer.has_ended() {}
        if writer.has_ended() {
            continue;
        }
        writer.signal(Signal::STOP);
        let pid = Pid::from_child(writer.child());
        let either = WaitIdOptions::STOPPED | WaitIdOptions::EXITED;
        let status = waitid(WaitId::Pid(pid), either | WaitIdOptions::NOWAIT).unwrap().unwrap();
        // It may have released the lock just before.
        if status.stopped() && is_held(sandbox) {
            return (writer, text);
        }
    }
    unreachable!()
}

fn staged(sandbox: &Sandbox) -> usize {
    fs::read_dir(sandbox.store().join("staging")).unwrap().count()
}

/// Writers that have prepared their commit. They wait for the lock next.
fn waiting(sandbox: &Sandbox) -> Vec<Writer> {
    let before = staged(sandbox);
    let mut writers: Vec<Writer> = (0..OTHERS).map(|number| Writer::other(sandbox, number, "600")).collect();
    while staged(sandbox) < before + OTHERS {
        assert!(!writers.iter_mut().any(Writer::has_ended), "it did not wait");
        std::thread::yield_now();
    }
    writers
}

/// Every other writer has committed, each under its own number.
fn all_commit(sandbox: &Sandbox, writers: Vec<Writer>) {
    let generations: BTreeSet<u64> = writers.into_iter().map(Writer::generation).collect();
    assert_eq!(generations.len(), OTHERS);
    for number in 0..OTHERS {
        assert_eq!(sandbox.ok(&["cat", &format!("own/{number}")]), own(number));
    }
}

/// The different texts in the holder's files. There is one, as they are committed together.
fn text_of_all(sandbox: &Sandbox) -> BTreeSet<Vec<u8>> {
    let out = sandbox.path("out");
    sandbox.ok(&["export", out.to_str().unwrap()]);
    let found = sandbox::tree(&out);
    fs::remove_dir_all(out).unwrap();
    let large = found.into_iter().filter(|(name, _)| name.starts_with(Path::new("large")));
    large.filter_map(|(_, bytes)| bytes).collect()
}

/// Half of the holders are killed. The others go on.
#[test]
fn a_stopped_or_killed_holder_of_the_lock_blocks_none_of_seven_others() {
    let rounds = runs(60);
    let start = Instant::now();
    let mut committed = 0;
    for round in 0..rounds {
        let _place = Where(format!("holder {round}"));
        let sandbox = sandbox(round);
        sandbox.ok(&["init"]);
        let (mut held, text) = stopped_holder(&sandbox);
        let before = text_of_all(&sandbox);
        let others = waiting(&sandbox);
        let is_killed = round.is_multiple_of(2);
        if is_killed {
            held.signal(Signal::KILL);
            assert_eq!(held.output().stdout, b"");
        } else {
            held.signal(Signal::CONT);
            held.generation();
        }
        all_commit(&sandbox, others);
        // The killed one may have finished its last step before it was stopped.
        let after = text_of_all(&sandbox);
        let own = BTreeSet::from([text.into_bytes()]);
        assert!(after == own || (is_killed && after == before), "{after:?}");
        committed += u64::from(is_killed && after == own);
        let report = sandbox.one_json(&["verify", "--all"]);
        assert_eq!(report["ok"], true, "{report}");
    }
    println!(
        "kill: {rounds} holders of the lock stopped while seven others waited, {} of them killed, which left {committed} whole \
         generations; {} s",
        rounds.div_ceil(2),
        start.elapsed().as_secs()
    );
}

#[test]
fn a_stopped_holder_is_named_and_readers_do_not_wait_for_it() {
    let sandbox = Sandbox::with_store();
    sandbox.put("before.txt", "committed before");
    let (mut stopped, text) = stopped_holder(&sandbox);
    let id = stopped.id();
    let before = staged(&sandbox);
    let others: Vec<Writer> = (0..OTHERS).map(|number| Writer::other(&sandbox, number, "200ms")).collect();
    for other in others {
        let run = run_of(other.output());
        assert_eq!((run.code, run.stdout.as_slice()), (6, &b""[..]), "{}", run.stderr);
        let error = json_lines(&run.stderr).remove(0)["error"].take();
        assert_eq!((&error["kind"], &error["holder"]["pid"]), (&"busy".into(), &id.into()), "{error}");
        let program = error["holder"]["program"].as_str().unwrap();
        assert!(sandbox::program().ends_with(program), "{error}");
        assert!(error["message"].as_str().unwrap().contains(&id.to_string()), "{error}");
    }
    assert_eq!(staged(&sandbox), before, "writers that gave up removed what they had staged");

    assert_eq!(sandbox.ok(&["cat", "before.txt"]), "committed before");
    assert!(text_of_all(&sandbox).len() <= 1);
    assert!(sandbox.json(&["log"]).len() >= 2);
    let status = sandbox.one_json(&["status"]);
    assert!(status["interrupted"].as_array().unwrap().len() <= 1, "{status}");
    assert_eq!(sandbox.one_json(&["verify", "--all"])["ok"], true);

    // When it goes on, all others go on too.
    let others = waiting(&sandbox);
    stopped.signal(Signal::CONT);
    let generation = stopped.generation();
    all_commit(&sandbox, others);
    assert_eq!(text_of_all(&sandbox), BTreeSet::from([text.into_bytes()]));
    let shown = sandbox.one_json(&["show", &generation.to_string()]);
    assert_eq!((&shown["message"], shown["put"].as_array().unwrap().len()), (&"the holder".into(), FILES));
    assert_eq!(sandbox.one_json(&["status"])["interrupted"], serde_json::json!([]));
}
