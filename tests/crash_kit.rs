//! The crash kit finds the mistakes of applications, and nothing in a correct one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use genstore::sim::{Left, Machine, Outcome, PowerCuts, Report, Violation};
use genstore::{Store, json};

/// Commits one file.
fn commit(store: &Store, path: &str, content: &str) -> genstore::Result<()> {
    let mut tx = store.begin()?;
    tx.put(path, content)?;
    tx.commit(path)?;
    Ok(())
}

/// The content of a file, or an empty string.
fn read(left: &Left<'_>, path: &str) -> String {
    let snapshot = left.store.snapshot().unwrap();
    if snapshot.list(path).next().is_none() {
        return String::new();
    }
    String::from_utf8(snapshot.get(path).unwrap()).unwrap()
}

/// Commits a plan twice, and confirms each commit.
fn plans(machine: &Machine) -> Outcome {
    let store = machine.start()?;
    for day in ["monday", "friday"] {
        commit(&store, "plan", day)?;
        machine.reached(day);
    }
    Ok(())
}

/// A confirmed plan is present, or the next one.
fn confirmed(left: &Left<'_>) -> Outcome {
    let allowed: &[&str] = match left.reached {
        [] => &["", "monday"],
        [_] => &["monday", "friday"],
        _ => &["friday"],
    };
    let plan = read(left, "plan");
    if allowed.contains(&plan.as_str()) { Ok(()) } else { Err(format!("the plan is {plan:?}").into()) }
}

fn replay(
    commits: impl FnOnce(&Machine) -> Outcome,
    check: impl Fn(&Left<'_>) -> Outcome,
) -> Result<Report, Violation> {
    PowerCuts::new().replay(commits, check)
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let few = PowerCuts::new().ways(4).replay(plans, confirmed).unwrap();
    let many = PowerCuts::new().ways(64).replay(plans, confirmed).unwrap();
    assert_eq!(few.operations, many.operations);
    assert!(few.operations > 100 && few.states > 80, "{few:?}");
    assert!(many.states > 2 * few.states, "{few:?}, {many:?}");
    assert_eq!(PowerCuts::new().ways(4).replay(plans, confirmed).unwrap(), few, "it is the same each time");
}

#[test]
fn one_change_in_two_commits_is_found() {
    let commits = |machine: &Machine| {
        let store = machine.start()?;
        commit(&store, "plan", "monday")?;
        commit(&store, "index", "monday")?;
        Ok(())
    };
    let check = |left: &Left<'_>| {
        assert_eq!(read(left, "plan"), read(left, "index"), "plan and index");
        Ok(())
    };
    let failure = replay(commits, check).unwrap_err();
    assert!(failure.reason.contains("plan and index"), "{failure}");
    assert!(failure.to_string().contains("the power is cut after operation"), "{failure}");
    assert!(failure.files.contains(&("data/plan.g2".to_owned(), 6)), "{:?}", failure.files);
    assert_eq!(replay(commits, check).unwrap_err(), failure, "it is the same each time");
}

#[test]
fn a_commit_that_is_confirmed_too_early_is_found() {
    let commits = |machine: &Machine| {
        let store = machine.start()?;
        commit(&store, "plan", "monday")?;
        machine.reached("monday");
        machine.reached("friday");
        commit(&store, "plan", "friday")?;
        Ok(())
    };
    let failure = replay(commits, confirmed).unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.reached.len()), ("the plan is \"monday\"", 2));
}

#[test]
fn an_application_that_does_not_start_on_an_empty_store_is_found() {
    let check = |left: &Left<'_>| {
        left.store.snapshot()?.get("plan")?;
        Ok(())
    };
    let failure = replay(plans, check).unwrap_err();
    assert_eq!(failure.when, "the power is cut before the first operation");
    assert!(failure.reason.contains("plan"), "{failure}");
    assert_eq!(failure.files, []);
}

#[test]
fn commits_that_fail_are_not_replayed() {
    let options = Store::options().author("ann").validate("**.json", json()).unwrap();
    let commits = |machine: &Machine| Ok(commit(&machine.start()?, "plan.json", "not JSON")?);
    let failure = PowerCuts::new().options(options).replay(commits, |_| panic!("never asked")).unwrap_err();
    assert_eq!(failure.when, "before any power cut");
    assert!(failure.reason.contains("plan.json"), "{failure}");
}

#[test]
fn commits_to_another_store_are_refused() {
    let failure = replay(|_| Ok(()), |_| Ok(())).unwrap_err();
    assert_eq!((failure.when.as_str(), failure.reached.len()), ("before any power cut", 0));
    assert!(failure.reason.contains("Machine::start"), "{failure}");
}

#[test]
fn a_failure_is_readable_as_unwrap_prints_it() {
    let commits = |machine: &Machine| {
        machine.start()?;
        machine.reached("the start");
        Ok(())
    };
    let check = |left: &Left<'_>| if left.reached.is_empty() { Ok(()) } else { Err("".into()) };
    let failure = replay(commits, check).unwrap_err();
    let text = format!("{failure:?}");
    let first = format!("{}, \"the start\" reached: the check fails without a reason", failure.when);
    assert_eq!(text.lines().next(), Some(first.as_str()));
    assert!(text.contains("\n  CURRENT ("), "{text}");
}

#[test]
fn what_is_left_can_be_worked_on() {
    let check = |left: &Left<'_>| {
        commit(&left.store, "plan", "sunday")?;
        assert_eq!(read(left, "plan"), "sunday");
        let newest = left.store.history()?.next().unwrap()?;
        assert_eq!(newest.author, "ann");
        Ok(())
    };
    PowerCuts::new().ways(2).options(Store::options().author("ann")).replay(plans, check).unwrap();
}
