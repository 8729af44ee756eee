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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::*;
    use crate::disk::Disk;

    fn bench(dir: &std::path::Path, rounds: usize, limit: Duration) -> Bench {
        Bench::new(dir, Disk::under(dir).unwrap(), Some(rounds), limit, false).unwrap()
    }

    /// The rounds that were counted, and who had its turn when.
    fn run(rounds: usize, limit: Duration) -> ([Measured; 2], Vec<(usize, &'static str)>) {
        let dir = tempfile::tempdir().unwrap();
        let turns = &RefCell::new(Vec::new());
        let mut contest = Contest::new();
        for name in ["a", "b", "c"] {
            contest.enter(name, move |round: &usize| {
                turns.borrow_mut().push((*round, name));
                Ok([u32::try_from(*round)?.into(), 7.0])
            });
        }
        let measured = contest.run(&bench(dir.path(), rounds, limit), 99, Ok).unwrap();
        (measured, turns.take())
    }

    #[test]
    fn all_have_one_turn_in_each_round_in_changing_order() {
        let (measured, turns) = run(8, Duration::MAX);
        let orders: Vec<String> =
            turns.chunks(3).map(|round| round.iter().map(|turn| turn.1).collect()).collect();
        for (number, round) in turns.chunks(3).enumerate() {
            let mut names: Vec<_> = round.iter().map(|turn| turn.1).collect();
            names.sort_unstable();
            assert_eq!(names, ["a", "b", "c"]);
            assert!(round.iter().all(|turn| turn.0 == number));
        }
        assert_eq!(orders.len(), 9);
        assert!(orders.iter().any(|order| Some(order) != orders.first()));
        assert_eq!(run(8, Duration::MAX).1, turns, "the same seed gives the same orders");

        let [rounds, sevens] = measured;
        let names: Vec<_> = rounds.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        for (_, samples) in &rounds.0 {
            // The round with the number 0 is not counted.
            assert_eq!((samples.count(), samples.quantile(0.0), samples.quantile(1.0)), (8, 1.0, 8.0));
        }
        assert!(sevens.0.iter().all(|(_, samples)| samples.sum() == 56.0));
    }

    #[test]
    fn a_row_that_takes_long_ends_after_three_rounds() {
        let ([rounds, _], _) = run(8, Duration::ZERO);
        assert!(rounds.0.iter().all(|(_, samples)| samples.count() == ROUNDS_MIN));
    }

    #[test]
    fn an_error_names_the_contestant() {
        let dir = tempfile::tempdir().unwrap();
        let mut contest: Contest<'_, usize> = Contest::new();
        contest.enter("broken", |_| Err("no".into()));
        let error = contest.run(&bench(dir.path(), 1, Duration::MAX), 1, Ok).err();
        assert_eq!(error.map(|error| error.to_string()).as_deref(), Some("broken: no"));
    }
}
