//! How much a test that can go on for ever does, and from which seed.
#![allow(dead_code, unreachable_pub, clippy::disallowed_methods, reason = "each test file uses its part")]

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// How many rounds: `default` in CI, `GENSTORE_PROVE_RUNS` in a long run.
pub fn runs(default: u64) -> u64 {
    number("GENSTORE_PROVE_RUNS").unwrap_or(default)
}

/// Where every random choice comes from: `GENSTORE_PROVE_SEED`, or 1.
pub fn seed() -> u64 {
    number("GENSTORE_PROVE_SEED").unwrap_or(1)
}
