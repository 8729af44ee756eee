//! What must hold of every disk that a power cut leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::scene::{self, Expect, State, Wrap};
use crate::error::ErrorKind;
use crate::format::names::{DATA, MANIFESTS, Name};
use crate::fs::sim::SimFs;
use crate::fs::sim::cut::{Cut, Image};
use crate::fs::sim::disk::{Data, Disk, Node, ROOT};
use crate::revision::Generation;
use crate::store::Store;
use crate::verify::{VerifyOptions, VerifyScope};

/// What is wrong, in words.
pub(super) type Verdict<T = ()> = Result<T, String>;

macro_rules! hold {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

pub(super) use hold;

/// Calls `see` with every name on the disk, directories with `None`.
pub(super) fn walk(disk: &Disk, see: &mut dyn FnMut(&str, Option<&Data>)) {
    fn directory(disk: &Disk, dir: Node, path: &str, see: &mut dyn FnMut(&str, Option<&Data>)) {
        for (name, node) in disk.dirs.get(&dir).into_iter().flatten() {
            let path = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
            let data = disk.files.get(node);
            see(&path, data);
            if data.is_none() {
                directory(disk, *node, &path, see);
            }
        }
    }
    directory(disk, ROOT, "", see);
}

/// The numbers of all generations of which there is a name.
pub(super) fn numbers(disk: &Disk) -> BTreeSet<Generation> {
    let mut numbers = BTreeSet::new();
    walk(disk, &mut |path, data| {
        let is_of_generation = [MANIFESTS, DATA].iter().any(|folder| path.starts_with(&format!("{folder}/")));
        if is_of_generation && data.is_some() {
            numbers.extend(Name::parse(path).and_then(|name| name.generation()));
        }
    });
    numbers
}

/// Everything but locks and what is in them: those come and go with readers.
fn lasting(fs: &SimFs) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    walk(&fs.disk(), &mut |path, data| {
        if path != "locks" && !path.starts_with("locks/") {
            hasher.update(path.as_bytes()).update(&[0, u8::from(data.is_some())]);
            hasher.update(data.map_or(&[][..], |data| &data.now));
        }
    });
    *hasher.finalize().as_bytes()
}

/// Everything that must hold after a power cut.
pub(super) fn check(image: &Image, expect: &Expect, wrap: &Wrap) -> Verdict {
    let (disk, lot) = (&image.disk, image.hash[0]);
    let fs = SimFs::start(disk.clone(), 5);
    let way = wrap(Arc::new(fs.clone()));
    let found = numbers(disk);
    let store = match scene::open(Arc::clone(&way)) {
        Ok(store) => store,
        Err(error) => {
            hold!(expect.last().is_none() && error.is_vacant(), "it does not open: {error}");
            let store = scene::create(way)
                .map_err(|error| format!("the making that was interrupted cannot be completed: {error}"))?;
            hold!(
                found.iter().all(|number| *number < store.engine.known().link.generation),
                "a number was used again by the making"
            );
            let seen = Generation::FIRST.get().max(highest(&found));
            return check_save(&fs, &store, State::new(), seen, lot);
        }
    };
    let before = lasting(&fs);
    hold!(store.recovery().is_none(), "it opens damaged: {:?}", store.recovery());
    let (head, state) =
        scene::contents(&store).map_err(|error| format!("the newest cannot be read: {error}"))?;
    check_head(head, &state, expect)?;
    check_history(&store, expect)?;
    check_raw(disk, expect)?;
    // Everything at once is tried on every fourth disk.
    if lot.is_multiple_of(4) {
        check_whole(&store)?;
    }
    let status = store.status().map_err(|error| error.to_string())?;
    let above: Vec<Generation> = found.iter().filter(|number| **number > head).copied().collect();
    hold!(
        status.interrupted == above,
        "interrupted saves {above:?} are reported as {:?}",
        status.interrupted
    );
    hold!(lasting(&fs) == before, "opening and reading changed the disk");
    let again = if lot.is_multiple_of(4) {
        drop(store);
        scene::open(way).map_err(|error| format!("it does not open twice: {error}"))?
    } else {
        store
    };
    hold!(again.engine.known().link.generation == head, "opening twice gives something else");
    check_save(&fs, &again, state, expect.seen.max(highest(&found)), lot)
}

fn highest(found: &BTreeSet<Generation>) -> u64 {
    found.last().map_or(0, |number| number.get())
}

/// The newest generation is the last that was acknowledged, or one that was begun after it.
fn check_head(head: Generation, state: &State, expect: &Expect) -> Verdict {
    match expect.last() {
        Some((last, _)) if head < last => {
            Err(format!("generation {last} was acknowledged, and the newest is {head}"))
        }
        Some((last, expected)) if head == last => {
            hold!(*state == *expected.state, "generation {head} holds something else than was saved");
            Ok(())
        }
        _ => {
            hold!(
                expect.possible.iter().any(|possible| **possible == *state),
                "generation {head} holds neither what was saved nor what was being saved: {:?}",
                state.keys()
            );
            Ok(())
        }
    }
}

/// Every earlier generation is as it was, and nothing else has become one. The hash of a manifest says that the
/// generation is the same, and [`check_raw`] that every byte is there.
fn check_history(store: &Store, expect: &Expect) -> Verdict {
    let mut left = expect.certain.clone();
    for entry in store.history().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| format!("the history is damaged: {error}"))?;
        let generation = entry.generation;
        if let Some(saved) = left.remove(&generation) {
            hold!(saved.manifest == entry.manifest, "generation {generation} is another one now");
            continue;
        }
        let snapshot = store.snapshot_at(generation).map_err(|error| format!("{generation}: {error}"))?;
        let (_, state) = scene::state_of(&snapshot).map_err(|error| format!("{generation}: {error}"))?;
        let is_possible = expect.possible.iter().any(|possible| **possible == state);
        hold!(is_possible, "generation {generation} was never saved");
    }
    hold!(left.is_empty(), "generations {:?} are gone", left.keys());
    Ok(())
}

/// Every byte that a certain generation wrote is there.
fn check_raw(disk: &Disk, expect: &Expect) -> Verdict {
    let mut found = BTreeMap::new();
    walk(disk, &mut |path, data| drop(found.insert(path.to_owned(), data.map(|data| Arc::clone(&data.now)))));
    for (path, bytes) in expect.certain.values().flat_map(|saved| &saved.raw) {
        hold!(found.get(path) == Some(&Some(Arc::clone(bytes))), "{path} is not what was written");
    }
    Ok(())
}

fn check_whole(store: &Store) -> Verdict {
    let options = VerifyOptions { scope: VerifyScope::All, threads: 1, ..VerifyOptions::default() };
    let report = store.verify(&options).map_err(|error| error.to_string())?;
    hold!(report.ok, "it does not verify: {:?}", report.findings);
    Ok(())
}

/// A save works, is durable, and takes a number that was never seen.
fn check_save(fs: &SimFs, store: &Store, mut state: State, seen: u64, lot: u8) -> Verdict {
    state.insert("after".into(), b"the power cut".to_vec());
    let save = || {
        let mut tx = store.begin()?;
        tx.put("after", "the power cut")?;
        tx.commit("after")
    };
    let commit = save().map_err(|error| format!("nothing can be saved: {error}"))?;
    hold!(commit.generation.get() > seen, "number {} was used again", commit.generation);
    // Nothing that is not promised to last is left. The workloads cut each save short in every way; this one is tried
    // now and then.
    if !lot.is_multiple_of(4) {
        return Ok(());
    }
    let disk = fs.disk();
    let cut = Cut::new(&disk, 0);
    let left = cut.image(&cut.nothing_kept());
    let found = scene::open(Arc::new(SimFs::start(left.disk, 6))).and_then(|store| scene::contents(&store));
    match found {
        Ok((generation, found)) => {
            hold!(generation == commit.generation && found == state, "the save after the power cut was lost");
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::Io => Err(format!("the save was lost: {error}")),
        Err(error) => Err(format!("the save after the power cut tore the store: {error}")),
    }
}
