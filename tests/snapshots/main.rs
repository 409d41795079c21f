//! Help texts and errors of wrong usage, as they stand in the files beside this one.
//!
//! `TRYCMD=overwrite cargo test -p probe-tests --test snapshots` writes the present texts.

use probe_tests::binaries;

#[test]
fn help_and_errors_have_the_recorded_text_and_exit_code() {
    trycmd::TestCases::new()
        .register_bin("probe", binaries::probe().as_path())
        .env("COLUMNS", "100")
        .env("PROBE_SOCKET", "/no/such/socket")
        .case("snapshots/*.trycmd");
}
