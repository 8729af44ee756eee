//! Closed pipes and Ctrl-C.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Stdio};

use crate::sandbox::{Sandbox, assert_sentence, finish, json_lines, run_of};
use rustix::process::{Pid, Signal, kill_process};

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// A `put` that has read some of its input and waits for more.
fn waiting_put(sandbox: &Sandbox, words: &[&str]) -> Child {
    let mut child = sandbox.spawn(&[&["put", "big.bin", "-", "-m", "m"], words].concat());
    // This is more than a pipe and the command's own buffers hold: once it is written, most of it
    // has arrived.
    child.stdin.as_mut().unwrap().write_all(&vec![b'x'; 8 << 20]).unwrap();
    child
}

#[test]
fn ctrl_c_during_a_commit_leaves_the_store_as_it_was() {
    for sent in [Signal::INT, Signal::TERM] {
        let sandbox = Sandbox::with_store();
        sandbox.put("a.txt", "one");
        let before = sandbox.store_bytes();
        let mut child = waiting_put(&sandbox, &[]);
        let input = child.stdin.take();
        signal(&child, sent);
        let run = run_of(child.wait_with_output().unwrap());
        // The input stayed open to the end, so the signal ended the wait.
        drop(input);
        assert_eq!((run.code, run.stdout.as_slice()), (130, &b""[..]), "{}", run.stderr);
        assert_sentence(&run.stderr);
        assert!(run.stderr.contains("the store is as it was"), "{}", run.stderr);
        assert_eq!(sandbox.store_bytes(), before);
        assert_eq!(sandbox.one_json(&["status"])["interrupted"], serde_json::json!([]));
        sandbox.put("a.txt", "two");
        assert_eq!(sandbox.ok(&["cat", "a.txt"]), "two");
    }
}

#[test]
fn two_signals_that_come_together_are_one() {
    let sandbox = Sandbox::with_store();
    let before = sandbox.store_bytes();
    let mut child = waiting_put(&sandbox, &[]);
    let input = child.stdin.take();
    signal(&child, Signal::INT);
    signal(&child, Signal::TERM);
    let run = run_of(child.wait_with_output().unwrap());
    drop(input);
    assert_eq!(run.code, 130, "{}", run.stderr);
    assert_sentence(&run.stderr);
    assert!(run.stderr.contains("the store is as it was"), "{}", run.stderr);
    assert_eq!(sandbox.store_bytes(), before);
}

#[test]
fn ctrl_c_while_a_directory_waits_for_another_writer() {
    let sandbox = Sandbox::with_store();
    sandbox.write("in/a.txt", "alpha");
    sandbox.write("in/b.txt", "beta");
    let before = sandbox.store_bytes();
    let holder = sandbox.hold_lock();
    let child = sandbox.spawn(&["commit", "in", "-m", "m", "--lock-wait", "600"]);
    // Once a file is staged, the signal is caught. While the lock is held, nothing can be
    // committed.
    while fs::read_dir(sandbox.store().join("staging")).unwrap().next().is_none() {
        std::thread::yield_now();
    }
    signal(&child, Signal::INT);
    let run = run_of(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130, "{}", run.stderr);
    assert_sentence(&run.stderr);
    assert_eq!(sandbox.store_bytes(), before);
    holder.release();
    assert_eq!(sandbox.one_json(&["commit", "in", "-m", "m"])["put"], 2);
}

#[test]
fn ctrl_c_in_json() {
    let sandbox = Sandbox::with_store();
    let mut child = waiting_put(&sandbox, &["--json"]);
    let _input = child.stdin.take();
    signal(&child, Signal::INT);
    let run = run_of(child.wait_with_output().unwrap());
    assert_eq!(run.code, 130);
    assert_eq!(json_lines(&run.stderr)[0]["error"]["kind"], "interrupted");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let sandbox = Sandbox::with_store();
    // The output is more than a pipe holds, so the command must notice the end.
    let text = "a line of text that fills the pipe\n".repeat(20_000);
    sandbox.put("long.txt", &text);
    for number in 0..30 {
        sandbox.put("n.txt", number.to_string());
    }
    sandbox.put("long.txt", text.replace("line", "row"));
    for words in [
        &["cat", "long.txt"][..],
        &["diff", "1", "2"],
        &["log"],
        &["--json", "log"],
        &["ls"],
        &["man"],
        &["completions", "zsh"],
    ] {
        let mut child = sandbox.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let run = run_of(child.wait_with_output().unwrap());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{words:?}");
    }
    // The pipe is closed from the start.
    for words in [&["log"][..], &["status"], &["--help"], &["verify"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = finish(sandbox.command(words).stdout(writer).stderr(Stdio::piped()));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{words:?}");
    }
}

#[test]
fn closed_standard_error_is_no_reason_to_panic() {
    let sandbox = Sandbox::with_store();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = sandbox.command(&["cat", "nosuch"]).stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(3));
}
