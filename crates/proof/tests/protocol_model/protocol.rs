//! The commit protocol as a transition system.

use super::action::{Action, Rename};
use super::disk::{Dir, NUMBERS, Start, Sync, TORN};
use super::state::{At, Doing, Fate, Note, Reader, State, Writer};
use super::wrong::Wrong;

/// The protocol with its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub wrong: Wrong,
    /// The highest number that a commit may take.
    pub highest: u8,
    pub start: Start,
    pub others: Others,
}

/// Which processes there are besides the two writers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Others {
    None,
    /// Two that read snapshots.
    Readers,
    /// One that asks for the status at any time.
    Status,
}

impl Protocol {
    pub fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// The steps that each process can take, and those of the machine.
    pub fn steps(&self, state: &State, steps: &mut Vec<Action>) {
        for w in 0..2 {
            self.writer_steps(state, w, steps);
        }
        for r in 0..2 {
            self.reader_step(state, r, steps);
        }
        steps.extend((0..state.cuts()).map(Action::PowerCut));
    }

    fn reader_step(&self, state: &State, r: usize, steps: &mut Vec<Action>) {
        let is_alone = state.readers[1 - r].doing == Doing::Nothing;
        steps.extend(match (self.others, state.readers[r].doing) {
            (Others::Readers, Doing::Nothing) => Some(Action::ReadPointer(r)),
            (Others::Status, Doing::Nothing) => is_alone.then_some(Action::ReadPointer(r)),
            (Others::Readers, Doing::Pointer) => Some(Action::ReadFiles(r)),
            (Others::Status, Doing::Pointer) => Some(Action::ReadNames(r)),
            (Others::Status, Doing::Names(_)) => Some(Action::Report(r)),
            _ => None,
        });
    }

    fn writer_steps(&self, state: &State, w: usize, steps: &mut Vec<Action>) {
        let writer = &state.writers[w];
        let syncs = |step: fn(usize, Sync) -> Action| Sync::OF_FILES.map(|sync| step(w, sync));
        let syncs_dir = |step: fn(usize, Sync) -> Action| Sync::OF_DIRS.map(|sync| step(w, sync));
        let renames = |step: fn(usize, Rename) -> Action| Rename::ALL.map(|rename| step(w, rename));
        if state.disk.stopped.is_some() {
            return stopped_steps(state, w, steps);
        }
        match writer.at {
            At::Idle => {
                let is_free = self.is(Wrong::NoLock) || !state.writers[1 - w].holds_lock();
                steps.extend(is_free.then_some(Action::Lock(w)));
            }
            At::Locked => steps.push(Action::Refresh(w)),
            At::Vacant => steps.push(Action::CreateDirectories(w)),
            At::Unsettled => self.unsettled_steps(writer, w, steps),
            At::SettleWritten => steps.extend(syncs(Action::SettleSync)),
            At::SettleFileSynced => steps.extend(syncs_dir(Action::SettleSyncDir)),
            At::SettleSynced => steps.extend(renames(Action::SettleSwap)),
            At::SettleSwapped => steps.extend(syncs_dir(Action::SettleEnd)),
            At::Ready => {
                steps.extend((writer.head > 0).then_some(Action::NothingToSave(w)));
                steps.extend(
                    (self.number_for(state, writer) <= self.highest).then_some(Action::TakeNumber(w)),
                );
            }
            At::NumberTaken => steps.extend((writer.number <= self.highest).then_some(Action::TakeNumber(w))),
            At::Numbered => steps.push(Action::WriteManifest(w)),
            At::ManifestCreated => {
                let needs_directory = writer.head > 0 && !state.disk.data.name.there;
                steps.push(if needs_directory { Action::CreateDirectory(w) } else { Action::WriteData(w) });
                steps.push(Action::GiveUp(w));
            }
            At::DirectoryCreated => steps.extend([Action::WriteData(w), Action::GiveUp(w)]),
            At::DataCreated => steps.extend([Action::WritePointer(w), Action::GiveUp(w)]),
            At::Written => steps.extend(syncs(Action::SyncFiles)),
            At::FilesSynced | At::RootSynced | At::DataSynced => steps.extend(syncs_dir(Action::SyncDir)),
            At::BarrierOne => {
                steps.extend(renames(Action::Swap));
                steps.push(Action::GiveUp(w));
            }
            At::Swapped => steps.extend(syncs_dir(Action::SyncPointer)),
            At::BarrierTwo => steps.push(Action::Acknowledge(w)),
            At::Discarding => steps.push(Action::DiscardManifest(w)),
            At::ManifestDiscarded => steps.push(Action::DiscardRest(w)),
        }
        steps.extend((writer.at != At::Idle).then_some(Action::Kill(w)));
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

    /// The state after a step. Writers are interchangeable, and so are readers, so they are sorted.
    pub fn after(&self, before: &State, step: Action) -> State {
        let mut state = *before;
        match step {
            Action::ReadPointer(r) | Action::ReadFiles(r) => read(&mut state, r),
            Action::ReadNames(r) => self.read_names(&mut state, r),
            Action::Report(r) => self.report(&mut state, r),
            Action::PowerCut(way) => {
                state.cut(way);
                state.recovered = state.recovered.or(Some(self.opened(&state)));
            }
            Action::Kill(w) => {
                let writer = state.writers[w];
                state.forget(&writer);
                state.writers[w] = Writer::IDLE;
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
                if head == TORN || state.is_behind() || (head == 0 && !state.disk.data.is_empty()) {
                    // A damaged store takes no commit before it is repaired.
                    state.writers[w] = Writer::IDLE;
                    return;
                }
                if self.is(Wrong::RecoveryRemoves) && state.note.next == 0 {
                    remove_interrupted(state);
                }
                let writer = &mut state.writers[w];
                writer.head = head;
                writer.at = match head {
                    0 => At::Vacant,
                    _ if writer.note.settled == head => At::Ready,
                    _ => At::Unsettled,
                };
            }
            Action::CreateDirectories(w) => Self::create_directories(state, w),
            Action::SettleWrite(w)
            | Action::SettleSync(w, _)
            | Action::SettleSyncDir(w, _)
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
                writer.number = number;
                writer.at = At::Numbered;
                writer.note.next = 0;
                state.note = Note { next: number + 1, settled: writer.note.settled };
            }
            Action::CreateDirectory(w) => {
                state.disk.data.create();
                state.writers[w].at = At::DirectoryCreated;
                state.writers[w].created_directory = true;
            }
            Action::WriteManifest(w) | Action::WriteData(w) | Action::WritePointer(w) => {
                self.write_file(state, w, step);
            }
            Action::SyncFiles(w, sync) => self.sync_files(state, w, sync),
            Action::SyncDir(w, sync) => self.sync_dir(state, w, sync),
            Action::GiveUp(w) => discard(state, w),
            Action::DiscardManifest(w) => {
                let number = usize::from(state.writers[w].number);
                if state.disk.stopped.is_none() {
                    state.disk.manifests.files[number].remove();
                }
                state.writers[w].at = At::ManifestDiscarded;
            }
            Action::DiscardRest(w) => {
                let writer = state.writers[w];
                let number = usize::from(writer.number);
                if state.disk.stopped.is_none() {
                    state.disk.data.files[number].remove();
                    state.disk.next = None;
                    if writer.created_directory {
                        state.disk.data.remove();
                    }
                }
                let fate = &mut state.fates[number];
                *fate = if *fate == Fate::Shown { Fate::Failed } else { *fate };
                state.forget(&writer);
                state.writers[w] = Writer::IDLE;
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
            Action::SyncPointer(w, sync) => {
                state.disk.sync_dir(Dir::Root, sync);
                state.writers[w].at = At::BarrierTwo;
                if !sync.is_done() {
                    self.unknown(state, w);
                }
            }
            Action::Acknowledge(w) => {
                let number = state.writers[w].number;
                // Everything that it follows is acknowledged with it.
                let all: Vec<usize> = state.chain(number).collect();
                all.into_iter().for_each(|number| state.fates[number] = Fate::Acknowledged);
                state.note = Note { next: number + 1, settled: number };
                state.writers[w] = Writer::IDLE;
            }
            Action::Kill(_)
            | Action::ReadPointer(_)
            | Action::ReadFiles(_)
            | Action::ReadNames(_)
            | Action::Report(_)
            | Action::PowerCut(_) => {}
        }
    }

    /// The handle is poisoned, and nothing is deleted.
    fn unknown(&self, state: &mut State, w: usize) {
        let writer = state.writers[w];
        if self.is(Wrong::DiscardsUnknown) {
            state.disk.manifests.files[usize::from(writer.number)].remove();
            state.disk.data.files[usize::from(writer.number)].remove();
        }
        state.forget(&writer);
        state.writers[w] = Writer::IDLE;
    }

    fn write_file(&self, state: &mut State, w: usize, step: Action) {
        let writer = state.writers[w];
        let Writer { head, number, .. } = writer;
        let n = usize::from(number);
        let at = match step {
            Action::WriteManifest(_) if state.disk.manifests.files[n].name.there => At::NumberTaken,
            Action::WriteManifest(_) => {
                state.bad.number_reused |= state.fates[n] != Fate::Free;
                state.disk.manifests.files[n].create();
                state.fates[n] = Fate::Begun;
                state.parents[n] = head;
                state.recovered = None;
                At::ManifestCreated
            }
            Action::WriteData(_) if head == 0 => At::DataCreated,
            Action::WriteData(_) if state.disk.data.files[n].name.there => {
                state.disk.manifests.files[n].remove();
                state.forget(&writer);
                At::NumberTaken
            }
            Action::WriteData(_) => {
                state.disk.data.files[n].create();
                At::DataCreated
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

    fn sync_files(&self, state: &mut State, w: usize, sync: Sync) {
        let n = usize::from(state.writers[w].number);
        if !self.is(Wrong::ManifestNotSynced) {
            state.disk.manifests.files[n].content.sync(sync);
        }
        if !self.is(Wrong::DataNotSynced) {
            state.disk.data.files[n].content.sync(sync);
        }
        if self.is(Wrong::SwapFirst) {
            state.disk.current.content.sync(sync);
        } else if !self.is(Wrong::PointerNotSynced) {
            state.disk.sync_next(sync);
        }
        state.writers[w].at = At::FilesSynced;
        if !sync.is_done() {
            discard(state, w);
        }
    }

    fn sync_dir(&self, state: &mut State, w: usize, sync: Sync) {
        let (dir, left_out, next) = match state.writers[w].at {
            At::FilesSynced => (Dir::Root, Wrong::RootDirNotSynced, At::RootSynced),
            At::RootSynced => (Dir::Data, Wrong::DataDirNotSynced, At::DataSynced),
            _ => (Dir::Manifests, Wrong::ManifestsDirNotSynced, At::BarrierOne),
        };
        if !self.is(left_out) {
            state.disk.sync_dir(dir, sync);
        }
        state.writers[w].at = next;
        if !sync.is_done() {
            discard(state, w);
        }
    }
}

/// The steps of a writer after the disk has stopped. Every change fails. The writer may read, and
/// acknowledge what was durable before. One fsync of another directory may report success.
fn stopped_steps(state: &State, w: usize, steps: &mut Vec<Action>) {
    let writer = &state.writers[w];
    let sync_dir = |dir| {
        if state.disk.lies_about(dir) { Action::SyncDir(w, Sync::Done) } else { Action::GiveUp(w) }
    };
    steps.extend(match writer.at {
        At::Idle => (!state.writers[1 - w].holds_lock()).then_some(Action::Lock(w)),
        At::Locked => Some(Action::Refresh(w)),
        At::Ready if writer.head > 0 => Some(Action::NothingToSave(w)),
        At::FilesSynced => Some(sync_dir(Dir::Root)),
        At::RootSynced => Some(sync_dir(Dir::Data)),
        At::DataSynced => Some(sync_dir(Dir::Manifests)),
        At::ManifestCreated | At::DirectoryCreated | At::DataCreated | At::Written | At::BarrierOne => {
            Some(Action::GiveUp(w))
        }
        At::Swapped => Some(Action::SyncPointer(w, Sync::FailedUndecided)),
        At::BarrierTwo => Some(Action::Acknowledge(w)),
        At::Discarding => Some(Action::DiscardManifest(w)),
        At::ManifestDiscarded => Some(Action::DiscardRest(w)),
        _ => None,
    });
    steps.extend((writer.at != At::Idle).then_some(Action::Kill(w)));
}

fn discard(state: &mut State, w: usize) {
    let writer = state.writers[w];
    state.forget(&writer);
    state.writers[w].at = At::Discarding;
}

/// A recovery that tidies up: it leaves no name above the head.
fn remove_interrupted(state: &mut State) {
    for number in usize::from(state.head()) + 1..NUMBERS {
        state.disk.manifests.files[number].remove();
        state.disk.data.files[number].remove();
    }
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
        // A name that is gone does not come back. So what is missing at any moment is still missing
        // at the last.
        Doing::Pointer => {
            state.bad.reader_mixture |= !state.is_chain_whole(seen);
            Reader { doing: Doing::Nothing, seen }
        }
        Doing::Names(_) => state.readers[r],
    };
}
