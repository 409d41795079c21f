//! What this kernel has, found out by looking, for tests that expect something
//! else where it is not there. Never by its version.

use std::{fs, path::Path};

use probe_user::unstable::{bpf::hook::ExitShape, kernel::btf};
use rustix::{
    fs::fstat,
    process::{Pid, PidfdFlags, getpid, pidfd_open},
};

pub use crate::requirements::inapplicable;
use crate::requirements::not_tested;

/// Whether a process can be told from another with its pid by the inode number of
/// its pidfd (Linux 6.9).
#[must_use]
pub fn has_pidfd_inodes() -> bool {
    let number = |pid| {
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("the process lives");
        fstat(pidfd).expect("it is open").st_ino
    };
    number(getpid()) != number(Pid::INIT)
}

/// Whether a pidfd tells the status of a process that was reaped (Linux 6.15).
#[must_use]
pub fn reports_status_by_pidfd() -> bool {
    has_function("pidfs_exit")
}

/// Whether BPF counts against `RLIMIT_MEMLOCK` (before Linux 5.11).
#[must_use]
pub fn counts_bpf_as_locked_memory() -> bool {
    has_function("bpf_map_charge_init")
}

/// Whether who dies of a seccomp filter was sent a signal (Linux 5.16): before,
/// it just ends.
#[must_use]
pub fn seccomp_sends_signal() -> bool {
    has_function("force_sig_seccomp")
}

/// Whether this kernel has what one of [`ExitShape::programs`] is made for; says so if
/// it has not.
#[must_use]
pub fn can_attach(shape: ExitShape, program: &str) -> bool {
    let is_accepted = is_supported(shape, program);
    if !is_accepted {
        not_tested(&format!("{program} cannot be attached here"));
    }
    is_accepted
}

fn is_supported(shape: ExitShape, program: &str) -> bool {
    let is_offered = match shape {
        ExitShape::GroupDead => reports_last_task(),
        ExitShape::Live => true,
        ExitShape::Classic => has_tracefs(),
    };
    is_offered && (program.ends_with("_probed") || types_current_task())
}

/// Whether a tracefs is mounted, which numbers the classic tracepoints.
fn has_tracefs() -> bool {
    let tops = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    tops.into_iter()
        .any(|top| Path::new(top).join("events/sched").is_dir())
}

/// Whether the exit tracepoint has an argument that tells the last task of a
/// process (Linux 6.16). Without BTF nobody knows, and both are tried.
fn reports_last_task() -> bool {
    btf::read(Path::new(btf::VMLINUX)).is_ok_and(|types| types.exit_has_group_dead != Some(false))
}

/// Whether a task may be preempted in a tracepoint (Linux 7.0): then the kernel skips
/// programs now and then.
#[must_use]
pub fn skips_programs() -> bool {
    btf::read(Path::new(btf::VMLINUX)).is_ok_and(|types| types.tracepoints_are_preemptible)
}

/// Whether programs may read the current task without a helper for each member
/// (Linux 5.11).
fn types_current_task() -> bool {
    has_function("bpf_get_current_task_btf")
}

/// Whether a task leaves its cgroup only after its end (Linux 6.19): then an empty
/// list of v1 proves nothing.
#[must_use]
pub fn tasks_leave_cgroup_late() -> bool {
    has_function("cgroup_task_dead")
}

fn has_function(name: &str) -> bool {
    let symbols = fs::read_to_string("/proc/kallsyms").expect("/proc is mounted");
    symbols
        .lines()
        .filter_map(|line| line.split(' ').nth(2))
        .any(|symbol| symbol == name)
}
