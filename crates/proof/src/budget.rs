//! How much a test does that could go on for ever, and the seed of its random choices. By default
//! it does what fits a run before each change; the environment can ask for more.
#![allow(dead_code, unreachable_pub, reason = "each test uses only a part")]

/// How many runs to do: GENSTORE_PROVE_RUNS, or else `default`.
pub fn runs(default: u64) -> u64 {
    number("GENSTORE_PROVE_RUNS").unwrap_or(default)
}

/// The seed of every random choice: GENSTORE_PROVE_SEED, or else 1.
pub fn seed() -> u64 {
    number("GENSTORE_PROVE_SEED").unwrap_or(1)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")))
}
