//! What must hold in every state, and the run of the checker.

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::action::{Action, Rename};
use super::disk::{NUMBERS, Sync};
use super::opened::report_is_right;
use super::protocol::{Others, Protocol};
use super::state::{At, Bad, Fate, State};

/// The head is the last acknowledged generation, or one whose outcome is not known yet. It is never
/// an older one, and never one that was reported as not committed. After a power cut the cache
/// equals the disk, so this covers the recovered head.
pub const HEAD: &str = "the head is the last acknowledged generation or the one in flight";
pub const WHOLE: &str = "the head is whole";
pub const INTACT: &str = "every acknowledged generation is whole and part of the history";
pub const NUMBER: &str = "no number is used again";
pub const READER: &str = "no reader sees a mixture";
pub const FORWARD: &str = "no reader goes back";
pub const NOTHING: &str = "what a commit without changes has acknowledged is durable";
pub const REPORT: &str = "an interrupted commit is reported";
pub const TWICE: &str = "recovering twice gives the same";
pub const POSSIBLE: &str = "a commit is possible";

fn head_is_right(state: &State) -> bool {
    let head = usize::from(state.head());
    let acknowledged = state.acknowledged(Fate::Acknowledged).max().unwrap_or(0);
    head < NUMBERS && head >= acknowledged && (head == 0 || state.fates[head] >= Fate::Shown)
}

fn is_intact(state: &State) -> bool {
    let mut acknowledged = state.acknowledged(Fate::FoundDurable);
    acknowledged.all(|number| state.chain(state.head()).any(|other| other == number))
        && state.is_chain_whole(state.acknowledged(Fate::FoundDurable).max().unwrap_or(0) as u8)
}

fn nothing_is_durable(state: &State) -> bool {
    let found = (1..NUMBERS).filter(|number| state.fates[*number] == Fate::FoundDurable);
    found.max().is_none_or(|number| usize::from(state.head()) >= number)
}

/// If no writer is at work, one writer that meets no fault can commit a new generation.
fn commit_is_possible(protocol: &Protocol, before: &State) -> bool {
    if before.writers.iter().any(|writer| writer.at != At::Idle) || !before.readers_are_new() {
        return true;
    }
    // A stopped disk takes commits again once the machine has started again. That is another state.
    if before.disk.stopped.is_some() {
        return true;
    }
    let protocol = Protocol { highest: NUMBERS as u8 - 1, others: Others::None, ..*protocol };
    let mut state = *before;
    let mut steps = Vec::new();
    for _ in 0..100 {
        steps.clear();
        protocol.steps(&state, &mut steps);
        let is_fault_free = |step: &&Action| match step {
            Action::PowerCut(_) | Action::Kill(_) | Action::GiveUp(_) | Action::NothingToSave(_) => false,
            Action::SettleSync(_, sync)
            | Action::SettleSyncDir(_, sync)
            | Action::SettleEnd(_, sync)
            | Action::SyncFiles(_, sync)
            | Action::SyncDir(_, sync)
            | Action::SyncPointer(_, sync) => *sync == Sync::Done,
            Action::Swap(_, rename) | Action::SettleSwap(_, rename) => *rename == Rename::Done,
            // While one writer is at work, the other does not move.
            Action::Lock(_) => state.writers.iter().all(|writer| writer.at == At::Idle),
            _ => true,
        };
        let Some(step) = steps.iter().find(is_fault_free) else { return false };
        state = protocol.after(&state, *step);
        let head = usize::from(state.head());
        let is_new = head < NUMBERS && before.fates[head] == Fate::Free;
        if is_new && state.fates[head] == Fate::Acknowledged {
            return state.is_chain_whole(state.head()) && state.bad == before.bad;
        }
    }
    false
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.start)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // What comes after a violation shows nothing.
        if state.bad == Bad::default() {
            self.steps(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(HEAD, |_, state| head_is_right(state)),
            Property::always(WHOLE, |_, state: &State| state.is_chain_whole(state.head())),
            Property::always(INTACT, |_, state| is_intact(state)),
            Property::always(NUMBER, |_, state: &State| !state.bad.number_reused),
            Property::always(READER, |_, state: &State| !state.bad.reader_mixture),
            Property::always(FORWARD, |_, state: &State| !state.bad.reader_back),
            Property::always(NOTHING, |_, state| nothing_is_durable(state)),
            Property::always(REPORT, |protocol, state: &State| {
                !state.bad.report && report_is_right(protocol, state)
            }),
            Property::always(TWICE, |protocol: &Self, state: &State| {
                state.recovered.is_none_or(|recovered| recovered == protocol.opened(state))
            }),
            Property::always(POSSIBLE, commit_is_possible),
        ]
    }
}

/// The result of a run.
pub struct Found {
    pub states: usize,
    pub depth: usize,
    /// The properties that do not hold, each with the steps that lead there.
    pub violations: Vec<(&'static str, String)>,
}

impl Found {
    pub fn told(&self, property: &str) -> Option<&str> {
        self.violations.iter().find(|(name, _)| *name == property).map(|(_, way)| way.as_str())
    }
}

/// Visits every reachable state, until `finish` holds.
pub fn explore(protocol: Protocol, finish: HasDiscoveries) -> Found {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let checker = protocol.checker().threads(threads).finish_when(finish).spawn_bfs().join();
    let way = |path: stateright::Path<State, Action>| {
        let end = *path.last_state();
        let steps: Vec<String> = path.into_actions().iter().map(|action| format!("  {action:?}")).collect();
        format!("{}\n  leads to {end:?}", steps.join("\n"))
    };
    let mut violations: Vec<_> =
        checker.discoveries().into_iter().map(|(name, path)| (name, way(path))).collect();
    violations.sort_unstable();
    Found { states: checker.unique_state_count(), depth: checker.max_depth(), violations }
}
