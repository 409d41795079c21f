//! `probe` where something that it would like to have is missing.

use std::{path::PathBuf, process::Command};

use crate::{binaries, requirements};

/// How a `probe` with these arguments is started.
pub type Condition = fn(&[&str]) -> Command;

/// Each changes the backend, whose name comes first.
pub const BACKENDS: [(&str, Condition); 3] = [
    ("bpf", unrestricted),
    ("pidfd", |args| denied("bpf,perf_event_open", "EPERM", args)),
    ("poll", |args| {
        denied("bpf,perf_event_open,pidfd_open", "ENOSYS", args)
    }),
];

/// A program of this package, to be run under a name of its own.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    binaries::program(name)
}

/// `probe` with these arguments, on this machine as it is.
#[must_use]
pub fn unrestricted(args: &[&str]) -> Command {
    let mut command = Command::new(binaries::probe());
    command.args(args);
    command
}

/// `probe trace`, which `bpf` alone serves.
#[must_use]
pub fn trace(args: &[&str]) -> Command {
    requirements::require_bpf();
    unrestricted(&[&["trace"], args].concat())
}

/// As `nobody`, without any capability.
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

/// As root with the capabilities that BPF can be had by taken away, as in a
/// container.
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

/// With exactly the two capabilities that the documentation names, as `nobody`.
#[must_use]
pub fn with_two_capabilities(args: &[&str]) -> Command {
    two_capabilities(with_locked_memory("setpriv"), args)
}

/// The same two, but next to no memory that may be locked.
#[must_use]
pub fn with_little_locked_memory(args: &[&str]) -> Command {
    two_capabilities(limited("ulimit -l 64 || exit", "setpriv"), args)
}

/// A program with all the locked memory that can be had, which before Linux 5.11
/// goes with the two capabilities.
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

/// Under a seccomp filter that answers these system calls with an error, or with
/// death if that is `KILL`.
#[must_use]
pub fn denied(calls: &str, errno: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binaries::program("deny"));
    command
        .args([calls, errno])
        .arg(binaries::probe())
        .args(args);
    command
}

/// Without a tracefs, which numbers classic tracepoints: where the kernel skips raw
/// programs those are taken.
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

/// Without the kernel's BTF: an empty file system hides it.
#[must_use]
pub fn without_btf(args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec"])
        // Some kernels have no such directory in the first place.
        .arg("! test -d /sys/kernel/btf || mount -t tmpfs none /sys/kernel/btf; exec \"$0\" \"$@\"")
        .arg(binaries::probe())
        .args(args);
    command
}
