//! Random input that can be repeated.

/// A random generator. It prints its seed; `PROBE_TEST_SEED=N` repeats a run.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes a seed to tests only in the environment"
)]
#[expect(clippy::print_stderr, reason = "cargo prints stderr of failed tests")]
pub fn seeded() -> fastrand::Rng {
    let seed = match std::env::var("PROBE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("PROBE_TEST_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    eprintln!("to repeat this run: PROBE_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
