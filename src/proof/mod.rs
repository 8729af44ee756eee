//! The proof that a store keeps its promises on the weakest disk: power cuts at every operation, faults at every
//! operation, and mutants that show that neither is blind. `docs/testing.md` says what each layer shows and how to run it.

mod alike;
mod contract;
mod crash;
mod each;
mod faults;
mod known;
mod mutants;
mod oracle;
mod outside;
mod scene;
#[cfg(genstore_shuttle)]
mod threads;
mod work;
mod workloads;
