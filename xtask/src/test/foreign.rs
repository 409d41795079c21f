//! Tests on machines of another kind, by QEMU's user mode: of the other byte order, and
//! of the other architecture that people have.
//!
//! What comes from the kernel as bytes is decoded there. The standard library is
//! compiled too, because no more of a toolchain need be there than for BPF.

use std::process::Command;

use anyhow::Result;

use crate::{
    checkout,
    setup::{self, Package},
};

/// Why they may be left out.
pub(super) const WANTED: &str = "needs linkers for them and QEMU's user mode (MISSING above)";

struct Machine {
    target: &'static str,
    linker: Package,
    emulator: &'static str,
    /// Where Debian's packages put its libraries.
    libraries: &'static str,
}

const ARM64: Machine = Machine {
    target: "aarch64-unknown-linux-gnu",
    linker: setup::ARM64_GCC,
    emulator: "qemu-aarch64",
    libraries: "/usr/aarch64-linux-gnu",
};

/// Big endian.
const S390X: Machine = Machine {
    target: "s390x-unknown-linux-gnu",
    linker: setup::S390X_GCC,
    emulator: "qemu-s390x",
    libraries: "/usr/s390x-linux-gnu",
};

/// Decoding of records, and of the types of the kernel.
const RECORDS: &[&str] = &["bpf::decode", "kernel::btf"];

/// Name, command and filter.
type Tests = (&'static str, Command, &'static [&'static str]);

/// What is run; `None` if there is nothing to link or run it with.
pub(super) fn tests() -> Result<Option<[Tests; 3]>> {
    let wanted = [ARM64.linker, S390X.linker, setup::QEMU_USER];
    setup::packages(&wanted);
    if !wanted.iter().all(setup::is_there) {
        return Ok(None);
    }
    setup::rust_src()?;
    Ok(Some([
        // With the binaries, so that what ships is linked.
        ("arm64", ARM64.test(&["--lib", "--bins"]), RECORDS),
        ("big endian", S390X.test(&["--lib"]), RECORDS),
        (
            "objects, big endian",
            S390X.test(&["--test", "object"]),
            &[],
        ),
    ]))
}

impl Machine {
    fn test(&self, what: &[&str]) -> Command {
        let mut cargo = checkout::cargo();
        let variable = self.target.to_uppercase().replace('-', "_");
        cargo
            .args([
                "test",
                "-p",
                "probe-cli",
                "-p",
                "probe-daemon",
                "-p",
                "probe-user",
            ])
            .args(["--target", self.target])
            .args(["-Z", "build-std=std,test,panic_unwind"])
            .args(what)
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                format!("CARGO_TARGET_{variable}_LINKER"),
                self.linker.program(),
            )
            .env(
                format!("CARGO_TARGET_{variable}_RUNNER"),
                format!("{} -L {}", self.emulator, self.libraries),
            );
        cargo
    }
}
