//! The proof that a store keeps its promises on the weakest disk: power cuts at every operation, faults at every
//! operation, and mutants that show that neither is blind. `docs/testing.md` says what each layer shows and how to run it.

mod contract;
mod crash;
mod faults;
mod layer;
mod mutants;
mod oracle;
mod scene;
mod workloads;

/// What the environment asks for: `tests/prove` sets it.
mod effort {
    /// How much is to be done, when not as much as always.
    pub(super) fn runs(default: u64) -> u64 {
        number("GENSTORE_PROVE_RUNS").unwrap_or(default)
    }

    /// What decides everything that is chosen at random.
    pub(super) fn seed() -> u64 {
        number("GENSTORE_PROVE_SEED").unwrap_or(1)
    }

    #[expect(clippy::disallowed_methods, reason = "tests are told by the environment how much to do")]
    fn number(name: &str) -> Option<u64> {
        std::env::var(name)
            .ok()
            .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    }
}
