//! A state of the model: the disk, the processes, and what the properties must know about the past.

use super::disk::{Content, Disk, NUMBERS, Start, TORN};
use super::opened::Opened;

/// How far a writer is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum At {
    /// Not at work. A writer whose handle is poisoned also counts as idle: it may wait for ever,
    /// and the next one to commit has opened the store again.
    Idle,
    /// From here on it holds the lock.
    Locked,
    /// There is no store.
    Vacant,
    Unsettled,
    SettleWritten,
    SettleFileSynced,
    SettleSynced,
    SettleSwapped,
    /// The head may be acknowledged and built on.
    Ready,
    /// Another process has taken the number.
    NumberTaken,
    Numbered,
    ManifestCreated,
    DirectoryCreated,
    DataCreated,
    Written,
    FilesSynced,
    RootSynced,
    DataSynced,
    BarrierOne,
    Swapped,
    BarrierTwo,
    Discarding,
    ManifestDiscarded,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Writer {
    pub at: At,
    pub head: u8,
    pub number: u8,
    /// Whether it has created `data/`.
    pub created_directory: bool,
    /// What the note said when the lock was taken.
    pub note: Note,
}

impl Writer {
    pub const IDLE: Self =
        Self { at: At::Idle, head: 0, number: 0, created_directory: false, note: Note::NONE };

    pub fn holds_lock(&self) -> bool {
        self.at >= At::Locked
    }

    /// Whether it creates the files of this number, or has created them.
    pub fn works_on(&self, number: usize) -> bool {
        self.at >= At::Numbered && usize::from(self.number) == number
    }
}

/// The note in `locks/writer`, as far as it is believed. 0 stands for unknown. A power cut ends it,
/// as the next start has another boot id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Note {
    pub next: u8,
    pub settled: u8,
}

impl Note {
    /// No note, one that cannot be read, or one of another start of the machine.
    pub const NONE: Self = Self { next: 0, settled: 0 };
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Doing {
    Nothing,
    /// It has read the pointer.
    Pointer,
    /// It asks for interrupted commits, and these numbers above the head have names.
    Names(u8),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Reader {
    pub doing: Doing,
    /// The newest generation that it has seen since the machine started.
    pub seen: u8,
}

impl Reader {
    /// A reader that has looked right after the start. A reader that comes later would notice less.
    fn new(head: u8) -> Self {
        Self { doing: Doing::Nothing, seen: head }
    }
}

/// What has become of a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Fate {
    /// It never had a name. Or a power cut has removed all its names before a pointer named it.
    Free,
    /// It has names, and no pointer has named it.
    Begun,
    /// A pointer has named it, and the caller was told that nothing was committed.
    Failed,
    /// A pointer has named it, and no process was told that it is durable. It is in flight, or its
    /// outcome is unknown.
    Shown,
    /// A commit that changed nothing has reported this generation as durable.
    FoundDurable,
    Acknowledged,
}

/// The violations that a step has caused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Bad {
    pub number_reused: bool,
    pub reader_mixture: bool,
    pub reader_back: bool,
    pub report: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub disk: Disk,
    pub note: Note,
    pub writers: [Writer; 2],
    pub readers: [Reader; 2],
    pub fates: [Fate; NUMBERS],
    /// The parent that each manifest names.
    pub parents: [u8; NUMBERS],
    /// What opening showed after the last start of the machine, until a commit creates a name.
    pub recovered: Option<Opened>,
    pub bad: Bad,
}

impl State {
    pub fn new(start: Start) -> Self {
        let first = start != Start::Nothing;
        let mut fates = [Fate::Free; NUMBERS];
        if first {
            fates[1] = Fate::Acknowledged;
        }
        Self {
            disk: Disk::new(start),
            note: Note::NONE,
            writers: [Writer::IDLE; 2],
            readers: [Reader::new(u8::from(first)); 2],
            fates,
            parents: [0; NUMBERS],
            recovered: Some(Opened { head: u8::from(first), interrupted: 0 }),
            bad: Bad::default(),
        }
    }

    /// What the pointer names: 0 if there is none, [`TORN`] if it cannot be read.
    pub fn head(&self) -> u8 {
        let current = self.disk.current;
        if current.content == Content::Torn { TORN } else { current.names }
    }

    /// A generation and all before it, newest first.
    pub fn chain(&self, newest: u8) -> impl Iterator<Item = usize> + '_ {
        let parent = |number: &usize| Some(usize::from(self.parents[*number])).filter(|parent| *parent > 0);
        let newest = Some(usize::from(newest)).filter(|number| (1..NUMBERS).contains(number));
        std::iter::successors(newest, parent)
    }

    /// Whether the files of a generation are there. The first generation writes no data.
    fn is_whole(&self, number: usize) -> bool {
        self.disk.manifests.files[number].is_whole()
            && (self.parents[number] == 0 || self.disk.data.files[number].is_whole())
    }

    pub fn is_chain_whole(&self, newest: u8) -> bool {
        newest != TORN && self.chain(newest).all(|number| self.is_whole(number))
    }

    pub fn readers_are_new(&self) -> bool {
        self.readers == [Reader::new(self.head()); 2]
    }

    pub fn acknowledged(&self, at_least: Fate) -> impl Iterator<Item = usize> + '_ {
        (1..NUMBERS).filter(move |number| self.fates[*number] >= at_least)
    }

    /// Whether opening the store finds that the pointer is older than the history: a manifest above
    /// the head names a parent that is also above it (`engine::chain::check_not_behind`). A
    /// manifest that nothing refers to counts as readable here, as it may be.
    pub fn is_behind(&self) -> bool {
        let head = usize::from(self.head());
        (head + 1..NUMBERS).any(|number| {
            self.disk.manifests.files[number].name.there && usize::from(self.parents[number]) > head
        })
    }

    /// No pointer has named the number, so nothing refers to it. Once its writer is gone, the
    /// content of its files does not matter, and states that differ only in that become one. Which
    /// of its names are left does matter. What the writer created is taken for as uncertain as
    /// possible. `what` decides what is forgotten.
    fn forget_files(&mut self, number: usize, what: fn(&mut Disk, usize)) {
        if matches!(self.fates[number], Fate::Begun | Fate::Failed) {
            what(&mut self.disk, number);
            self.forget_parent(number);
        }
    }

    /// Forgets what a writer has created that gives up or is gone.
    pub fn forget(&mut self, writer: &Writer) {
        if writer.at > At::Numbered {
            self.forget_files(usize::from(writer.number), Disk::forget);
        }
    }

    /// A reader without a snapshot has always seen the head. To look changes nothing and is
    /// possible at any moment. A reader that looked less often would notice fewer steps back.
    pub fn look(&mut self) {
        let head = self.head();
        for reader in self.readers.iter_mut().filter(|reader| reader.doing == Doing::Nothing) {
            self.bad.reader_back |= head < reader.seen;
            reader.seen = head;
        }
    }

    /// The parent of a number matters only if the head can get below the parent.
    fn forget_parent(&mut self, number: usize) {
        if self.parents[number] <= self.disk.oldest() {
            self.parents[number] = 0;
        }
    }

    /// Drops what a power cut does not keep, and what does not matter after it.
    fn stop(&mut self) {
        (1..NUMBERS).for_each(|number| self.forget_files(number, Disk::forget_content));
        self.note = Note::NONE;
        self.writers = [Writer::IDLE; 2];
    }

    pub fn cut(&mut self, way: u32) {
        self.stop();
        self.disk.cut(way);
        self.readers = [Reader::new(self.head()); 2];
        let named = self.disk.named();
        for number in 1..NUMBERS {
            let is_gone = named.iter().all(|named| named >> number & 1 == 0);
            if is_gone && self.fates[number] <= Fate::Failed {
                self.fates[number] = Fate::Free;
                self.parents[number] = 0;
            }
            if number > usize::from(self.head()) {
                self.forget_parent(number);
            }
        }
    }

    pub fn cuts(&self) -> u32 {
        let mut stopped = *self;
        stopped.stop();
        stopped.disk.cuts()
    }
}
