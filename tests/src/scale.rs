//! How often a test that gains by repetition repeats itself.

/// Times for `cargo xtask test --full`.
const FULL: usize = 5;

/// What is left of the rounds in a machine that is emulated.
const SMALL: usize = 20;

/// `rounds`, or several times as many in a full run; a twentieth where every step
/// takes long.
#[must_use]
pub fn rounds(rounds: usize) -> usize {
    few_or(rounds, rounds * FULL)
}

/// `few`, or `full` in a full run; a twentieth of the few where every step takes
/// long.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "cargo leaves only the environment to tell a test its extent"
)]
pub fn few_or(few: usize, full: usize) -> usize {
    if is_emulated() {
        return few.div_ceil(SMALL);
    }
    match std::env::var_os("PROBE_TEST_FULL") {
        Some(_) => full,
        None => few,
    }
}

/// How far to step where every single step is tried: in a machine that is
/// emulated all of them would take minutes.
#[must_use]
pub fn stride() -> usize {
    emulated_or(21, 1)
}

/// `small` in a machine that is emulated, else `usual`.
#[must_use]
pub fn emulated_or(small: usize, usual: usize) -> usize {
    if is_emulated() { small } else { usual }
}

/// Whether this is a machine that is emulated, where nothing is fast.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is all that pid 1 of such a machine can pass on"
)]
pub fn is_emulated() -> bool {
    std::env::var_os("PROBE_TEST_SMALL").is_some()
}
