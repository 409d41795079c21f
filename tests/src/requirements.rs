//! What a test cannot be judged by where it runs, found out by looking.
//!
//! Such a test fails, everywhere, and says `NOT APPLICABLE` with the reason: `cargo
//! xtask test` and `cargo xtask vm` tell these from the others.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

/// Ends a test that has no meaning here, and says so at once: the harness would at the
/// end of all.
///
/// # Panics
///
/// Always.
pub fn inapplicable(why: &str) -> ! {
    let why = format!("NOT APPLICABLE: {why}");
    say_past_the_harness(&format!("{why}\n"));
    panic!("{why}")
}

/// A program that is not this project's; ends a test that cannot have it.
///
/// # Panics
///
/// Where it is neither installed nor unpacked.
#[must_use]
pub fn tool(program: &str) -> Command {
    if Command::new(program).arg("--version").output().is_err() {
        inapplicable(&format!(
            "there is no {program} here: `cargo xtask setup` unpacks it"
        ));
    }
    Command::new(program)
}

/// Says that a part of a test is left out here: it must not look as if it had passed.
pub fn not_tested(what: &str) {
    say_past_the_harness(&format!("\nNOT TESTED: {what}\n"));
}

/// The harness shows only what failing tests say, when all have run.
fn say_past_the_harness(text: &str) {
    // Whoever closed stderr does not want to know.
    let _unsaid = io::stderr().write_all(text.as_bytes());
}

/// Whether a container may have a root of its own. It gets one by moving the
/// root away, which the file system that a kernel begins with forbids.
pub(crate) fn can_move_the_root() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("there is a /proc");
    // Only the first mount of all is mounted on itself.
    let is_first = |line: &str| {
        let mut numbers = line.split(' ').take(2);
        line.contains(" / / ") && numbers.next() == numbers.next()
    };
    !mounts.lines().any(is_first)
}

/// Whether the backend `bpf` can be had by whoever has every privilege: the kernel
/// can tell of what happens in it (the directory is there whether or not something
/// is mounted on it), and is not locked down.
#[must_use]
pub fn has_bpf() -> bool {
    Path::new("/sys/kernel/tracing").is_dir() && !is_locked_down()
}

/// Whether nobody may read the kernel's memory.
#[must_use]
pub fn is_locked_down() -> bool {
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown");
    lockdown.is_ok_and(|modes| modes.contains("[confidentiality]"))
}

/// The backend that serves whoever has every privilege.
#[must_use]
pub fn best_backend() -> &'static str {
    if has_bpf() { "bpf" } else { "pidfd" }
}

/// The backend that serves whoever asks for `wanted` and for no other, and has
/// every privilege.
#[must_use]
pub fn available_backend(wanted: &'static str) -> &'static str {
    if wanted == "bpf" {
        best_backend()
    } else {
        wanted
    }
}

/// Ends a test of what only `bpf` can do where it cannot be had.
///
/// # Panics
///
/// There.
pub fn require_bpf() {
    if !has_bpf() {
        inapplicable("the kernel has no tracing, or is locked down");
    }
}

/// Whether this is User Mode Linux. Its `wchan` names any function, and its 6.12
/// panics when a fork is killed (`flush_tlb_mm` of what `dup_mmap` left half done).
#[must_use]
pub fn is_uml() -> bool {
    let cpu = fs::read_to_string("/proc/cpuinfo");
    cpu.is_ok_and(|cpu| cpu.contains("User Mode Linux"))
}

/// Ends a test that kills whoever forks where that is the end of the machine.
///
/// # Panics
///
/// There.
pub fn require_killable_forks() {
    if is_uml() {
        inapplicable("the kernel panics when a fork is killed");
    }
}

/// A file of the checkout that these tests were built from.
///
/// # Panics
///
/// On a machine that was given the programs alone: what is in the checkout is the
/// same wherever it is looked at.
#[must_use]
pub fn checkout_file(name: &str) -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !checkout.is_dir() {
        inapplicable("there is no checkout here");
    }
    checkout.join(name)
}

/// Whether the kernel describes its own types.
#[must_use]
pub fn has_btf() -> bool {
    Path::new("/sys/kernel/btf/vmlinux").exists()
}
