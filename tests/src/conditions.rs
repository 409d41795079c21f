//! Commands that run `probe` with something missing: a capability, a system call, BTF.

use std::{path::PathBuf, process::Command};

use crate::{binaries, requirements};

/// Makes the command that runs `probe` with these arguments.
pub type Condition = fn(&[&str]) -> Command;

/// A condition for each backend, with the name of the backend.
pub const BACKENDS: [(&str, Condition); 3] = [
    ("bpf", unrestricted),
    ("pidfd", |args| denied("bpf,perf_event_open", "EPERM", args)),
    ("poll", |args| {
        denied("bpf,perf_event_open,pidfd_open", "ENOSYS", args)
    }),
];

/// Path of a program of this package.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    binaries::program(name)
}

/// `probe` with these arguments and nothing missing.
#[must_use]
pub fn unrestricted(args: &[&str]) -> Command {
    let mut command = Command::new(binaries::probe_for(args));
    command.args(args);
    command
}

/// `probe trace`, which needs the backend `bpf`.
#[must_use]
pub fn trace(args: &[&str]) -> Command {
    requirements::require_bpf();
    unrestricted(&[&["trace"], args].concat())
}

/// `probe` with these arguments, started by another program that gets these words before.
#[must_use]
pub fn started_by(before: &[&str], args: &[&str]) -> Command {
    let mut command = Command::new(before[0]);
    command.args(&before[1..]);
    and_probe(command, args)
}

/// A command that starts `probe` with these arguments after its own.
#[must_use]
pub fn and_probe(mut command: Command, args: &[&str]) -> Command {
    command.arg(binaries::probe_for(args)).args(args);
    command
}

const NOBODY: [&str; 6] = [
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

/// Runs `probe` as `nobody` without capabilities.
#[must_use]
pub fn without_privilege(args: &[&str]) -> Command {
    let capabilities = ["--inh-caps", "-all", "--bounding-set", "-all"];
    started_by(&[&NOBODY[..], &capabilities].concat(), args)
}

/// Runs `probe` as root without the capabilities that BPF needs, as in a container.
#[must_use]
pub fn without_bpf_capabilities(args: &[&str]) -> Command {
    let less = "-sys_admin,-bpf,-perfmon";
    started_by(
        &["setpriv", "--bounding-set", less, "--inh-caps", less],
        args,
    )
}

/// Runs `probe` as `nobody` with exactly the two capabilities that the documentation names.
#[must_use]
pub fn with_two_capabilities(args: &[&str]) -> Command {
    two_capabilities("ulimit -l unlimited 2> /dev/null", args)
}

/// As [`with_two_capabilities`], with a low limit on locked memory.
#[must_use]
pub fn with_little_locked_memory(args: &[&str]) -> Command {
    two_capabilities("ulimit -l 64 || exit", args)
}

/// Runs a program without a limit on locked memory, which the two capabilities need before
/// Linux 5.11.
#[must_use]
pub fn with_locked_memory(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &then_exec("ulimit -l unlimited 2> /dev/null"),
        program,
    ]);
    command
}

fn two_capabilities(limit: &str, args: &[&str]) -> Command {
    let limit = then_exec(limit);
    let two = "-all,+bpf,+perfmon";
    let capabilities = ["--inh-caps", two, "--ambient-caps", "+bpf,+perfmon"];
    let wrapper = [
        &["sh", "-c", &limit][..],
        &NOBODY,
        &capabilities,
        &["--bounding-set", two],
    ];
    started_by(&wrapper.concat(), args)
}

/// A script that executes its arguments after a command.
fn then_exec(command: &str) -> String {
    format!("{command}; exec \"$0\" \"$@\"")
}

/// Runs `probe` with a seccomp filter that makes these system calls fail with an error, or
/// kills the process if `errno` is `KILL`.
#[must_use]
pub fn denied(calls: &str, errno: &str, args: &[&str]) -> Command {
    let deny = binaries::program("deny");
    started_by(&[deny.to_str().expect("UTF-8"), calls, errno], args)
}

/// Runs `probe` without a tracefs. Classic tracepoints need one; `probe` uses them on kernels
/// that skip raw tracepoint programs.
#[must_use]
pub fn without_tracefs(args: &[&str]) -> Command {
    without_directories("/sys/kernel/tracing /sys/kernel/debug", args)
}

/// Runs `probe` without the kernel's BTF.
#[must_use]
pub fn without_btf(args: &[&str]) -> Command {
    without_directories("/sys/kernel/btf", args)
}

/// Runs `probe` with empty file systems on top of directories, of which some may not exist.
fn without_directories(directories: &str, args: &[&str]) -> Command {
    let hide = "do ! test -d $it || mount -t tmpfs none $it; done";
    let script = then_exec(&format!("for it in {directories}; {hide}"));
    started_by(&["unshare", "--mount", "sh", "-ec", &script], args)
}
