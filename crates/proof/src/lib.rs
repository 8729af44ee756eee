//! The proof that a store keeps its promises: power cuts and faults at every operation, mutants that show that neither is
//! blind, contracts of the simulated disk, orders of threads, and hostile bytes. Compiled into the library as its module
//! `proof`; `docs/internals/testing.md` says what each layer shows and how to run it.

#[cfg(test)]
mod alike;
#[cfg(test)]
mod answer;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment how much to do")]
mod budget;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod each;
#[cfg(test)]
mod faults;
pub mod hostile;
#[cfg(test)]
mod known;
#[cfg(test)]
mod layer;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod scene;
#[cfg(all(test, feature = "shuttle"))]
mod threads;
#[cfg(test)]
mod work;
#[cfg(test)]
mod workloads;
