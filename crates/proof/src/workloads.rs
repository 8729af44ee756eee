//! The work during which the power is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::world::{self, Edit, Expect, State, World, Wrap, plain, put, staged, stream};
use crate::error::ErrorKind;
use crate::format::names::MANIFESTS;
use crate::fs::Fs;
use crate::fs::op::Op;
use crate::fs::sim::disk::Disk;
use crate::proof::injector::{Action, FaultInjector, Plan, Rule};
use crate::revision::Generation;

/// Does the work through a process's way to the disk.
type Work = Box<dyn Fn(&mut World, Arc<dyn Fs>) -> crate::Result<()> + Send + Sync>;

/// One scripted piece of work, and what comes before it. Only the work is recorded.
pub(super) struct Workload {
    pub(super) name: String,
    pub(super) prepare: Box<dyn Fn() -> World + Send + Sync>,
    pub(super) work: Work,
    /// Whether a commit may first settle the pointer that it finds, and swap it one more time.
    pub(super) settles: bool,
    /// Whether it has very many operations, almost all alike, so that fewer ways are tried at each.
    pub(super) is_long: bool,
}

fn workload(
    name: impl Into<String>,
    prepare: impl Fn() -> World + Send + Sync + 'static,
    work: impl Fn(&mut World, Arc<dyn Fs>) -> crate::Result<()> + Send + Sync + 'static,
) -> Workload {
    let name = name.into();
    let prepare = Box::new(prepare);
    let work = Box::new(work);
    Workload { name, prepare, work, settles: false, is_long: false }
}

/// A small store with some history.
fn begun() -> World {
    World::with(&[
        &[put("a.json", "first a"), put("directory/b.json", "first b"), put("gone.json", "first gone")],
        &[put("directory/b.json", "second b"), put("directory/c.json", "second c")],
    ])
}

/// `count` files in a directory.
fn files(edit: fn(&str, &str) -> Edit, count: usize, directory: &str) -> Vec<Edit> {
    (0..count)
        .map(|number| edit(&format!("{directory}f{number}.json"), &format!("file {number} of {count}")))
        .collect()
}

fn commits(
    edits: Vec<Edit>,
) -> impl Fn(&mut World, Arc<dyn Fs>) -> crate::Result<()> + Send + Sync + 'static {
    move |world, way| {
        let store = world.open(way)?;
        world.commit(&store, &edits).map(drop)
    }
}

fn empty() -> World {
    World::start(Disk::default(), 1, Expect::default())
}

/// Content of several pages. No two pieces of it are equal.
fn long(length: usize) -> String {
    (0..length / 8).map(|number| format!("{number:08}")).collect()
}

/// Every workload.
pub(super) fn all() -> Vec<Workload> {
    let mut all = vec![
        workload("init", empty, |world, way| world.init(way)),
        workload("init and first commit", empty, |world, way| {
            world.init(Arc::clone(&way))?;
            commits(vec![put("a", "1")])(world, way)
        }),
        workload(
            "first commit",
            || World::with(&[]),
            commits(vec![put("a.json", "1"), put("new/b.json", "2")]),
        ),
        workload("commit of 1 file", begun, commits(vec![put("a.json", "third a")])),
        workload("commit of 3 files", begun, commits(files(put, 3, "directory/"))),
        workload("new directories three deep", begun, commits(files(put, 2, "one/two/three/"))),
        workload(
            "streamed input",
            begun,
            commits(vec![
                stream("directory/b.json", "third b"),
                stream("new/deep/d.json", &long(9_000)),
                put("a.json", "third a"),
            ]),
        ),
        workload(
            "streamed to a file system that links instead of renaming",
            || {
                let world = begun();
                world.fs.link_instead();
                world
            },
            commits(vec![stream("directory/b.json", "third b"), stream("new/deep/d.json", "third d")]),
        ),
        workload(
            "all kinds of change",
            begun,
            commits(vec![
                put("a.json", "third a"),
                stream("directory/b.json", "second b"),
                Edit::Rename("directory/c.json".into(), "moved/c.json".into()),
                Edit::Remove("gone.json".into()),
            ]),
        ),
        workload("rollback", begun, |world, way| {
            let store = world.open(way)?;
            world.rollback(&store, Generation::new(2).unwrap()).map(drop)
        }),
        workload("a part is restored", begun, |world, way| {
            let store = world.open(way)?;
            world.restore(&store, Generation::new(2).unwrap(), "directory/").map(drop)
        }),
        workload("two writers on bases that are not the head any more", begun, |world, way| {
            let one = world.open(Arc::clone(&way))?;
            let other = world.open(way)?;
            let edits = [
                [put("a.json", "third a")],
                [stream("directory/b.json", "third b")],
                [put("a.json", "fourth a")],
            ];
            let [first, second, mut third] =
                [staged(&one, &edits[0])?, staged(&other, &edits[1])?, staged(&one, &edits[2])?];
            third.overwrite(true);
            world.commit_staged(&one, first, &edits[0])?;
            world.commit_staged(&other, second, &edits[1])?;
            world.commit_staged(&one, third, &edits[2]).map(drop)
        }),
        workload("several commits", begun, |world, way| {
            let store = world.open(way)?;
            world.commit(&store, &[put("a.json", "third a")])?;
            world.commit(&store, &[put("a.json", "third a")])?;
            world.commit(&store, &[put("a.json", "fourth a"), Edit::Remove("gone.json".into())]).map(drop)
        }),
        workload("a transaction that is dropped", begun, |world, way| {
            let store = world.open(way)?;
            let mut tx = store.begin()?;
            tx.put_reader("directory/never.json", "never".as_bytes())?;
            drop(tx);
            world.commit(&store, &[put("a.json", "third a")]).map(drop)
        }),
        workload(
            "checkpoint",
            || committed(6),
            |world, way| {
                let store = world.open(way)?;
                (0..3).try_for_each(|number| {
                    world.commit(&store, &[put("a.json", &format!("late {number}"))]).map(drop)
                })
            },
        ),
        workload(
            "directories that a copy has lost",
            lost_directories,
            commits(vec![stream("a.json", "third a")]),
        ),
    ];
    for syncfs in [false, true] {
        let with = if syncfs { "with one syncfs" } else { "with an fsync for each" };
        let prepare = move || {
            let world = begun();
            world.fs.offer_syncfs(syncfs);
            world
        };
        all.push(workload(format!("commit of 100 files {with}"), prepare, commits(files(put, 100, "many/"))));
        all.push(workload(format!("commit of 14 files in directories {with}"), prepare, commits(spread(14))));
        // More than are fsynced one by one where a syncfs is offered, and more than are held open.
        for count in [13, 66] {
            let name = format!("commit of {count} streamed files {with}");
            all.push(workload(name, prepare, commits(files(stream, count, "in/"))));
        }
    }
    all.extend(killed());
    for workload in &mut all {
        let settling = ["commits the same", "killed", "directories that a copy"];
        workload.settles = settling.iter().any(|name| workload.name.contains(name));
        workload.is_long = ["100 files", "66 streamed"].iter().any(|name| workload.name.contains(name));
    }
    all
}

fn spread(count: usize) -> Vec<Edit> {
    (0..count)
        .map(|number| {
            let path = format!("d{}/f{number}.json", number % 5);
            let content = format!("file {number}");
            if number % 3 == 0 { stream(&path, &content) } else { put(&path, &content) }
        })
        .collect()
}

/// A store in which the same file was committed `count` times.
fn committed(count: usize) -> World {
    let commits: Vec<[Edit; 1]> =
        (0..count).map(|number| [put("a.json", &format!("early {number}"))]).collect();
    World::with(&commits.iter().map(<[Edit; 1]>::as_slice).collect::<Vec<_>>())
}

/// A store that was copied without its empty directories.
fn lost_directories() -> World {
    let world = begun();
    let way = world.way();
    for name in ["locks/writer", "staging", "checkpoints", "quarantine"] {
        let _ = way.remove(name);
        let _ = way.remove_dir(name);
    }
    way.remove_dir("locks").unwrap();
    way.sync_dir("").unwrap();
    world
}

/// Two writers in turn. The first is killed at each of its operations. The second commits on what
/// it finds.
fn killed() -> Vec<Workload> {
    let trace = {
        let fault = waiting(begun().way());
        first(fault.way()).unwrap();
        fault.take_trace().into_iter().filter(Op::changes).collect::<Vec<_>>()
    };
    let swapped = trace.iter().position(Op::swaps).unwrap() + 1;
    assert!(trace.len() <= KILLED_MAX);
    let name = |after, what| {
        let when = match swapped.checked_sub(after) {
            Some(1) => "before its swap".to_owned(),
            Some(0) => "after its swap".to_owned(),
            _ => format!("after {after} operations"),
        };
        format!("a writer is killed {when} and another one {what}")
    };
    let mut killed: Vec<Workload> = (0..trace.len())
        .flat_map(|after| {
            [
                workload(
                    name(after, "commits something else"),
                    move || first_killed(after, &plain()),
                    second(false),
                ),
                workload(
                    name(after, "commits the same"),
                    move || first_killed(after, &plain()),
                    second(true),
                ),
            ]
        })
        .collect();
    let name = "the fsync after a swap fails and another one commits the same";
    killed.push(workload(name, unsynced, second(true)));
    let settling = {
        let fault = waiting(unsynced().way());
        first(fault.way()).unwrap();
        fault.take_trace().iter().filter(|op| op.changes()).count()
    };
    assert!(settling <= KILLED_MAX);
    killed.extend(creation_killed());
    killed.extend((0..settling).map(|after| {
        let name = format!("the same, and the writer that settles it is killed after {after} operations");
        workload(name, move || settling_killed(after, &plain()), second(true))
    }));
    killed
}

/// The creation of a store is killed, and another process completes it.
fn creation_killed() -> Vec<Workload> {
    let trace = {
        let fault = waiting(empty().way());
        world::create(fault.way()).unwrap();
        fault.take_trace().into_iter().filter(Op::changes).collect::<Vec<_>>()
    };
    let created =
        trace.iter().position(|op| matches!(op, Op::Create(name) if name.starts_with(MANIFESTS))).unwrap();
    let killed = |after: usize| {
        let mut world = empty();
        let fault = waiting(world.way());
        fault.plan(Some(dies_after(after)));
        let _ = world::create(fault.way());
        world.killed(Arc::default());
        world
    };
    let completes = |world: &mut World, way: Arc<dyn Fs>| {
        match world.open(Arc::clone(&way)) {
            Err(error) if error.is_missing_store() => world.init(Arc::clone(&way))?,
            other => drop(other?),
        }
        let store = world.open(way)?;
        world.commit(&store, &[put("a.json", "a")]).map(drop)
    };
    let name = |after| {
        format!(
            "the creation of a store is killed after {after} operations, and another process completes it"
        )
    };
    (created + 1..trace.len()).map(|after| workload(name(after), move || killed(after), completes)).collect()
}

/// The most operations of the killed writer.
pub(super) const KILLED_MAX: usize = 50;

/// A writer without faults, after one that goes through `wrap` and is killed after so many
/// operations. In the first workload the killed one commits. In the second it finds its own commit
/// and settles it.
pub(super) fn killed_first(after: usize, wrap: &Wrap) -> [Workload; 2] {
    let committing = Arc::clone(wrap);
    let settling = Arc::clone(wrap);
    [
        workload("after a killed commit", move || first_killed(after, &committing), second(true)),
        workload("after a killed settling", move || settling_killed(after, &settling), second(true)),
    ]
}

/// Power cuts before the kill belong to the first writer's own workload.
fn first_killed(after: usize, wrap: &Wrap) -> World {
    let mut world = begun();
    let fault = waiting(world.way());
    fault.plan(Some(dies_after(after)));
    // A killed process acknowledges nothing, whatever `commit` returned.
    let _ = first(wrap(fault.way()));
    let state = first_state(&world);
    world.killed(Arc::new(state));
    world
}

/// A pointer was swapped in and is not durable. The killed process wants to commit the same, and
/// dies while it settles the pointer.
fn settling_killed(after: usize, wrap: &Wrap) -> World {
    let world = unsynced();
    let fault = waiting(world.way());
    fault.plan(Some(dies_after(after)));
    let _ = first(wrap(fault.way()));
    world
}

fn first(way: Arc<dyn Fs>) -> crate::Result<()> {
    commit_past(way, &first_commit())
}

/// Commits without recording it in the world.
fn commit_past(way: Arc<dyn Fs>, edits: &[Edit]) -> crate::Result<()> {
    let store = world::open(way)?;
    staged(&store, edits)?.commit("commit").map(drop)
}

/// Commits the same as the first if `same`, and then something else.
fn second(same: bool) -> impl Fn(&mut World, Arc<dyn Fs>) -> crate::Result<()> + Send + Sync + 'static {
    move |world, way| {
        let state = first_state(world);
        let store = world.open(way)?;
        if same {
            world.commit_state(&store, &state)?;
        }
        // The first writer may have left this directory.
        let other = if same { "second.json" } else { "new/deep/second.json" };
        world.commit(&store, &[put("a.json", "third a"), put(other, "of the second")]).map(drop)
    }
}

/// A pointer was swapped in. Its fsync has failed, without any effect.
fn unsynced() -> World {
    let mut world = begun();
    let fails: Rule = {
        let swapped = AtomicBool::new(false);
        Arc::new(move |op| {
            let is_after = swapped.fetch_or(op.swaps(), Ordering::Relaxed);
            if is_after && op.syncs() { Action::Fail(5) } else { Action::PassThrough }
        })
    };
    let way = FaultInjector::over(&world.fs, fails);
    let refused = commits(first_commit())(&mut world, Arc::new(way)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::CommitOutcomeUnknown);
    world
}

/// The files after the first writer's commit.
fn first_state(world: &World) -> State {
    let mut state = (*world.expect.last().unwrap().1.state).clone();
    first_commit().iter().for_each(|edit| edit.apply(&mut state));
    state
}

fn first_commit() -> Vec<Edit> {
    vec![put("a.json", "third a"), put("new/deep/e.json", "third e"), stream("directory/d.json", "third d")]
}

/// A layer without a rule so far.
fn waiting(way: Arc<dyn Fs>) -> FaultInjector {
    FaultInjector::new(way, Arc::new(|_| Action::PassThrough))
}

/// From then on every change fails.
fn dies_after(after: usize) -> Plan {
    Plan {
        after,
        becomes: Action::Fail(rustix::io::Errno::IO.raw_os_error()),
        for_ever: true,
        matches: Op::changes,
    }
}
