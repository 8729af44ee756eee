//! The commit protocol as a transition system.

use super::action::{Action, Rename};
use super::disk::{Dir, Disk, Flush, NUMBERS, TORN};
use super::wrong::Wrong;

/// Where a writer is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum At {
    /// Not at work, or its handle is poisoned: it can wait for ever, and the next to save has been opened anew.
    Idle,
    /// From here on it holds the lock.
    Locked,
    Unsettled,
    SettleWritten,
    SettleFlushed,
    SettleSwapped,
    /// The head may be acknowledged, and built on.
    Ready,
    /// The number was taken by somebody else.
    NumberTaken,
    Numbered,
    ManifestMade,
    DataMade,
    Written,
    FilesFlushed,
    RootFlushed,
    DataFlushed,
    BarrierOne,
    Swapped,
    BarrierTwo,
    Discarding,
    ManifestDiscarded,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Writer {
    pub at: At,
    head: u8,
    number: u8,
    /// What the note said when the lock was taken.
    note: Note,
}

impl Writer {
    const IDLE: Self = Self { at: At::Idle, head: 0, number: 0, note: Note::NONE };

    fn holds_lock(&self) -> bool {
        self.at >= At::Locked
    }
}

/// The note in `locks/writer`, as far as it is believed: 0 stands for not known. A power cut ends it, as the boot is
/// another one then.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Note {
    next: u8,
    settled: u8,
}

impl Note {
    const NONE: Self = Self { next: 0, settled: 0 };
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Doing {
    Nothing,
    /// It has read the pointer.
    Pointer,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Reader {
    doing: Doing,
    /// The newest generation that it has seen since the machine started.
    seen: u8,
}

impl Reader {
    /// One that has looked as soon as the machine was there: who comes later is told less of what went before.
    fn new(head: u8) -> Self {
        Self { doing: Doing::Nothing, seen: head }
    }
}

/// What has become of a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Fate {
    /// No name of it was ever made, or a power cut has taken all of them before any pointer named it.
    Free,
    /// Names were made, and no pointer has named it.
    Begun,
    /// A pointer has named it, and the caller was told that nothing was saved.
    Failed,
    /// A pointer has named it, and nobody was told that it is durable: in flight, or the outcome is unknown.
    Shown,
    /// A save that changed nothing was told that this generation is durable.
    FoundDurable,
    Acknowledged,
}

/// What a step did that must never happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Bad {
    pub number_reused: bool,
    pub reader_mixture: bool,
    pub reader_back: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub disk: Disk,
    pub note: Note,
    pub writers: [Writer; 2],
    pub readers: [Reader; 2],
    pub fates: [Fate; NUMBERS],
    /// What each manifest names as its parent.
    pub parents: [u8; NUMBERS],
    pub bad: Bad,
}

impl State {
    /// `first`: with a durable first generation; otherwise without a store.
    pub fn new(first: bool) -> Self {
        let mut fates = [Fate::Free; NUMBERS];
        if first {
            fates[1] = Fate::Acknowledged;
        }
        Self {
            disk: Disk::new(first),
            note: Note::NONE,
            writers: [Writer::IDLE; 2],
            readers: [Reader::new(u8::from(first)); 2],
            fates,
            parents: [0; NUMBERS],
            bad: Bad::default(),
        }
    }

    /// What the pointer names: 0 when there is none, [`TORN`] when it cannot be read.
    pub fn head(&self) -> u8 {
        let current = self.disk.current;
        if current.content == super::disk::Content::Torn { TORN } else { current.names }
    }

    /// A generation and all before it, newest first.
    pub fn chain(&self, newest: u8) -> impl Iterator<Item = usize> + '_ {
        let parent = |number: &usize| Some(usize::from(self.parents[*number])).filter(|parent| *parent > 0);
        let newest = Some(usize::from(newest)).filter(|number| (1..NUMBERS).contains(number));
        std::iter::successors(newest, parent)
    }

    /// Whether what a generation wrote is there. The first of a history writes no data.
    fn is_whole(&self, number: usize) -> bool {
        self.disk.manifests[number].is_whole()
            && (self.parents[number] == 0 || self.disk.data[number].is_whole())
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

    /// Whether an opening finds the pointer to be older than the history: a manifest above the head names another one
    /// above it as its parent (`engine::load::check_not_behind`). A manifest that nothing refers to counts as readable
    /// here, as it may be.
    fn is_behind(&self) -> bool {
        let head = usize::from(self.head());
        (head + 1..NUMBERS)
            .any(|number| self.disk.manifests[number].there && usize::from(self.parents[number]) > head)
    }

    /// Nothing refers to a number that no pointer has named; what its files hold is of no interest from when its writer
    /// is gone. So states that differ in that alone are one.
    fn forget(&mut self, number: u8) {
        let number = usize::from(number);
        if matches!(self.fates[number], Fate::Begun | Fate::Failed) {
            self.disk.forget(number);
            self.forget_parent(number);
        }
    }

    /// Who is not at work on a snapshot has seen the head, as to look changes nothing for anybody and can be done at any
    /// moment: a reader that has looked less often would be told less of what went back.
    fn look(&mut self) {
        let head = self.head();
        for reader in self.readers.iter_mut().filter(|reader| reader.doing == Doing::Nothing) {
            self.bad.reader_back |= head < reader.seen;
            reader.seen = head;
        }
    }

    /// Whose parent a number is matters only if the head can get below the parent.
    fn forget_parent(&mut self, number: usize) {
        if self.parents[number] <= self.disk.oldest() {
            self.parents[number] = 0;
        }
    }

    fn cut(&mut self, way: u32) {
        for number in 1..NUMBERS as u8 {
            self.forget(number);
        }
        self.disk.cut(way);
        self.note = Note::NONE;
        (self.writers, self.readers) = ([Writer::IDLE; 2], [Reader::new(self.head()); 2]);
        for number in 1..NUMBERS {
            let is_gone = !self.disk.manifests[number].there && !self.disk.data[number].there;
            if is_gone && self.fates[number] <= Fate::Failed {
                (self.fates[number], self.parents[number]) = (Fate::Free, 0);
            }
            if number > usize::from(self.head()) {
                self.forget_parent(number);
            }
        }
    }

    pub fn cuts(&self) -> u32 {
        let mut settled = *self;
        for number in 1..NUMBERS as u8 {
            settled.forget(number);
        }
        settled.disk.cuts()
    }
}

/// The protocol with its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub wrong: Wrong,
    /// The highest number that a save may take.
    pub highest: u8,
    /// Whether there is a store to begin with.
    pub first: bool,
    /// Whether the two readers read.
    pub readers: bool,
}

impl Protocol {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// What each process can do, and the machine.
    pub fn steps(&self, state: &State, steps: &mut Vec<Action>) {
        for w in 0..2 {
            self.writer_steps(state, w, steps);
        }
        for (r, reader) in state.readers.iter().enumerate().filter(|_| self.readers) {
            steps.push(match reader.doing {
                Doing::Nothing => Action::ReadPointer(r),
                Doing::Pointer => Action::ReadFiles(r),
            });
        }
        steps.extend((0..state.cuts()).map(Action::PowerCut));
    }

    fn writer_steps(&self, state: &State, w: usize, steps: &mut Vec<Action>) {
        let writer = &state.writers[w];
        let flushes = |step: fn(usize, Flush) -> Action| Flush::ALL.map(|flush| step(w, flush));
        let renames = |step: fn(usize, Rename) -> Action| Rename::ALL.map(|rename| step(w, rename));
        match writer.at {
            At::Idle => {
                let is_free = self.is(Wrong::NoLock) || !state.writers[1 - w].holds_lock();
                steps.extend(is_free.then_some(Action::Lock(w)));
            }
            At::Locked => steps.push(Action::Refresh(w)),
            At::Unsettled => self.unsettled_steps(writer, w, steps),
            At::SettleWritten => steps.extend(flushes(Action::SettleFlush)),
            At::SettleFlushed => steps.extend(renames(Action::SettleSwap)),
            At::SettleSwapped => steps.extend(flushes(Action::SettleEnd)),
            At::Ready => {
                steps.extend((writer.head > 0).then_some(Action::NothingToSave(w)));
                steps.extend(
                    (self.number_for(state, writer) <= self.highest).then_some(Action::TakeNumber(w)),
                );
            }
            At::NumberTaken => steps.extend((writer.number <= self.highest).then_some(Action::TakeNumber(w))),
            At::Numbered => steps.push(Action::WriteManifest(w)),
            At::ManifestMade => steps.extend([Action::WriteData(w), Action::GiveUp(w)]),
            At::DataMade => steps.extend([Action::WritePointer(w), Action::GiveUp(w)]),
            At::Written => steps.extend(flushes(Action::FlushFiles)),
            At::FilesFlushed | At::RootFlushed | At::DataFlushed => steps.extend(flushes(Action::FlushDir)),
            At::BarrierOne => {
                steps.extend(renames(Action::Swap));
                steps.push(Action::GiveUp(w));
            }
            At::Swapped => steps.extend(flushes(Action::FlushPointer)),
            At::BarrierTwo => steps.push(Action::Acknowledge(w)),
            At::Discarding => steps.push(Action::DiscardManifest(w)),
            At::ManifestDiscarded => steps.push(Action::DiscardRest(w)),
        }
        steps.extend((writer.at != At::Idle).then_some(Action::Kill(w)));
    }

    fn unsettled_steps(&self, writer: &Writer, w: usize, steps: &mut Vec<Action>) {
        if self.is(Wrong::SettlesByFlush) {
            return steps.extend(Flush::ALL.map(|flush| Action::SettleEnd(w, flush)));
        }
        steps.push(Action::SettleWrite(w));
        steps.extend(self.is(Wrong::AcknowledgesUnsettled).then_some(Action::NothingToSave(w)));
        let builds = self.is(Wrong::BuildsOnUnsettled) && writer.head < self.highest;
        steps.extend(builds.then_some(Action::TakeNumber(w)));
    }

    /// `engine::lock::next_number`.
    fn number_for(&self, state: &State, writer: &Writer) -> u8 {
        if writer.number > 0 {
            return writer.number;
        }
        let after_head = writer.head + 1;
        match writer.note.next {
            next if next > 0 && !self.is(Wrong::NoteIgnored) => next.max(after_head),
            _ if self.is(Wrong::NoLook) => after_head,
            _ => (state.disk.highest() + 1).max(after_head),
        }
    }

    /// The state after a step. Writers are interchangeable, and readers too: they are kept in order.
    pub fn after(&self, before: &State, step: Action) -> State {
        let mut state = *before;
        match step {
            Action::ReadPointer(r) | Action::ReadFiles(r) => read(&mut state, r),
            Action::PowerCut(way) => state.cut(way),
            Action::Kill(w) => {
                let writer = state.writers[w];
                state.writers[w] = Writer::IDLE;
                state.forget(writer.number);
                let writes_note =
                    matches!(writer.at, At::Locked | At::SettleSwapped | At::Ready | At::BarrierTwo);
                if self.is(Wrong::NoteTorn) && writes_note {
                    state.note = Note::NONE;
                }
            }
            step => self.write(&mut state, step),
        }
        state.look();
        state.writers.sort_unstable();
        state.readers.sort_unstable();
        state
    }

    fn write(&self, state: &mut State, step: Action) {
        match step {
            Action::Lock(w) => state.writers[w] = Writer { at: At::Locked, note: state.note, ..Writer::IDLE },
            Action::Refresh(w) => {
                let head = state.head();
                if head == TORN
                    || state.is_behind()
                    || (head == 0 && state.disk.data.iter().any(|file| file.there))
                {
                    // Nothing is saved into a store that must be mended first.
                    state.writers[w] = Writer::IDLE;
                    return;
                }
                let writer = &mut state.writers[w];
                let is_settled = head == 0 || writer.note.settled == head;
                writer.head = head;
                writer.at = if is_settled { At::Ready } else { At::Unsettled };
            }
            Action::SettleWrite(w)
            | Action::SettleFlush(w, _)
            | Action::SettleSwap(w, _)
            | Action::SettleEnd(w, _) => {
                self.settle(state, w, step);
            }
            Action::NothingToSave(w) => {
                let fate = &mut state.fates[usize::from(state.writers[w].head)];
                *fate = (*fate).max(Fate::FoundDurable);
                state.writers[w] = Writer::IDLE;
            }
            Action::TakeNumber(w) => {
                let number = self.number_for(state, &state.writers[w]);
                let writer = &mut state.writers[w];
                (writer.number, writer.at, writer.note.next) = (number, At::Numbered, 0);
                state.note = Note { next: number + 1, settled: writer.note.settled };
            }
            Action::WriteManifest(w) | Action::WriteData(w) | Action::WritePointer(w) => {
                self.write_file(state, w, step);
            }
            Action::FlushFiles(w, flush) => self.flush_files(state, w, flush),
            Action::FlushDir(w, flush) => self.flush_dir(state, w, flush),
            Action::GiveUp(w) => discard(state, w),
            Action::DiscardManifest(w) => {
                let number = usize::from(state.writers[w].number);
                state.disk.manifests[number].remove();
                state.writers[w].at = At::ManifestDiscarded;
            }
            Action::DiscardRest(w) => {
                let number = state.writers[w].number;
                state.disk.data[usize::from(number)].remove();
                state.disk.next = None;
                let fate = &mut state.fates[usize::from(number)];
                *fate = if *fate == Fate::Shown { Fate::Failed } else { *fate };
                state.writers[w] = Writer::IDLE;
                state.forget(number);
            }
            Action::Swap(w, rename) => {
                if rename != Rename::FailedUndone && !self.is(Wrong::SwapFirst) {
                    swap(state, state.writers[w].number);
                }
                state.writers[w].at = At::Swapped;
                if rename != Rename::Done {
                    self.unknown(state, w);
                }
                if self.is(Wrong::NoBarrierTwo) && rename == Rename::Done {
                    state.writers[w].at = At::BarrierTwo;
                }
            }
            Action::FlushPointer(w, flush) => {
                state.disk.flush_dir(Dir::Root, flush);
                state.writers[w].at = At::BarrierTwo;
                if !flush.is_done() {
                    self.unknown(state, w);
                }
            }
            Action::Acknowledge(w) => {
                let number = state.writers[w].number;
                // With it, everything that it follows.
                let all: Vec<usize> = state.chain(number).collect();
                all.into_iter().for_each(|number| state.fates[number] = Fate::Acknowledged);
                state.note = Note { next: number + 1, settled: number };
                state.writers[w] = Writer::IDLE;
            }
            Action::Kill(_) | Action::ReadPointer(_) | Action::ReadFiles(_) | Action::PowerCut(_) => {}
        }
    }

    fn settle(&self, state: &mut State, w: usize, step: Action) {
        let Writer { head, note, .. } = state.writers[w];
        let next = match step {
            Action::SettleWrite(_) => {
                state.disk.write_next(head);
                At::SettleWritten
            }
            Action::SettleFlush(_, flush) => {
                state.disk.flush_next(flush);
                if flush.is_done() { At::SettleFlushed } else { At::Idle }
            }
            Action::SettleSwap(_, rename) => {
                if rename != Rename::FailedUndone {
                    state.disk.swap();
                }
                if rename == Rename::Done { At::SettleSwapped } else { At::Idle }
            }
            Action::SettleEnd(_, flush) => {
                state.disk.flush_dir(Dir::Root, flush);
                if flush.is_done() {
                    let next =
                        if self.is(Wrong::NoteWithoutLook) { note.next.max(head + 1) } else { note.next };
                    state.note = Note { next, settled: head };
                }
                if flush.is_done() { At::Ready } else { At::Idle }
            }
            _ => return,
        };
        state.writers[w].at = next;
        if next == At::Idle {
            state.writers[w] = Writer::IDLE;
        }
    }

    /// The handle is poisoned, and nothing is deleted.
    fn unknown(&self, state: &mut State, w: usize) {
        let number = state.writers[w].number;
        if self.is(Wrong::DiscardsUnknown) {
            state.disk.manifests[usize::from(number)].remove();
            state.disk.data[usize::from(number)].remove();
        }
        state.writers[w] = Writer::IDLE;
        state.forget(number);
    }

    fn write_file(&self, state: &mut State, w: usize, step: Action) {
        let Writer { head, number, .. } = state.writers[w];
        let n = usize::from(number);
        let at = match step {
            Action::WriteManifest(_) if state.disk.manifests[n].there => At::NumberTaken,
            Action::WriteManifest(_) => {
                state.bad.number_reused |= state.fates[n] != Fate::Free;
                state.disk.manifests[n].create();
                (state.fates[n], state.parents[n]) = (Fate::Begun, head);
                At::ManifestMade
            }
            Action::WriteData(_) if head == 0 => At::DataMade,
            Action::WriteData(_) if state.disk.data[n].there => {
                state.disk.manifests[n].remove();
                state.forget(number);
                At::NumberTaken
            }
            Action::WriteData(_) => {
                state.disk.data[n].create();
                At::DataMade
            }
            _ => {
                state.disk.write_next(number);
                if self.is(Wrong::SwapFirst) {
                    swap(state, number);
                }
                At::Written
            }
        };
        let writer = &mut state.writers[w];
        writer.at = at;
        writer.number += u8::from(at == At::NumberTaken);
    }

    fn flush_files(&self, state: &mut State, w: usize, flush: Flush) {
        let n = usize::from(state.writers[w].number);
        if !self.is(Wrong::ManifestNotFlushed) {
            state.disk.manifests[n].content.flush(flush);
        }
        if !self.is(Wrong::DataNotFlushed) {
            state.disk.data[n].content.flush(flush);
        }
        if self.is(Wrong::SwapFirst) {
            state.disk.current.content.flush(flush);
        } else if !self.is(Wrong::PointerNotFlushed) {
            state.disk.flush_next(flush);
        }
        let without_dirs =
            if self.is(Wrong::DirectoriesNotFlushed) { At::BarrierOne } else { At::FilesFlushed };
        state.writers[w].at = without_dirs;
        if !flush.is_done() {
            discard(state, w);
        }
    }

    fn flush_dir(&self, state: &mut State, w: usize, flush: Flush) {
        let (dir, next) = match state.writers[w].at {
            At::FilesFlushed => (Dir::Root, At::RootFlushed),
            At::RootFlushed => (Dir::Data, At::DataFlushed),
            _ => (Dir::Manifests, At::BarrierOne),
        };
        state.disk.flush_dir(dir, flush);
        state.writers[w].at = next;
        if !flush.is_done() {
            discard(state, w);
        }
    }
}

fn discard(state: &mut State, w: usize) {
    state.writers[w].at = At::Discarding;
    state.forget(state.writers[w].number);
}

fn swap(state: &mut State, number: u8) {
    state.disk.swap();
    let fate = &mut state.fates[usize::from(number)];
    *fate = (*fate).max(Fate::Shown);
}

fn read(state: &mut State, r: usize) {
    let Reader { doing, seen } = state.readers[r];
    let head = state.head();
    state.readers[r] = match doing {
        Doing::Nothing => {
            state.bad.reader_mixture |= head == TORN;
            let acknowledged = state.acknowledged(Fate::FoundDurable).max().unwrap_or(0);
            state.bad.reader_back |= usize::from(head) < acknowledged;
            let doing = if head == 0 || head == TORN { Doing::Nothing } else { Doing::Pointer };
            Reader { doing, seen: head }
        }
        // A name that is gone does not come back, so what is missing at any moment is missing at the last.
        Doing::Pointer => {
            state.bad.reader_mixture |= !state.is_chain_whole(seen);
            Reader { doing: Doing::Nothing, seen }
        }
    };
}
