//! What is done before a save is begun: the folders of a new store are made, or the pointer is made durable.

use super::action::{Action, Rename};
use super::disk::{Dir, Flush};
use super::protocol::Protocol;
use super::state::{At, Note, State, Writer};
use super::wrong::Wrong;

impl Protocol {
    pub fn unsettled_steps(&self, writer: &Writer, w: usize, steps: &mut Vec<Action>) {
        if self.is(Wrong::SettlesByFlush) {
            return steps.extend(Flush::OF_DIRS.map(|flush| Action::SettleEnd(w, flush)));
        }
        steps.push(Action::SettleWrite(w));
        steps.extend(self.is(Wrong::AcknowledgesUnsettled).then_some(Action::NothingToSave(w)));
        let builds = self.is(Wrong::BuildsOnUnsettled) && writer.head < self.highest;
        steps.extend(builds.then_some(Action::TakeNumber(w)));
    }

    /// `engine::create::make_folders`. That it may be killed between two folders makes no difference: a power cut leaves
    /// each of them or not, and whoever comes next does all of it again.
    pub fn make_folders(state: &mut State, w: usize) {
        for folder in [&mut state.disk.manifests, &mut state.disk.data] {
            folder.make();
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
            Action::SettleFlush(_, flush) => {
                if in_place {
                    state.disk.current.content.flush(flush);
                } else if !self.is(Wrong::SettlesUnflushed) {
                    state.disk.flush_next(flush);
                }
                if flush.is_done() { At::SettleFileFlushed } else { At::Idle }
            }
            Action::SettleFlushDir(_, flush) => {
                state.disk.flush_dir(Dir::Root, flush);
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
}
