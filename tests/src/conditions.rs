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
    let mut command = Command::new(binaries::probe());
    command.args(args);
    command
}

/// `probe trace`, which needs the backend `bpf`.
#[must_use]
pub fn trace(args: &[&str]) -> Command {
    requirements::require_bpf();
    unrestricted(&[&["trace"], args].concat())
}

/// Runs `probe` as `nobody` without capabilities.
#[must_use]
pub fn without_privilege(args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["--inh-caps", "-all", "--bounding-set", "-all"])
        .arg(binaries::probe())
        .args(args);
    command
}

/// Runs `probe` as root without the capabilities that BPF needs, as in a container.
#[must_use]
pub fn without_bpf_capabilities(args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set", "-sys_admin,-bpf,-perfmon"])
        .args(["--inh-caps", "-sys_admin,-bpf,-perfmon"])
        .arg(binaries::probe())
        .args(args);
    command
}

/// Runs `probe` as `nobody` with exactly the two capabilities that the documentation names.
#[must_use]
pub fn with_two_capabilities(args: &[&str]) -> Command {
    two_capabilities(with_locked_memory("setpriv"), args)
}

/// As [`with_two_capabilities`], with a low limit on locked memory.
#[must_use]
pub fn with_little_locked_memory(args: &[&str]) -> Command {
    two_capabilities(limited("ulimit -l 64 || exit", "setpriv"), args)
}

/// Runs a program without a limit on locked memory, which the two capabilities need before
/// Linux 5.11.
#[must_use]
pub fn with_locked_memory(program: &str) -> Command {
    limited("ulimit -l unlimited 2> /dev/null", program)
}

fn limited(limit: &str, program: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{limit}; exec \"$0\" \"$@\""))
        .arg(program);
    command
}

fn two_capabilities(mut command: Command, args: &[&str]) -> Command {
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["--inh-caps", "-all,+bpf,+perfmon"])
        .args(["--ambient-caps", "+bpf,+perfmon"])
        .args(["--bounding-set", "-all,+bpf,+perfmon"])
        .arg(binaries::probe())
        .args(args);
    command
}

/// Runs `probe` with a seccomp filter that makes these system calls fail with an error, or
/// kills the process if `errno` is `KILL`.
#[must_use]
pub fn denied(calls: &str, errno: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binaries::program("deny"));
    command
        .args([calls, errno])
        .arg(binaries::probe())
        .args(args);
    command
}

/// Runs `probe` without a tracefs. Classic tracepoints need one; `probe` uses them on kernels
/// that skip raw tracepoint programs.
#[must_use]
pub fn without_tracefs(args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec"])
        .arg(
            "for it in /sys/kernel/tracing /sys/kernel/debug; do \
             ! test -d $it || mount -t tmpfs none $it; done; exec \"$0\" \"$@\"",
        )
        .arg(binaries::probe())
        .args(args);
    command
}

/// Runs `probe` without the kernel's BTF, which an empty file system hides.
#[must_use]
pub fn without_btf(args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec"])
        // Some kernels do not have the directory.
        .arg("! test -d /sys/kernel/btf || mount -t tmpfs none /sys/kernel/btf; exec \"$0\" \"$@\"")
        .arg(binaries::probe())
        .args(args);
    command
}
