//! The weakest disk that POSIX permits: what processes see on it, and what of that is promised to
//! last.
//!
//! The bytes and the length of a file last only once an fsync has promised them. The same holds for
//! each name in each directory. A name refers to its file by number, so the name can last although
//! nothing of the file does.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use imbl::{OrdMap, Vector};
use rustix::io::Errno;

/// The number of a file or directory.
pub(crate) type Node = u64;
/// The number of the root directory.
pub(crate) const ROOT: Node = 1;
/// The names in a directory.
pub(crate) type Names = OrdMap<Arc<str>, Node>;

/// The effect of an fsync that reports a failure.
///
/// The failed fsync of a directory also stops the disk: until the machine starts again, the disk
/// takes no change. ext4, XFS and btrfs behave like this: see `docs/durability.md`, *What is
/// assumed*.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum FailedSync {
    /// The effect of a success.
    Kept,
    /// None, and no later fsync helps: the system takes what it could not write for written.
    Dropped,
    /// The length of the file is durable, with zeros in place of what was written since the last
    /// fsync. Names are dropped.
    Zeroed,
    /// Unknown until the power is cut, and no later fsync promises it. A failed syncfs then stops
    /// the disk. A failed syncfs that is `Dropped` or `Zeroed` loses only bytes: names wait for the
    /// next fsync.
    Undecided,
}

/// The bytes of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    /// What processes read.
    pub(crate) now: Arc<Vec<u8>>,
    /// What is durable.
    pub(crate) durable: Arc<Vec<u8>>,
    /// The ranges of `now` that were written since.
    pub(crate) written: Vec<Range<usize>>,
    /// Whether no later fsync promises what is in `written`.
    disowned: bool,
    /// Whether the file is the note in a lock, which means nothing after the machine has stopped.
    pub(crate) is_note: bool,
}

impl Data {
    /// A file that is durable as a whole.
    pub(crate) fn durable(bytes: Arc<Vec<u8>>, is_note: bool) -> Self {
        Self { now: Arc::clone(&bytes), durable: bytes, is_note, ..Self::default() }
    }
}

/// A change of names that is not promised to last. It lasts as a whole or not at all.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The directory, the name, and what the name refers to from then on.
    pub(crate) sets: Vec<(Node, Arc<str>, Option<Node>)>,
    /// The directories whose fsync is still needed.
    waits_for: Vec<Node>,
    /// Whether the change is only about locks.
    pub(crate) is_note: bool,
}

impl Change {
    /// Whether an fsync has promised the change. A promised change stays in the list while an
    /// earlier change of the same names is undecided.
    pub(crate) fn is_promised(&self) -> bool {
        self.waits_for.is_empty()
    }

    fn touches(&self, other: &Self) -> bool {
        self.sets.iter().any(|(dir, name, _)| other.sets.iter().any(|(d, n, _)| (d, n) == (dir, name)))
    }
}

/// A disk that has stopped because the fsync of a directory failed.
#[derive(Clone, Copy, Debug)]
struct Stopped {
    failed: Node,
    /// Whether the next fsync of another directory still reports success, although it does nothing.
    lies_once: bool,
}

/// A disk. A clone is cheap and independent of the original.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) files: OrdMap<Node, Data>,
    /// The directories as processes see them.
    pub(crate) dirs: OrdMap<Node, Names>,
    /// The directories as they are durable.
    pub(crate) durable_dirs: OrdMap<Node, Names>,
    /// The changes of names since then, in order.
    pub(crate) changes: Vector<Change>,
    next: Node,
    stopped: Option<Stopped>,
}

impl Default for Disk {
    fn default() -> Self {
        let dirs = OrdMap::unit(ROOT, Names::new());
        Self {
            files: OrdMap::new(),
            durable_dirs: dirs.clone(),
            dirs,
            changes: Vector::new(),
            next: ROOT + 1,
            stopped: None,
        }
    }
}

impl Disk {
    /// A disk that is durable as a whole.
    pub(crate) fn durable(files: OrdMap<Node, Data>, dirs: OrdMap<Node, Names>, next: Node) -> Self {
        Self { files, durable_dirs: dirs.clone(), dirs, changes: Vector::new(), next, stopped: None }
    }

    /// The number of the next new file.
    pub(crate) const fn next(&self) -> Node {
        self.next
    }

    /// Fails once the disk has stopped.
    pub(crate) fn check_takes_changes(&self) -> io::Result<()> {
        if self.stopped.is_some() { Err(Errno::ROFS.into()) } else { Ok(()) }
    }

    fn new_node(&mut self) -> Node {
        self.next += 1;
        self.next - 1
    }

    /// Adds an empty file under a new name.
    pub(crate) fn add_file(&mut self, dir: Node, name: &str, is_note: bool) -> Node {
        let node = self.new_node();
        self.files.insert(node, Data { is_note, ..Data::default() });
        self.change(vec![(dir, name.into(), Some(node))]);
        node
    }

    /// Adds an empty directory under a new name.
    pub(crate) fn add_dir(&mut self, dir: Node, name: &str) {
        let node = self.new_node();
        self.dirs.insert(node, Names::new());
        self.durable_dirs.insert(node, Names::new());
        self.change(vec![(dir, name.into(), Some(node))]);
    }

    /// Changes names.
    pub(crate) fn change(&mut self, sets: Vec<(Node, Arc<str>, Option<Node>)>) {
        let is_note = sets.iter().all(|(dir, name, to)| {
            let before = self.dirs.get(dir).and_then(|names| names.get(name)).copied();
            let node = to.or(before).and_then(|node| self.files.get(&node));
            node.is_some_and(|data| data.is_note)
        });
        apply(&mut self.dirs, &sets);
        let mut waits_for: Vec<Node> = sets.iter().map(|(dir, ..)| *dir).collect();
        waits_for.dedup();
        self.changes.push_back(Change { sets, waits_for, is_note });
    }

    /// Writes into a file.
    pub(crate) fn write(&mut self, file: Node, at: usize, bytes: &[u8]) {
        let Some(data) = self.files.get_mut(&file) else { return };
        let end = at + bytes.len();
        let now = Arc::make_mut(&mut data.now);
        now.resize(now.len().max(end), 0);
        if let Some(place) = now.get_mut(at..end) {
            place.copy_from_slice(bytes);
        }
        match data.written.last_mut() {
            Some(last) if last.end == at => last.end = end,
            _ => data.written.push(at..end),
        }
    }

    /// Makes a file durable.
    pub(crate) fn sync_file(&mut self, file: Node) -> io::Result<()> {
        self.check_takes_changes()?;
        if let Some(data) = self.files.get_mut(&file).filter(|data| !data.disowned) {
            data.durable = Arc::clone(&data.now);
            data.written.clear();
        }
        Ok(())
    }

    /// Makes the names in a directory durable.
    pub(crate) fn sync_dir(&mut self, dir: Node) -> io::Result<()> {
        if let Some(stopped) = &mut self.stopped {
            let lies = std::mem::take(&mut stopped.lies_once) && stopped.failed != dir;
            return if lies { Ok(()) } else { Err(Errno::ROFS.into()) };
        }
        for change in self.changes.iter_mut() {
            change.waits_for.retain(|waited| *waited != dir);
        }
        self.fold();
        Ok(())
    }

    /// Makes everything durable.
    pub(crate) fn sync_all(&mut self) -> io::Result<()> {
        self.check_takes_changes()?;
        let files: Vec<Node> = self.files.keys().copied().collect();
        files.into_iter().try_for_each(|file| self.sync_file(file))?;
        self.changes.iter_mut().for_each(|change| change.waits_for.clear());
        self.fold();
        Ok(())
    }

    /// Applies the effect of a failed fsync to a file.
    pub(crate) fn fail_sync_file(&mut self, file: Node, effect: FailedSync) -> io::Result<()> {
        self.check_takes_changes()?;
        if effect == FailedSync::Kept {
            self.sync_file(file)?;
        }
        let Some(data) = self.files.get_mut(&file) else { return Err(Errno::IO.into()) };
        match effect {
            FailedSync::Kept => {}
            FailedSync::Dropped => data.written.clear(),
            FailedSync::Zeroed => {
                let mut zeroed = (*data.now).clone();
                for range in data.written.drain(..) {
                    if let Some(place) = zeroed.get_mut(range) {
                        place.fill(0);
                    }
                }
                data.durable = Arc::new(zeroed);
            }
            FailedSync::Undecided => {}
        }
        data.disowned = true;
        Err(Errno::IO.into())
    }

    /// Applies the effect of a failed fsync to the names in a directory. The disk stops.
    pub(crate) fn fail_sync_dir(&mut self, dir: Node, effect: FailedSync) -> io::Result<()> {
        self.check_takes_changes()?;
        match effect {
            FailedSync::Kept => self.sync_dir(dir)?,
            FailedSync::Dropped | FailedSync::Zeroed => {
                self.changes.retain(|change| !change.waits_for.contains(&dir));
                self.fold();
            }
            FailedSync::Undecided => {}
        }
        self.stopped = Some(Stopped { failed: dir, lies_once: true });
        Err(Errno::IO.into())
    }

    /// Applies the effect of a failed syncfs to everything.
    pub(crate) fn fail_sync_all(&mut self, effect: FailedSync) -> io::Result<()> {
        self.check_takes_changes()?;
        let dirty = self.files.iter().filter(|(_, data)| !data.written.is_empty());
        let files: Vec<Node> = dirty.map(|(file, _)| *file).collect();
        files.into_iter().for_each(|file| drop(self.fail_sync_file(file, effect)));
        match effect {
            FailedSync::Kept => self.sync_all()?,
            FailedSync::Undecided => self.stopped = Some(Stopped { failed: ROOT, lies_once: true }),
            FailedSync::Dropped | FailedSync::Zeroed => {}
        }
        Err(Errno::IO.into())
    }

    /// Moves promised changes to the durable names, unless an earlier change of the same names is
    /// undecided. Such changes stay in their order, as the order decides which of them shows after
    /// a power cut.
    fn fold(&mut self) {
        let mut left: Vector<Change> = Vector::new();
        for change in std::mem::take(&mut self.changes) {
            if change.is_promised() && !left.iter().any(|earlier| earlier.touches(&change)) {
                apply(&mut self.durable_dirs, &change.sets);
            } else {
                left.push_back(change);
            }
        }
        self.changes = left;
    }
}

/// Applies a change of names to directories.
pub(crate) fn apply(dirs: &mut OrdMap<Node, Names>, sets: &[(Node, Arc<str>, Option<Node>)]) {
    for (dir, name, to) in sets {
        let Some(names) = dirs.get_mut(dir) else { continue };
        match to {
            Some(node) => names.insert(Arc::clone(name), *node),
            None => names.remove(name),
        };
    }
}
