//! The proof that a store keeps its promises: power cuts and faults at every operation, mutants of
//! the protocol, contracts of the simulated disk, orders of threads, and hostile bytes. The mutants
//! show that the power cuts and the faults find what they look for.
//!
//! The library compiles this as its module `proof`. `docs/internals/testing.md` says what each
//! layer shows and how to run it.

#[cfg(test)]
mod answer;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the environment says how much the tests do")]
mod budget;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod host_dirs;
pub mod hostile;
#[cfg(test)]
mod injector;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod parallel;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod run_cache;
#[cfg(test)]
mod step_mutants;
#[cfg(test)]
#[cfg(feature = "shuttle")]
mod threads;
#[cfg(test)]
mod workloads;
#[cfg(test)]
mod world;
