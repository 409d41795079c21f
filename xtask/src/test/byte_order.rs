//! The tests of what comes from the kernel as bytes, on a machine of the other byte
//! order: compiled for s390x, and run by QEMU's user mode.
//!
//! The standard library is compiled too, as for arm64.

use std::process::Command;

use anyhow::Result;

use crate::{checkout, setup};

const TARGET: &str = "s390x-unknown-linux-gnu";

/// Why they may be left out.
pub(super) const WANTED: &str = "needs a linker for s390x and QEMU's user mode (see MISSING above)";

/// Name, command and filter.
type Tests = (&'static str, Command, &'static [&'static str]);

/// What is run; `None` if there is nothing to link or run it with.
pub(super) fn commands() -> Result<Option<[Tests; 2]>> {
    let wanted = [setup::S390X_GCC, setup::QEMU_USER];
    setup::packages(&wanted);
    if !wanted.iter().all(setup::is_there) {
        return Ok(None);
    }
    setup::rust_src()?;
    Ok(Some([
        ("records in big endian", cargo(&["--lib"]), &["event::"]),
        ("objects in big endian", cargo(&["--test", "object"]), &[]),
    ]))
}

fn cargo(what: &[&str]) -> Command {
    let mut cargo = checkout::cargo();
    cargo
        .args(["test", "-p", "probe-user", "--target", TARGET])
        .args(["-Z", "build-std=std,test,panic_unwind"])
        .args(what)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER",
            "s390x-linux-gnu-gcc",
        )
        .env(
            "CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER",
            "qemu-s390x -L /usr/s390x-linux-gnu",
        );
    cargo
}
