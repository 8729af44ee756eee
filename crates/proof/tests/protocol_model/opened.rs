//! What opening shows: the head, and the interrupted commits. And what it must show.

use super::disk::{NUMBERS, TORN};
use super::protocol::Protocol;
use super::state::{Doing, Fate, Reader, State};
use super::wrong::Wrong;

/// What a process sees that opens the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Opened {
    pub head: u8,
    /// Bit n: number n is reported as an interrupted commit. If there is no store yet, these are
    /// the names that its creation finds, and they are not reported.
    pub interrupted: u8,
}

/// Those of these numbers that are above one of them.
fn above(numbers: u8, one: u8) -> u8 {
    numbers & !((2_u16 << one) - 1) as u8
}

impl Protocol {
    /// What `store::status` reports if no other process acts meanwhile.
    pub fn opened(&self, state: &State) -> Opened {
        let head = state.head();
        Opened { head, interrupted: above(self.named(state), head) }
    }

    /// The numbers whose names the report sees.
    fn named(&self, state: &State) -> u8 {
        let [manifests, data] = state.disk.named();
        match self.wrong {
            Wrong::ReportsManifests => manifests,
            Wrong::ReportsToGap => {
                let gaps = above(!(manifests | data), state.head());
                let first_gap = gaps & gaps.wrapping_neg();
                (manifests | data) & first_gap.wrapping_sub(1)
            }
            _ => manifests | data,
        }
    }

    /// `store::status` has read the pointer, and looks at the names. Others may act meanwhile.
    pub fn read_names(&self, state: &mut State, r: usize) {
        let seen = state.readers[r].seen;
        let names = above(self.named(state), seen);
        let doing = if names == 0 { Doing::Nothing } else { Doing::Names(names) };
        state.readers[r].doing = doing;
    }

    /// It reads the pointer again, as some of these numbers may be committed by now. It reports
    /// those above the pointer.
    pub fn report(&self, state: &mut State, r: usize) {
        let Doing::Names(names) = state.readers[r].doing else { return };
        let head = state.head();
        let reported = if self.is(Wrong::ReportsWithoutSecondLook) { names } else { above(names, head) };
        state.bad.report |=
            head == TORN || (1..NUMBERS).any(|n| reported >> n & 1 == 1 && is_history(state, n));
        state.readers[r] = Reader { doing: Doing::Nothing, ..state.readers[r] };
    }
}

/// Whether a number belongs to the history: it was reported as durable, or the head follows it.
fn is_history(state: &State, number: usize) -> bool {
    state.fates[number] >= Fate::FoundDurable || state.chain(state.head()).any(|other| other == number)
}

/// The specification of [`Opened::interrupted`], which knows what became of each commit. A commit
/// is interrupted if it has left a name, is not part of the history, and is above the history. If a
/// writer still works on it, it may be reported or not.
pub fn report_is_right(protocol: &Protocol, state: &State) -> bool {
    let reported = protocol.opened(state).interrupted;
    let disk = &state.disk;
    let newest = (1..NUMBERS).rev().find(|number| is_history(state, *number)).unwrap_or(0);
    (1..NUMBERS).all(|number| {
        let has_name = disk.manifests.files[number].name.there || disk.data.files[number].name.there;
        let is_left = has_name && number > newest;
        let is_at_work = state.writers.iter().any(|writer| writer.works_on(number));
        let is_reported = reported >> number & 1 == 1;
        if is_reported { is_left } else { !is_left || is_at_work }
    })
}
