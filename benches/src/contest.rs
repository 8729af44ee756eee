//! The contestants of a row take turns, so that what disturbs the machine disturbs all of them.

use std::array;
use std::time::Instant;

use crate::Result;
use crate::bench::Bench;
use crate::row::Measured;
use crate::stats::Samples;

/// The seed of the orders.
pub const SEED: u64 = 14;

/// The least number of rounds, however long they take.
const ROUNDS_MIN: usize = 3;

/// The contestants of a row. Each gets the same input in a round, and measures M things.
pub struct Contest<'a, I, const M: usize = 1> {
    entries: Vec<Entry<'a, I, M>>,
}

/// What a contestant does in a round. It returns what it measured.
type Turn<'a, I, const M: usize> = Box<dyn FnMut(&I) -> Result<[f64; M]> + 'a>;

struct Entry<'a, I, const M: usize> {
    place: usize,
    name: String,
    turn: Turn<'a, I, M>,
    samples: [Samples; M],
}

impl<'a, I, const M: usize> Contest<'a, I, M> {
    /// A contest without contestants.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a contestant. `turn` returns what it measured; the clock is its own, so that it can
    /// prepare without being measured.
    pub fn enter(&mut self, name: &str, turn: impl FnMut(&I) -> Result<[f64; M]> + 'a) {
        self.entries.push(Entry {
            place: self.entries.len(),
            name: name.to_owned(),
            turn: Box::new(turn),
            samples: array::from_fn(|_| Samples::default()),
        });
    }

    /// Runs all contestants in each round, in another order each time. The first round, whose
    /// number is 0, is not counted: it creates files and fills caches.
    ///
    /// # Errors
    /// Those of the contestants, with their names.
    pub fn run(
        mut self,
        bench: &Bench,
        rounds: usize,
        mut input: impl FnMut(usize) -> Result<I>,
    ) -> Result<[Measured; M]> {
        let mut random = fastrand::Rng::with_seed(SEED);
        let begin = Instant::now();
        for round in 0..=bench.rounds(rounds) {
            if round > ROUNDS_MIN && begin.elapsed() > bench.limit {
                break;
            }
            let input = input(round)?;
            random.shuffle(&mut self.entries);
            for Entry { name, turn, samples, .. } in &mut self.entries {
                bench.settle()?;
                let values = turn(&input).map_err(|error| format!("{name}: {error}"))?;
                if round > 0 {
                    samples.iter_mut().zip(values).for_each(|(samples, value)| samples.push(value));
                }
            }
        }
        self.entries.sort_by_key(|entry| entry.place);
        let mut measured = array::from_fn(|_| Measured::default());
        for Entry { name, samples, .. } in self.entries {
            for (measured, samples) in measured.iter_mut().zip(samples) {
                measured.0.push((name.clone(), samples));
            }
        }
        Ok(measured)
    }
}

impl<I, const M: usize> Default for Contest<'_, I, M> {
    fn default() -> Self {
        Self::new()
    }
}
