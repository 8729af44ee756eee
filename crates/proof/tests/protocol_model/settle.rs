//! What happens before a commit begins: the directories of a new store are created, or the pointer
//! is made durable.

use super::action::{Action, Rename};
use super::disk::{Dir, Sync};
use super::protocol::Protocol;
use super::state::{At, Note, State, Writer};
use super::wrong::Wrong;

impl Protocol {
    pub fn unsettled_steps(&self, writer: &Writer, w: usize, steps: &mut Vec<Action>) {
        if self.is(Wrong::SettlesBySync) {
            return steps.extend(Sync::OF_DIRS.map(|sync| Action::SettleEnd(w, sync)));
        }
        steps.push(Action::SettleWrite(w));
        steps.extend(self.is(Wrong::AcknowledgesUnsettled).then_some(Action::NothingToSave(w)));
        let builds = self.is(Wrong::BuildsOnUnsettled) && writer.head < self.highest;
        steps.extend(builds.then_some(Action::TakeNumber(w)));
    }

    /// `engine::create::make_directories`. A kill between two directories makes no difference. A
    /// power cut leaves each of them or not, and the next writer creates all of them again.
    pub fn create_directories(state: &mut State, w: usize) {
        for directory in [&mut state.disk.manifests, &mut state.disk.data] {
            directory.create();
        }
        state.writers[w].at = At::Ready;
    }

    pub fn settle(&self, state: &mut State, w: usize, step: Action) {
        let Writer { head, note, .. } = state.writers[w];
        let in_place = self.is(Wrong::SettlesInPlace);
        let next = match step {
            Action::SettleWrite(_) => {
                if in_place {
                    state.disk.overwrite(head);
                } else {
                    state.disk.write_next(head);
                }
                At::SettleWritten
            }
            Action::SettleSync(_, sync) => {
                if in_place {
                    state.disk.current.content.sync(sync);
                } else if !self.is(Wrong::SettlesUnsynced) {
                    state.disk.sync_next(sync);
                }
                if sync.is_done() { At::SettleFileSynced } else { At::Idle }
            }
            Action::SettleSyncDir(_, sync) => {
                state.disk.sync_dir(Dir::Root, sync);
                if sync.is_done() { At::SettleSynced } else { At::Idle }
            }
            Action::SettleSwap(_, rename) => {
                if rename != Rename::FailedUndone {
                    state.disk.swap();
                }
                if rename == Rename::Done { At::SettleSwapped } else { At::Idle }
            }
            Action::SettleEnd(_, sync) => {
                state.disk.sync_dir(Dir::Root, sync);
                if sync.is_done() {
                    let next =
                        if self.is(Wrong::NoteWithoutLook) { note.next.max(head + 1) } else { note.next };
                    state.note = Note { next, settled: head };
                }
                if sync.is_done() { At::Ready } else { At::Idle }
            }
            _ => return,
        };
        state.writers[w].at = next;
        if next == At::Idle {
            state.writers[w] = Writer::IDLE;
        }
    }
}
