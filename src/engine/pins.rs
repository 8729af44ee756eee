//! The pins of one handle. Snapshots of the same generation share one pin.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::error::{Error, Operation, Result};
use crate::revision::Generation;
use crate::storage::{Pin, Storage};
use crate::sync::{Mutex, PoisonError};

type Held = BTreeMap<Generation, Weak<SharedPin>>;

/// The pins that a handle holds now: one entry for each generation that a snapshot holds, and no
/// others.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    held: Arc<Mutex<Held>>,
}

/// One pin for all snapshots of a generation through one handle. The last snapshot to go drops it.
#[derive(Debug)]
pub(crate) struct SharedPin {
    /// Dropped after the entry is removed, see [`Drop`].
    _pin: Box<dyn Pin>,
    generation: Generation,
    held: Arc<Mutex<Held>>,
}

impl Pins {
    /// Pins a generation, unless this handle holds it already. `None` where nothing can be pinned.
    pub(crate) fn pin(
        &self,
        storage: &dyn Storage,
        generation: Generation,
    ) -> Result<Option<Arc<SharedPin>>> {
        // Locked until the pin is there, so that concurrent threads share one pin.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pin) = held.get(&generation).and_then(Weak::upgrade) {
            return Ok(Some(pin));
        }
        let pin = storage
            .pin(generation)
            .map_err(|error| Error::io(Operation::Pin, format!("generation {generation}"), error))?;
        Ok(pin.map(|pin| {
            let pin = Arc::new(SharedPin { _pin: pin, generation, held: Arc::clone(&self.held) });
            held.insert(generation, Arc::downgrade(&pin));
            pin
        }))
    }
}

#[cfg(test)]
impl Pins {
    /// The number of generations with an entry.
    pub(crate) fn len(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for SharedPin {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // A new snapshot may have put its own pin there meanwhile.
        if held.get(&self.generation).is_some_and(|pin| pin.strong_count() == 0) {
            held.remove(&self.generation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::real::RealFs;
    use crate::storage::directory::Directory;

    #[test]
    fn only_the_generations_that_are_held_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Directory::new(Arc::new(RealFs::open(dir.path()).unwrap()));
        let pins = Pins::default();
        let pin = |number| pins.pin(&storage, Generation::new(number).unwrap()).unwrap().unwrap();
        let held: Vec<_> = (1..=10).chain(1..=10).map(pin).collect();
        assert_eq!(pins.len(), 10);
        drop(held);
        assert_eq!(pins.len(), 0);
        let names = storage.scan("locks").unwrap();
        assert_eq!(names, []);
    }
}
