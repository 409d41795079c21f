//! `probe` with the options of its feature `test-switches`, which a release does not have.

use std::process::ExitCode;

fn main() -> ExitCode {
    probe_cli::main()
}
