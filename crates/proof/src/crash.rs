//! The power is cut at every operation, and again at every operation of what follows.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::oracle::{self, Shown, Verdict};
use super::parallel::{on_all_processors, shuffled};
use super::workloads::{self, Workload};
use super::world::{Expect, World, Wrap, plain, put};
use crate::fs::sim::Step;
use crate::fs::sim::crash_point::CrashPoint;
use crate::fs::sim::disk::Disk;
use crate::proof::budget;

/// If a point has at most this many ways, all are tried. Else as many are sampled.
const LIMIT: u64 = 4096;
/// The samples of each point in the first sampled pass, and the same for long work. More are taken
/// once that pass is done.
const SAMPLES: u64 = 512;
const SAMPLES_LONG: u64 = 16;
/// The ways with which each point is tried first.
const SHALLOW: u64 = 12;
/// The same for the second power cut.
const LIMIT_AGAIN: u64 = 2;
/// The same as [`LIMIT`], in a run before each change.
const LIMIT_IN_CI: u64 = 64;

/// A set of disks, each with what is expected of it.
#[derive(Default)]
struct Disks {
    keys: [Mutex<HashSet<[u8; 16]>>; 16],
    count: AtomicU64,
}

impl Disks {
    /// Adds one. Gives whether it is new.
    fn add(&self, image: &[u8; 32], expect: u64) -> bool {
        let mut key = [0; 16];
        key.copy_from_slice(&image[..16]);
        key.iter_mut().zip(expect.to_le_bytes()).for_each(|(key, expect)| *key ^= expect);
        let is_new = self.keys[usize::from(key[15] % 16)].lock().unwrap().insert(key);
        self.count.fetch_add(u64::from(is_new), Ordering::Relaxed);
        is_new
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Everything that was checked so far.
#[derive(Default)]
pub(super) struct Seen {
    states: Disks,
    /// The disks on which the work went on.
    second: Disks,
    runs: AtomicUsize,
    /// The points that were tried in every way, and those that have too many ways for that.
    complete: AtomicUsize,
    sampled: AtomicUsize,
}

impl Seen {
    pub(super) fn count(&self) -> u64 {
        self.states.count()
    }
}

/// Recorded work, with what is expected before each operation and after the last.
pub(super) struct Recorded {
    name: String,
    pub(super) steps: Vec<Step>,
    last: Disk,
    expect: Vec<Arc<Expect>>,
    /// See [`Workload::is_long`].
    is_long: bool,
    pub(super) wrap: Wrap,
}

impl Recorded {
    pub(super) fn of(workload: &Workload, wrap: &Wrap) -> Verdict<Self> {
        let mut world = (workload.prepare)();
        world.wrap = Arc::clone(wrap);
        world.record();
        let way = world.way();
        (workload.work)(&mut world, way).map_err(|error| format!("{}: {error}", workload.name))?;
        Ok(Self { is_long: workload.is_long, ..Self::ended(workload.name.clone(), &world) })
    }

    pub(super) fn ended(name: String, world: &World) -> Self {
        let last = world.fs.disk();
        let steps = world.fs.recording();
        let expect = world.expectations(steps.len());
        Self { name, steps, last, expect, is_long: false, wrap: Arc::clone(&world.wrap) }
    }

    /// The points at which the power can be cut: before each operation and after the last. A point
    /// is left out if neither the disk nor what is expected has changed since the one before.
    pub(super) fn points(&self) -> impl Iterator<Item = usize> {
        (0..=self.steps.len()).filter(|point| {
            point.checked_sub(1).is_none_or(|before| {
                self.steps[before].op.changes() || !Arc::ptr_eq(&self.expect[before], &self.expect[*point])
            })
        })
    }

    /// The disk at a point, and what is expected of it.
    pub(super) fn at(&self, point: usize) -> (&Disk, &Arc<Expect>) {
        (self.steps.get(point).map_or(&self.last, |step| &step.before), &self.expect[point])
    }

    fn describe(&self, point: usize) -> String {
        let from = point.saturating_sub(6);
        let before: Vec<String> =
            self.steps[from..point].iter().map(|step| format!("{:?}", step.op)).collect();
        format!("{}: power cut at operation {point}, after {}", self.name, before.join(", "))
    }
}

/// How much is tried at each point.
#[derive(Clone, Copy)]
pub(super) struct Depth {
    /// The most ways that are all tried.
    pub(super) limit: u64,
    /// Whether points with at most `limit` ways are skipped.
    pub(super) done: bool,
    /// How many ways are tried at a point with more than `limit`. If 0, such points are only
    /// counted.
    pub(super) samples: u64,
    /// The same in long work.
    pub(super) samples_long: u64,
    /// How many ways are tried at each point after a first power cut.
    pub(super) limit_again: u64,
    /// On how many disks of each point the work goes on to a second power cut.
    pub(super) again: u64,
    pub(super) seed: u64,
}

impl Depth {
    /// All ways of a point with at most `limit`, else as many samples. There is no second power
    /// cut.
    pub(super) const fn up_to(limit: u64, seed: u64) -> Self {
        Self { limit, done: false, samples: limit, samples_long: limit, limit_again: 0, again: 0, seed }
    }

    /// Whether the work goes on from one of the disks of a point. It does from the last one. The
    /// bytes of the others decide, so that other threads make no difference.
    fn goes_on(self, place: usize, all: usize, image: &[u8; 32]) -> bool {
        let Some(others) = self.again.checked_sub(1) else { return false };
        let mut hash = [0; 8];
        hash.copy_from_slice(&image[..8]);
        place + 1 == all || u64::from_le_bytes(hash) % (all as u64) < others
    }
}

/// Cuts the power at each of these points as deep as told, and again during what follows.
pub(super) fn cut(
    recorded: &Recorded,
    points: impl Iterator<Item = usize>,
    depth: Depth,
    seen: &Seen,
) -> Verdict {
    // Equal disks belong to points that are near each other. To keep all of them would take
    // gigabytes.
    let shown = Shown::default();
    for point in points {
        cut_at(recorded, point, depth, seen, &shown)?;
    }
    seen.runs.fetch_add(shown.runs(), Ordering::Relaxed);
    Ok(())
}

fn cut_at(recorded: &Recorded, point: usize, depth: Depth, seen: &Seen, shown: &Shown) -> Verdict {
    let (disk, expect) = recorded.at(point);
    let cut = CrashPoint::new(disk, depth.seed ^ point as u64);
    let expected = expect.digest();
    let samples = if recorded.is_long { depth.samples_long } else { depth.samples };
    let every_way = cut.every_way(depth.limit);
    if every_way.is_some() && depth.done {
        return Ok(());
    }
    if depth.samples == 0 {
        let points = if every_way.is_some() { &seen.complete } else { &seen.sampled };
        points.fetch_add(1, Ordering::Relaxed);
    }
    let choices = every_way.unwrap_or_else(|| cut.samples(samples));
    for (place, choice) in choices.iter().enumerate() {
        let image = cut.image(choice);
        let explain = |wrong: String| {
            format!("{}, choice {choice:?}: {wrong}\n{}", recorded.describe(point), tree(&image.disk))
        };
        if seen.states.add(&image.hash, expected) {
            oracle::check(&image, expect, expected, &recorded.wrap, shown).map_err(explain)?;
        }
        if depth.goes_on(place, choices.len(), &image.hash) && seen.second.add(&image.hash, expected) {
            again(&image.disk, expect, &recorded.wrap, depth, seen).map_err(explain)?;
        }
    }
    Ok(())
}

/// Goes on after a power cut, and cuts the power at each operation of that work.
fn again(disk: &Disk, expect: &Expect, wrap: &Wrap, depth: Depth, seen: &Seen) -> Verdict {
    let mut expect = expect.clone();
    expect.seen = oracle::highest(&oracle::numbers(disk)).max(expect.seen);
    let mut world = World::start(disk.clone(), 2, expect);
    world.wrap = Arc::clone(wrap);
    world.record();
    let edits = [put("a.json", "after the first power cut"), put("again/b", "b")];
    world
        .open_or_create()
        .and_then(|store| world.commit(&store, &edits))
        .map_err(|error| format!("no commit works after it: {error}"))?;
    let recorded = Recorded::ended("after a power cut".into(), &world);
    cut(&recorded, recorded.points(), Depth::up_to(depth.limit_again, depth.seed), seen)
}

fn tree(disk: &Disk) -> String {
    let mut text = String::new();
    oracle::walk(disk, &mut |path, data| {
        text.push_str(&match data {
            None => format!("  {path}/\n"),
            Some(data) => format!(
                "  {path} {} {:?}\n",
                data.now.len(),
                String::from_utf8_lossy(&data.now[..data.now.len().min(60)])
            ),
        });
    });
    text
}

/// A few ways of each point, and a second power cut after two of them.
fn shallow(seed: u64) -> Depth {
    Depth { limit_again: LIMIT_AGAIN, again: 2, ..Depth::up_to(SHALLOW, seed) }
}

/// The points with at most `limit` ways, in every way. The others are counted.
fn every_way(limit: u64, seed: u64) -> Depth {
    Depth { samples: 0, samples_long: 0, ..Depth::up_to(limit, seed) }
}

/// What a long run tries of all points with one seed, in this order. First come a few ways of each,
/// then every way of the points that have few enough. Then come some samples of each other point,
/// then all samples, with long work last.
fn depths(seed: u64) -> [Depth; 5] {
    let sampled = |samples, samples_long| Depth {
        done: true,
        samples,
        samples_long,
        limit_again: LIMIT_AGAIN,
        again: 1,
        ..Depth::up_to(LIMIT, seed)
    };
    [
        shallow(seed),
        every_way(LIMIT, seed),
        sampled(SAMPLES, SAMPLES_LONG),
        sampled(LIMIT, SAMPLES_LONG),
        sampled(LIMIT, LIMIT),
    ]
}

/// Every workload at every point, on all processors, in an order that the seed decides. Sampled
/// passes end once `wanted` states were seen.
fn everything(recorded: &[Recorded], depth: Depth, wanted: u64, seen: &Seen) -> Verdict {
    let points: Vec<(usize, usize)> = recorded
        .iter()
        .enumerate()
        .flat_map(|(workload, recorded)| recorded.points().map(move |point| (workload, point)))
        .collect();
    on_all_processors(&shuffled(points, depth.seed), |(workload, point)| {
        if depth.done && seen.count() >= wanted {
            return Ok(());
        }
        cut(&recorded[*workload], std::iter::once(*point), depth, seen)
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the elapsed time is printed")]
fn the_power_is_cut_at_every_operation() {
    let wanted = budget::runs(0);
    let seed = budget::seed();
    let start = std::time::Instant::now();
    let all = workloads::all();
    let recorded: Vec<Recorded> =
        all.iter().map(|workload| Recorded::of(workload, &plain()).unwrap()).collect();
    let operations: usize = recorded.iter().map(|recorded| recorded.steps.len()).sum();
    let points = recorded.iter().map(|recorded| recorded.points().count()).sum::<usize>();
    let seen = Seen::default();
    let mut complete = 0;
    let long = (0..).flat_map(|round| depths(seed.wrapping_add(round)));
    let in_ci = [shallow(seed), every_way(LIMIT_IN_CI, seed)];
    let depths: Box<dyn Iterator<Item = Depth>> =
        if wanted == 0 { Box::new(in_ci.into_iter()) } else { Box::new(long) };
    for depth in depths {
        if let Err(wrong) = everything(&recorded, depth, wanted, &seen) {
            panic!("seed {}: {wrong}", depth.seed);
        }
        if (depth.seed, depth.samples) == (seed, 0) {
            complete = seen.complete.load(Ordering::Relaxed);
            assert_eq!(complete + seen.sampled.load(Ordering::Relaxed), points);
        }
        println!(
            "crash: seed {}, points of at most {} ways in all ways, {} samples of others, {} in long work: {} states so far",
            depth.seed,
            depth.limit,
            depth.samples,
            depth.samples_long,
            seen.count()
        );
        if depth.limit == LIMIT && seen.count() >= wanted {
            break;
        }
    }
    let second = seen.second.count();
    assert!(second > points as u64 / 2 && seen.count() >= wanted, "{second} of {points}");
    println!(
        "crash: {} workloads, {operations} operations, {points} points ({complete} in every way), from {second} disks once more, \
         {} distinct states, settled by {} runs, {} s, 0 violations, seed {seed}",
        recorded.len(),
        seen.count(),
        seen.runs.into_inner(),
        start.elapsed().as_secs()
    );
}
