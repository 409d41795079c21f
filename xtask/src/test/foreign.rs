//! Tests on machines of another kind, by QEMU's user mode: of the other byte order, and
//! of the other architecture that people have.
//!
//! What comes from the kernel as bytes is decoded there. The standard library is
//! compiled too, because no more of a toolchain need be there than for BPF.

use std::process::Command;

use anyhow::Result;

use crate::{checkout, command, setup};

/// Why they may be left out.
pub(super) const WANTED: &str = "NOT APPLICABLE: no linkers for them or no QEMU, as is said above";

struct Machine {
    target: &'static str,
    linker: &'static str,
    emulator: &'static str,
    /// Where Debian's packages put its libraries, below the root of the linker.
    libraries: &'static str,
}

const ARM64: Machine = Machine {
    target: "aarch64-unknown-linux-gnu",
    linker: "aarch64-linux-gnu-gcc",
    emulator: "qemu-aarch64",
    libraries: "usr/aarch64-linux-gnu",
};

/// Big endian.
const S390X: Machine = Machine {
    target: "s390x-unknown-linux-gnu",
    linker: "s390x-linux-gnu-gcc",
    emulator: "qemu-s390x",
    libraries: "usr/s390x-linux-gnu",
};

/// Decoding of records, and of the types of the kernel.
const RECORDS: &[&str] = &["bpf::decode", "kernel::btf"];

/// Name, command and filter.
type Tests = (&'static str, Command, &'static [&'static str]);

/// What is run; `None` if there is nothing to link or run it with.
pub(super) fn tests() -> Result<Option<[Tests; 3]>> {
    let [arm64, s390x] = setup::CROSS_GCC;
    let wanted = [arm64, s390x, setup::QEMU_USER];
    setup::packages(&wanted);
    if !wanted.iter().all(setup::is_there) {
        return Ok(None);
    }
    Ok(Some([
        // With the binaries, so that what ships is linked.
        ("arm64", ARM64.test(&["--lib", "--bins"])?, RECORDS),
        ("big endian", S390X.test(&["--lib"])?, RECORDS),
        (
            "objects, big endian",
            S390X.test(&["--test", "object"])?,
            &[],
        ),
    ]))
}

impl Machine {
    fn test(&self, what: &[&str]) -> Result<Command> {
        let mut cargo = checkout::cargo();
        let variable = |name: &str| checkout::target_variable(self.target, name);
        let found = |program: &str| command::find(program).unwrap_or_else(|| program.into());
        let root = setup::root_of(self.linker);
        let (emulator, libraries) = (found(self.emulator), root.join(self.libraries));
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
            .args(what)
            .env(variable("LINKER"), found(self.linker))
            .env(
                variable("RUSTFLAGS"),
                format!("-Clink-arg=--sysroot={}", root.display()),
            )
            // The libraries of the emulator are of another machine than the program's.
            .env(
                variable("RUNNER"),
                format!(
                    "{} -U LD_LIBRARY_PATH -L {}",
                    emulator.display(),
                    libraries.display()
                ),
            );
        setup::build_std(&mut cargo, "std,test,panic_unwind")?;
        Ok(cargo)
    }
}
