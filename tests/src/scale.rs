//! Number of repetitions of a test, for a full run and for emulated machines.

/// Factor for `cargo xtask test --full`.
const FULL: usize = 5;

/// Divisor of the number of rounds on an emulated machine.
const EMULATED: usize = 20;

/// `rounds`; five times as many in a full run, a twentieth on an emulated machine.
#[must_use]
pub fn rounds(rounds: usize) -> usize {
    few_or(rounds, rounds * FULL)
}

/// `few`; `full` in a full run, a twentieth of `few` on an emulated machine.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes options to tests only in the environment"
)]
pub fn few_or(few: usize, full: usize) -> usize {
    if is_emulated() {
        return few.div_ceil(EMULATED);
    }
    match std::env::var_os("PROBE_TEST_FULL") {
        Some(_) => full,
        None => few,
    }
}

/// Step width of tests that try every step: on an emulated machine all steps would take
/// minutes.
#[must_use]
pub fn stride() -> usize {
    emulated_or(21, 1)
}

/// `emulated` on an emulated machine, otherwise `usual`.
#[must_use]
pub fn emulated_or(emulated: usize, usual: usize) -> usize {
    if is_emulated() { emulated } else { usual }
}

/// Whether the machine is emulated, and therefore slow.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "pid 1 of the virtual machine passes it in the environment"
)]
pub fn is_emulated() -> bool {
    std::env::var_os("PROBE_TEST_SMALL").is_some()
}
