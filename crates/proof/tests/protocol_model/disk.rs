//! The disk of the model: what the cache shows, and what a power cut may leave of it. It is never
//! better than POSIX. Only an fsync of a file keeps its bytes. Only an fsync of a directory keeps
//! its names.

/// Numbers of generations are 1 to `NUMBERS - 1`. 0 stands for none.
pub const NUMBERS: usize = 7;
/// What `CURRENT` names if it cannot be read.
pub const TORN: u8 = 7;

/// What an fsync did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sync {
    Done,
    /// It reported a failure, but everything was kept.
    FailedKept,
    /// It reported a failure, and what was waiting never gets to the disk. The cache still shows
    /// it, and a later fsync reports success.
    FailedDropped,
    /// It reported a failure, and the next power cut decides. No later fsync changes that. If it
    /// was the fsync of a directory, the disk takes no change until then.
    FailedUndecided,
    /// It reported a failure and did nothing. A later one may succeed.
    FailedUndone,
}

impl Sync {
    /// The outcomes of the fsync of a file.
    pub const OF_FILES: [Self; 4] =
        [Self::Done, Self::FailedKept, Self::FailedDropped, Self::FailedUndecided];
    /// The outcomes of the fsync of a directory.
    pub const OF_DIRS: [Self; 3] = [Self::Done, Self::FailedUndecided, Self::FailedUndone];

    pub fn is_done(self) -> bool {
        self == Self::Done
    }
}

/// The bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Content {
    /// Written and not fsynced. A power cut leaves it whole, torn or empty.
    Dirty,
    /// On the disk.
    Durable,
    /// Whole in the cache, but not on the disk. No fsync changes that.
    Dropped,
    /// Whole in the cache. The power cut decides.
    Undecided,
    /// Not what was written, in the cache either.
    Torn,
}

impl Content {
    pub fn sync(&mut self, sync: Sync) {
        if *self == Self::Dirty {
            *self = match sync {
                Sync::Done | Sync::FailedKept => Self::Durable,
                Sync::FailedDropped => Self::Dropped,
                Sync::FailedUndecided => Self::Undecided,
                Sync::FailedUndone => Self::Dirty,
            };
        }
    }

    fn may_survive(self) -> bool {
        !matches!(self, Self::Dropped | Self::Torn)
    }

    fn may_be_lost(self) -> bool {
        self != Self::Durable
    }
}

/// A name in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name {
    /// Whether the cache shows it.
    pub there: bool,
    /// Whether it may be missing on the disk, and whether it may be there. What waits is not
    /// counted.
    may: [bool; 2],
    /// Whether its last change waits for an fsync of the directory.
    waits: bool,
}

impl Name {
    const NEVER: Self = Self { there: false, may: [true, false], waits: false };
    const DURABLE: Self = Self { there: true, may: [false, true], waits: false };

    fn bits(self) -> u8 {
        let flags = [self.there, self.may[0], self.may[1], self.waits];
        flags.iter().fold(0, |byte, flag| byte << 1 | u8::from(*flag))
    }

    fn set(&mut self, there: bool) {
        if self.waits {
            self.may[usize::from(self.there)] = true;
        }
        self.there = there;
        self.waits = true;
    }

    /// The effect on this name of an fsync of the directory.
    fn sync(&mut self) {
        if self.waits {
            *self = Self { there: self.there, may: [!self.there, self.there], waits: false };
        }
    }

    /// Whether it was never created, or is gone for good.
    fn is_nowhere(self) -> bool {
        !self.there && !self.waits && !self.may[1]
    }

    /// Takes its state on the disk for unknown. That is worse than any disk, and merges many states
    /// into one.
    fn forget(&mut self) {
        if !self.is_nowhere() {
            *self = Self { there: self.there, may: [true, true], waits: false };
        }
    }

    fn cut(&mut self, choose: &mut impl FnMut(usize) -> usize) {
        if self.waits {
            self.may[usize::from(self.there)] = true;
        }
        let there = match self.may {
            [true, true] => choose(2) == 1,
            [_, there] => there,
        };
        *self = if there { Self::DURABLE } else { Self::NEVER };
    }
}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        hasher.write_u8(self.bits());
    }
}

/// A file under a name that no other file ever gets: the manifest or the data file of one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File {
    pub name: Name,
    pub content: Content,
}

/// One byte, as a state has many files and every state is hashed.
impl std::hash::Hash for File {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        hasher.write_u8((self.content as u8) << 4 | self.name.bits());
    }
}

impl File {
    const NEVER: Self = Self { name: Name::NEVER, content: Content::Torn };
    const DURABLE: Self = Self { name: Name::DURABLE, content: Content::Durable };

    pub fn create(&mut self) {
        self.name.set(true);
        self.content = Content::Dirty;
    }

    pub fn remove(&mut self) {
        if self.name.there {
            self.name.set(false);
        }
    }

    pub fn is_whole(&self) -> bool {
        self.name.there && self.content != Content::Torn
    }

    fn cut(&mut self, choose: &mut impl FnMut(usize) -> usize) {
        self.name.cut(choose);
        self.content = match self.content {
            _ if !self.name.there => Content::Torn,
            content if content.may_survive() && content.may_be_lost() => {
                [Content::Torn, Content::Durable][choose(2)]
            }
            content if content.may_survive() => Content::Durable,
            _ => Content::Torn,
        };
    }
}

/// `manifests/` or `data/`, and the files in it. Both are created with the store. A commit that
/// finds one missing creates it: a copy of a store may have lost its empty directories.
///
/// The creation of `data/` by a commit also stands for every new directory in it. The name of such
/// a directory waits for the fsync of the directory that it is in, instead of the root's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Directory {
    /// Its name in the root. A directory that is removed and created again is really another one.
    /// Here it is the same, so what was removed from it may come back. That concerns only what a
    /// failed commit has left, which may come back in any case.
    pub name: Name,
    pub files: [File; NUMBERS],
}

impl Directory {
    fn new(name: Name) -> Self {
        Self { name, files: [File::NEVER; NUMBERS] }
    }

    /// Does nothing if it exists.
    pub fn create(&mut self) {
        if !self.name.there {
            self.name.set(true);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.files.iter().all(|file| !file.name.there)
    }

    /// Does nothing unless it is empty.
    pub fn remove(&mut self) {
        if self.name.there && self.is_empty() {
            self.name.set(false);
            self.name.forget();
        }
    }

    fn sync(&mut self) {
        self.files.iter_mut().for_each(|file| file.name.sync());
    }

    fn cut(&mut self, choose: &mut impl FnMut(usize) -> usize) {
        self.name.cut(choose);
        if self.name.there {
            self.files.iter_mut().for_each(|file| file.cut(choose));
        } else {
            *self = Self::new(Name::NEVER);
        }
    }
}

/// A pointer file under its temporary name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Next {
    pub names: u8,
    pub content: Content,
}

/// The name `CURRENT`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Current {
    /// The generation that the file under the name shows in the cache, or 0 if there is none.
    pub names: u8,
    pub content: Content,
    /// Bit n: the disk may hold a pointer to n. Bit 0: it may hold none. Bit [`TORN`]: it may hold
    /// one that cannot be read. What waits is not counted.
    may: u8,
    waits: bool,
}

impl Current {
    fn of(names: u8) -> Self {
        let content = if names == TORN { Content::Torn } else { Content::Durable };
        Self { names, content, may: 1 << names, waits: false }
    }

    fn leaves(&self) -> u8 {
        let whole = u8::from(self.content.may_survive()) << self.names;
        whole | u8::from(self.content.may_be_lost()) << TORN
    }
}

/// What is there at the beginning, all of it durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    Nothing,
    /// A first generation, which has no data files.
    Store,
    /// The same without `data/`: the copy of a store has lost its empty directories.
    Copy,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Disk {
    pub manifests: Directory,
    pub data: Directory,
    pub current: Current,
    /// `CURRENT.next`. What a power cut leaves of it is not modelled. A file found under this name
    /// is only ever removed, so after a cut it counts as gone. The same holds for the half of the
    /// rename that removes this name. The other half, on `CURRENT`, persists whole or not at all.
    pub next: Option<Next>,
    /// Set once the fsync of a directory has failed. The disk then takes no change until the
    /// machine starts again.
    pub stopped: Option<Stopped>,
}

/// How a disk has stopped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stopped {
    /// The directory whose fsync failed.
    failed: Dir,
    /// Whether the next fsync of another directory reports success, although it does nothing.
    lies_once: bool,
}

/// The three directories in which a commit creates names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dir {
    Root,
    Data,
    Manifests,
}

impl Disk {
    pub fn new(start: Start) -> Self {
        let mut manifests = Directory::new(Name::NEVER);
        let mut data = Directory::new(Name::NEVER);
        if start != Start::Nothing {
            manifests.name = Name::DURABLE;
            manifests.files[1] = File::DURABLE;
        }
        if start == Start::Store {
            data.name = Name::DURABLE;
        }
        let current = Current::of(u8::from(start != Start::Nothing));
        Self { manifests, data, current, next: None, stopped: None }
    }

    /// Whether the next fsync of this directory reports success and does nothing.
    pub fn lies_about(&self, dir: Dir) -> bool {
        self.stopped.is_some_and(|stopped| stopped.lies_once && stopped.failed != dir)
    }

    /// Replaces what is under the name.
    pub fn write_next(&mut self, names: u8) {
        self.next = Some(Next { names, content: Content::Dirty });
    }

    pub fn sync_next(&mut self, sync: Sync) {
        if let Some(next) = &mut self.next {
            next.content.sync(sync);
        }
    }

    /// Renames `CURRENT.next` over `CURRENT`.
    pub fn swap(&mut self) {
        let Some(next) = self.next.take() else { return };
        let before = self.current;
        // An earlier rename that still waits may persist without this one.
        let may = before.may | if before.waits { before.leaves() } else { 0 };
        self.current = Current { names: next.names, content: next.content, may, waits: true };
    }

    /// Writes over the file under the name `CURRENT`. Only a wrong protocol does this.
    pub fn overwrite(&mut self, names: u8) {
        self.current = Current { names, content: Content::Dirty, waits: true, ..self.current };
    }

    pub fn sync_dir(&mut self, dir: Dir, sync: Sync) {
        if let Some(stopped) = &mut self.stopped {
            stopped.lies_once = false;
            return;
        }
        match (sync, dir) {
            (Sync::FailedUndone, _) => {}
            // What waits goes on waiting for the power cut.
            (Sync::FailedKept | Sync::FailedDropped | Sync::FailedUndecided, failed) => {
                self.stopped = Some(Stopped { failed, lies_once: true });
            }
            (Sync::Done, Dir::Data) => self.data.sync(),
            (Sync::Done, Dir::Manifests) => self.manifests.sync(),
            (Sync::Done, Dir::Root) => {
                self.manifests.name.sync();
                self.data.name.sync();
                self.sync_current();
            }
        }
    }

    fn sync_current(&mut self) {
        if self.current.waits {
            self.current.may = self.current.leaves();
            self.current.waits = false;
        }
    }

    /// Takes the bytes of a number for lost. Nothing will ever refer to them.
    pub fn forget_content(&mut self, number: usize) {
        for file in [&mut self.manifests.files[number], &mut self.data.files[number]] {
            file.content = Content::Torn;
        }
    }

    /// The same for its names, after a commit has failed. Whether they are there is chosen at the
    /// next power cut.
    pub fn forget(&mut self, number: usize) {
        self.forget_content(number);
        for file in [&mut self.manifests.files[number], &mut self.data.files[number]] {
            file.name.forget();
        }
    }

    /// The oldest pointer that a power cut may leave.
    pub fn oldest(&self) -> u8 {
        let current = self.current;
        (current.may | if current.waits { current.leaves() } else { 0 }).trailing_zeros() as u8
    }

    /// Bit n: number n has the name of a manifest, or the name of a data file.
    pub fn named(&self) -> [u8; 2] {
        [&self.manifests, &self.data].map(|directory| {
            let there = (1..NUMBERS).filter(|number| directory.files[*number].name.there);
            there.fold(0, |numbers, number| numbers | 1 << number)
        })
    }

    /// The highest number that has a name.
    pub fn highest(&self) -> u8 {
        let [manifests, data] = self.named();
        (manifests | data).checked_ilog2().unwrap_or(0) as u8
    }

    /// Cuts the power. Each thing that waits gets to the disk or not, as `choose` decides. The
    /// cache then shows what the disk holds.
    fn resolve(&mut self, choose: &mut impl FnMut(usize) -> usize) {
        let may = self.current.may | if self.current.waits { self.current.leaves() } else { 0 };
        let mut nth = match may.count_ones() as usize {
            1 => 0,
            options => choose(options),
        };
        let is_chosen = |names: &u8| {
            let is_possible = may >> names & 1 == 1;
            let found = is_possible && nth == 0;
            nth = nth.saturating_sub(usize::from(is_possible));
            found
        };
        self.current = Current::of((0..=TORN).find(is_chosen).unwrap_or(TORN));
        self.next = None;
        self.stopped = None;
        self.manifests.cut(choose);
        self.data.cut(choose);
    }

    /// In how many ways the power can be cut.
    pub fn cuts(mut self) -> u32 {
        let mut ways = 1;
        self.resolve(&mut |options| {
            ways *= options as u32;
            // This option leads to the most further choices: if a name is there, its content is
            // chosen too.
            options - 1
        });
        ways
    }

    /// Takes one of these ways. If a name is lost, its content is not chosen, so several ways may
    /// be the same.
    pub fn cut(&mut self, mut way: u32) {
        self.resolve(&mut |options| {
            let chosen = way as usize % options;
            way /= options as u32;
            chosen
        });
    }
}
