//! A disk that fails when a plan says so.

use std::sync::Arc;

use super::layer::{Do, Layer};
use crate::fs::Fs;
use crate::fs::op::Op;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// When and how operations fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The number of matching operations that succeed first.
    pub(crate) after: usize,
    /// The error number of the operating system.
    pub(crate) errno: i32,
    /// Whether every later matching operation fails too.
    pub(crate) for_ever: bool,
    pub(crate) matches: fn(&Op) -> bool,
    /// Whether a rename that fails has happened all the same.
    pub(crate) takes_effect: bool,
}

#[derive(Debug, Default)]
struct State {
    plan: Option<Plan>,
    seen: usize,
    waits: bool,
}

impl State {
    /// A write that fails has written the first half.
    fn rule(&mut self, op: &Op) -> Do {
        if let Some(plan) = self.plan.filter(|plan| (plan.matches)(op)) {
            self.seen += 1;
            let is_due = if plan.for_ever { self.seen > plan.after } else { self.seen - 1 == plan.after };
            match op {
                _ if !is_due => {}
                Op::Write(_) => return Do::HalfAndFail(plan.errno),
                Op::Rename(..) if plan.takes_effect => return Do::Belated(plan.errno),
                _ => return Do::Fail(plan.errno),
            }
        }
        if op.flushes() && !self.waits { Do::Pretend } else { Do::Asked }
    }
}

/// A layer of faults. Unless [`FaultFs::wait_for_the_disk`] says otherwise, its flushes are only taken down: nothing
/// survives a power cut in most tests, and waiting would only make them slow.
#[derive(Clone, Debug)]
pub(crate) struct FaultFs {
    pub(crate) layer: Layer,
    state: Arc<Mutex<State>>,
}

impl FaultFs {
    pub(crate) fn new(inner: Arc<dyn Fs>) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let rule = Arc::clone(&state);
        let layer = Layer::new(inner, Arc::new(move |op| locked(&rule).rule(op)));
        Self { layer, state }
    }

    /// The way through it.
    pub(crate) fn way(&self) -> Arc<dyn Fs> {
        Arc::new(self.layer.clone())
    }

    /// Begins to count operations for this plan, or ends all faults.
    pub(crate) fn plan(&self, plan: Option<Plan>) {
        let mut state = locked(&self.state);
        (state.plan, state.seen) = (plan, 0);
    }

    /// How many operations matched the plan so far.
    pub(crate) fn seen(&self) -> usize {
        locked(&self.state).seen
    }

    /// What was asked since this was asked last.
    pub(crate) fn take_trace(&self) -> Vec<Op> {
        self.layer.take_trace()
    }

    /// Flushes are really done from now on.
    pub(crate) fn wait_for_the_disk(&self) {
        locked(&self.state).waits = true;
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
