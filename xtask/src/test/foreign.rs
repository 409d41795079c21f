//! Tests under QEMU's user mode: on arm64, the other common architecture, and on s390x,
//! which has the other byte order. They decode the bytes that come from the kernel. The
//! standard library is compiled too, so that the toolchain needs no more than for BPF.

use std::process::Command;

use anyhow::Result;

use crate::{checkout, command, setup};

/// Tests that decode records and the kernel's types.
const RECORDS: &[&str] = &["bpf::decode", "kernel::btf"];

/// Name, command and filters.
pub(super) type Tests = (&'static str, Command, &'static [&'static str]);

pub(super) fn tests() -> Result<[Tests; 3]> {
    Ok([
        // The binaries are built too, so that probe is linked.
        ("arm64", cargo("aarch64", "--lib --bins")?, RECORDS),
        ("big endian", cargo("s390x", "--lib")?, RECORDS),
        ("objects, big endian", cargo("s390x", "--test object")?, &[]),
    ])
}

fn cargo(architecture: &str, tests: &str) -> Result<Command> {
    let target = format!("{architecture}-unknown-linux-gnu");
    let packages = "-p probe-cli -p probe-daemon -p probe-user";
    let mut cargo = checkout::cargo(&format!("test {packages} --target {target} {tests}"));
    let gcc = format!("{architecture}-linux-gnu-gcc");
    let find = |program: &str| command::find(program).unwrap_or_else(|| program.into());
    let root = setup::root_of(&gcc);
    let emulator = find(&format!("qemu-{architecture}"));
    let libraries = root.join(format!("usr/{architecture}-linux-gnu"));
    // Emulator and program need libraries of different machines.
    let [emulator, libraries] = [emulator, libraries].map(|it| it.display().to_string());
    let runner = format!("{emulator} -U LD_LIBRARY_PATH -L {libraries}");
    let flags = format!("-Clink-arg=--sysroot={}", root.display());
    let variable = |name: &str| checkout::target_variable(&target, name);
    cargo
        .env(variable("LINKER"), find(&gcc))
        .env(variable("RUSTFLAGS"), flags)
        .env(variable("RUNNER"), runner);
    setup::build_std(&mut cargo, "std,test,panic_unwind")?;
    Ok(cargo)
}
