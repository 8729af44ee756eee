//! What opening shows: the head, and the commits that were interrupted. And what it must show.

use super::disk::{NUMBERS, TORN};
use super::protocol::Protocol;
use super::state::{Doing, Fate, Reader, State};
use super::wrong::Wrong;

/// What somebody is shown who opens the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Opened {
    pub head: u8,
    /// Bit n: number n is reported as an interrupted commit. Where there is no store yet nobody is told of numbers; then
    /// these are the names that the making of one finds.
    pub interrupted: u8,
}

/// Which of these numbers are above one.
fn above(numbers: u8, one: u8) -> u8 {
    numbers & !((2_u16 << one) - 1) as u8
}

impl Protocol {
    /// As `store::status` computes it when nobody else does anything meanwhile.
    pub fn opened(&self, state: &State) -> Opened {
        let head = state.head();
        Opened { head, interrupted: above(self.named(state), head) }
    }

    /// The numbers of which the report sees a name.
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

    /// `store::status` while others are at work: it has read the pointer, and looks at the names.
    pub fn read_names(&self, state: &mut State, r: usize) {
        let seen = state.readers[r].seen;
        let names = above(self.named(state), seen);
        let doing = if names == 0 { Doing::Nothing } else { Doing::Names(names) };
        state.readers[r].doing = doing;
    }

    /// It reads the pointer again, as what it has seen may be committed by now, and reports what is above it.
    pub fn report(&self, state: &mut State, r: usize) {
        let Doing::Names(names) = state.readers[r].doing else { return };
        let head = state.head();
        let reported = if self.is(Wrong::ReportsWithoutSecondLook) { names } else { above(names, head) };
        state.bad.report |=
            head == TORN || (1..NUMBERS).any(|n| reported >> n & 1 == 1 && is_history(state, n));
        state.readers[r] = Reader { doing: Doing::Nothing, ..state.readers[r] };
    }
}

/// Whether a number is a part of the history: somebody was told that it is durable, or the newest that shows follows it.
fn is_history(state: &State, number: usize) -> bool {
    state.fates[number] >= Fate::FoundDurable || state.chain(state.head()).any(|other| other == number)
}

/// The specification of [`Opened::interrupted`], which knows what became of each commit. A commit counts as interrupted
/// that has left a name, is no part of the history and was not passed by it, unless somebody is at work on it, who may
/// be told of or not.
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
