//! The disk of the model: what the cache shows, and what a power cut may leave of it. Nothing here is kinder than
//! POSIX: only a flush of a file keeps its bytes, only a flush of a directory keeps its names.

/// Numbers of generations are 1 to `NUMBERS - 1`; 0 stands for none.
pub const NUMBERS: usize = 7;
/// What `CURRENT` names when it cannot be read.
pub const TORN: u8 = 7;

/// What became of a flush.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flush {
    Done,
    /// It reported a failure, and everything was kept all the same.
    FailedKept,
    /// It reported a failure, and what was waiting will never get to the disk, although the cache goes on showing it
    /// and a later flush of the same file or directory reports success.
    FailedDropped,
    /// It reported a failure, and the next power cut decides. No later flush changes that.
    FailedUndecided,
}

impl Flush {
    pub const ALL: [Self; 4] = [Self::Done, Self::FailedKept, Self::FailedDropped, Self::FailedUndecided];

    pub fn is_done(self) -> bool {
        self == Self::Done
    }
}

/// The bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Content {
    /// Written, not flushed: a power cut leaves it whole, torn or empty.
    Dirty,
    /// On the disk.
    Durable,
    /// Whole in the cache, not on the disk, and no flush will change that.
    Dropped,
    /// Whole in the cache; the power cut decides.
    Undecided,
    /// Not what was written, in the cache as well.
    Torn,
}

impl Content {
    pub fn flush(&mut self, flush: Flush) {
        if *self == Self::Dirty {
            *self = match flush {
                Flush::Done | Flush::FailedKept => Self::Durable,
                Flush::FailedDropped => Self::Dropped,
                Flush::FailedUndecided => Self::Undecided,
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

/// A file under a name that no other file ever gets: the manifest or the data file of one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File {
    /// Whether the cache shows the name.
    pub there: bool,
    /// Whether the name may be missing on the disk, and whether it may be there, apart from what waits.
    may: [bool; 2],
    /// Whether the last change of the name waits for a flush of its directory.
    waits: bool,
    pub content: Content,
}

/// In one byte: a state has many files, and each state is hashed.
impl std::hash::Hash for File {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        let flags = [self.there, self.may[0], self.may[1], self.waits];
        let flags = flags.iter().fold(0, |byte, flag| byte << 1 | u8::from(*flag));
        hasher.write_u8((self.content as u8) << 4 | flags);
    }
}

impl File {
    pub const NEVER: Self = Self { there: false, may: [true, false], waits: false, content: Content::Torn };
    pub const DURABLE: Self =
        Self { there: true, may: [false, true], waits: false, content: Content::Durable };

    fn set(&mut self, there: bool) {
        if self.waits {
            self.may[usize::from(self.there)] = true;
        }
        (self.there, self.waits) = (there, true);
    }

    pub fn create(&mut self) {
        self.set(true);
        self.content = Content::Dirty;
    }

    pub fn remove(&mut self) {
        if self.there {
            self.set(false);
        }
    }

    /// The part of a flush of the directory that concerns this name.
    fn flush_name(&mut self, flush: Flush) {
        if !self.waits {
            return;
        }
        self.waits = false;
        match flush {
            Flush::Done | Flush::FailedKept => {
                self.may = [!self.there, self.there];
            }
            Flush::FailedDropped => {}
            Flush::FailedUndecided => self.may[usize::from(self.there)] = true,
        }
    }

    pub fn is_whole(&self) -> bool {
        self.there && self.content != Content::Torn
    }

    /// Whether the name was never made, or is gone for good.
    fn is_nowhere(&self) -> bool {
        !self.there && !self.waits && !self.may[1]
    }

    fn cut(&mut self, choose: &mut impl FnMut(usize) -> usize) {
        if self.waits {
            self.may[usize::from(self.there)] = true;
        }
        let there = match self.may {
            [true, true] => choose(2) == 1,
            [_, there] => there,
        };
        let content = match self.content {
            _ if !there => Content::Torn,
            content if content.may_survive() && content.may_be_lost() => {
                [Content::Torn, Content::Durable][choose(2)]
            }
            content if content.may_survive() => Content::Durable,
            _ => Content::Torn,
        };
        *self = Self { there, may: [!there, there], waits: false, content };
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
    /// The generation that the file under the name shows in the cache; 0 when there is none.
    pub names: u8,
    pub content: Content,
    /// Bit n: the disk may hold a pointer to n; bit 0: none; bit [`TORN`]: one that cannot be read. Apart from what
    /// waits.
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

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Disk {
    pub manifests: [File; NUMBERS],
    pub data: [File; NUMBERS],
    pub current: Current,
    /// `CURRENT.next`. What a power cut leaves of it is not followed: the one thing that is ever done with a file that
    /// was found under this name is to remove it, so after a cut it counts as gone. The same goes for the half of the
    /// rename that takes this name away; the other half, on `CURRENT`, persists whole or not at all.
    pub next: Option<Next>,
}

/// The three directories in which a commit makes names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dir {
    Root,
    Data,
    Manifests,
}

impl Disk {
    /// Empty, or with a durable first generation, which has no data files.
    pub fn new(first: bool) -> Self {
        let mut manifests = [File::NEVER; NUMBERS];
        if first {
            manifests[1] = File::DURABLE;
        }
        let data = [File::NEVER; NUMBERS];
        Self { manifests, data, current: Current::of(u8::from(first)), next: None }
    }

    /// Removes what has the name, and makes it anew.
    pub fn write_next(&mut self, names: u8) {
        self.next = Some(Next { names, content: Content::Dirty });
    }

    pub fn flush_next(&mut self, flush: Flush) {
        if let Some(next) = &mut self.next {
            next.content.flush(flush);
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

    pub fn flush_dir(&mut self, dir: Dir, flush: Flush) {
        match dir {
            Dir::Data => self.data.iter_mut().for_each(|file| file.flush_name(flush)),
            Dir::Manifests => self.manifests.iter_mut().for_each(|file| file.flush_name(flush)),
            Dir::Root if self.current.waits => {
                self.current.waits = false;
                match flush {
                    Flush::Done | Flush::FailedKept => self.current.may = self.current.leaves(),
                    Flush::FailedDropped => {}
                    Flush::FailedUndecided => self.current.may |= self.current.leaves(),
                }
            }
            Dir::Root => {}
        }
    }

    /// Takes the files of a number that nothing will ever refer to for files of which everything is possible. That is
    /// less kind than any disk, and makes one state of many.
    pub fn forget(&mut self, number: usize) {
        for file in [&mut self.manifests[number], &mut self.data[number]] {
            if !file.is_nowhere() {
                *file = File { there: file.there, may: [true, true], waits: false, content: Content::Torn };
            }
        }
    }

    /// The oldest pointer that a power cut may leave.
    pub fn oldest(&self) -> u8 {
        let current = self.current;
        (current.may | if current.waits { current.leaves() } else { 0 }).trailing_zeros() as u8
    }

    /// The highest number of which a name is to be seen.
    pub fn highest(&self) -> u8 {
        let is_there = |number: &usize| self.manifests[*number].there || self.data[*number].there;
        (1..NUMBERS).rev().find(is_there).unwrap_or(0) as u8
    }

    /// Cuts the power: everything that waits gets to the disk or not, each by itself, as `choose` says; the cache shows
    /// what the disk holds.
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
        for file in self.manifests.iter_mut().chain(&mut self.data) {
            file.cut(choose);
        }
    }

    /// In how many ways the power may be cut.
    pub fn cuts(mut self) -> u32 {
        let mut ways = 1;
        self.resolve(&mut |options| {
            ways *= options as u32;
            // The way with the most choices in it: what is there has content to choose.
            options - 1
        });
        ways
    }

    /// The `way`th of them. Where a file is lost its content is not chosen, so several ways may be the same.
    pub fn cut(&mut self, mut way: u32) {
        self.resolve(&mut |options| {
            let chosen = way as usize % options;
            way /= options as u32;
            chosen
        });
    }
}
