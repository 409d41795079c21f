//! Requirements of tests, checked on the running machine.
//!
//! A test without its requirement fails and prints `NOT APPLICABLE` with the reason.
//! `cargo xtask test` and `cargo xtask vm` recognise the line.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

/// Fails the test as not applicable, and prints the reason at once: the harness prints the
/// output of failed tests only after the last test.
///
/// # Panics
///
/// Always.
pub fn inapplicable(reason: &str) -> ! {
    let reason = format!("NOT APPLICABLE: {reason}");
    print_uncaptured(&format!("{reason}\n"));
    panic!("{reason}")
}

/// A program that another project provides; ends the test if it is missing.
///
/// # Panics
///
/// If the program is neither installed nor unpacked.
#[must_use]
pub fn tool(program: &str) -> Command {
    if Command::new(program).arg("--version").output().is_err() {
        inapplicable(&format!(
            "{program} is not installed: `cargo xtask setup` unpacks it"
        ));
    }
    Command::new(program)
}

/// Prints that a part of a test is skipped, so that the part does not look as if it had passed.
pub fn not_tested(what: &str) {
    print_uncaptured(&format!("\nNOT TESTED: {what}\n"));
}

/// Writes to stderr directly: the harness captures `eprintln!` and prints it only for failed
/// tests, after all tests have run.
fn print_uncaptured(text: &str) {
    // A closed stderr is no reason to fail.
    let _written = io::stderr().write_all(text.as_bytes());
}

/// Whether `pivot_root` works, which containers need. It does not on the initramfs.
pub(crate) fn can_pivot_root() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    // Only the initial root mount is its own parent.
    let is_first = |line: &str| {
        let mut numbers = line.split(' ').take(2);
        line.contains(" / / ") && numbers.next() == numbers.next()
    };
    !mounts.lines().any(is_first)
}

/// Whether root can use the backend `bpf`: the kernel has tracing (the directory exists even
/// if nothing is mounted on it) and is not locked down.
#[must_use]
pub fn has_bpf() -> bool {
    Path::new("/sys/kernel/tracing").is_dir() && !is_locked_down()
}

/// Whether lockdown forbids every process to read kernel memory.
#[must_use]
pub fn is_locked_down() -> bool {
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown");
    lockdown.is_ok_and(|modes| modes.contains("[confidentiality]"))
}

/// The best backend that root can use.
#[must_use]
pub fn best_backend() -> &'static str {
    if has_bpf() { "bpf" } else { "pidfd" }
}

/// The backend that root can use in place of `wanted`.
#[must_use]
pub fn available_backend(wanted: &'static str) -> &'static str {
    if wanted == "bpf" {
        best_backend()
    } else {
        wanted
    }
}

/// Ends a test that needs the backend `bpf` if the kernel does not offer it.
///
/// # Panics
///
/// If the kernel does not offer it.
pub fn require_bpf() {
    if !has_bpf() {
        inapplicable("the kernel has no tracing, or is locked down");
    }
}

/// Whether the kernel is User Mode Linux. Its `wchan` names arbitrary functions, and version
/// 6.12 panics when a process is killed in `fork` (`flush_tlb_mm` after an incomplete
/// `dup_mmap`).
#[must_use]
pub fn is_uml() -> bool {
    let cpu = fs::read_to_string("/proc/cpuinfo");
    cpu.is_ok_and(|cpu| cpu.contains("User Mode Linux"))
}

/// Ends a test that kills forking processes if the kernel panics then.
///
/// # Panics
///
/// If the kernel panics.
pub fn require_killable_forks() {
    if is_uml() {
        inapplicable("the kernel panics when a fork is killed");
    }
}

/// A file of the checkout that the tests were built from.
///
/// # Panics
///
/// On a machine that has only the programs, such as a virtual machine: files of the checkout
/// need not be tested there.
#[must_use]
pub fn checkout_file(name: &str) -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !checkout.is_dir() {
        inapplicable("this machine has no checkout");
    }
    checkout.join(name)
}

/// Whether the kernel has BTF.
#[must_use]
pub fn has_btf() -> bool {
    Path::new("/sys/kernel/btf/vmlinux").exists()
}
