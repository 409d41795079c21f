//! Features of the running kernel on which the expectations of tests depend. They are detected,
//! never derived from the version.

use std::{fs, os::fd::AsFd, path::Path};

use probe_user::unstable::{bpf::hook::ExitShape, kernel::btf, proc::pidfd_info};
use rustix::{
    fs::fstat,
    process::{Pid, PidfdFlags, getpid, pidfd_open},
};

pub use crate::requirements::inapplicable;
use crate::requirements::not_tested;

/// Whether each process has its own pidfd inode number (Linux 6.9).
#[must_use]
pub fn has_pidfd_inodes() -> bool {
    let number = |pid| {
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("the process lives");
        fstat(pidfd).expect("an open file").st_ino
    };
    number(getpid()) != number(Pid::INIT)
}

/// Whether a pidfd has the exit status of a reaped process (Linux 6.15).
#[must_use]
pub fn reports_status_by_pidfd() -> bool {
    has_function("pidfs_exit")
}

/// Whether BPF memory counts against `RLIMIT_MEMLOCK` (before Linux 5.11).
#[must_use]
pub fn counts_bpf_as_locked_memory() -> bool {
    has_function("bpf_map_charge_init")
}

/// Whether the kernel sends a signal to a process that a seccomp filter kills (Linux 5.16).
#[must_use]
pub fn seccomp_sends_signal() -> bool {
    has_function("force_sig_seccomp")
}

/// Whether one of [`ExitShape::programs`] can be attached. If not, the test prints that the
/// program is not tested.
#[must_use]
pub fn can_attach(shape: ExitShape, program: &str) -> bool {
    let is_accepted = is_supported(shape, program);
    if !is_accepted {
        not_tested(&format!("this kernel cannot attach {program}"));
    }
    is_accepted
}

fn is_supported(shape: ExitShape, program: &str) -> bool {
    let is_offered = match shape {
        ExitShape::GroupDead => reports_last_task(),
        ExitShape::Live => true,
        ExitShape::Classic => has_tracefs(),
    };
    is_offered && (program.ends_with("_probed") || has_typed_current_task())
}

/// Whether a tracefs is mounted, which has the ids of the classic tracepoints.
fn has_tracefs() -> bool {
    let tops = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    tops.into_iter()
        .any(|top| Path::new(top).join("events/sched").is_dir())
}

/// Whether the exit tracepoint has the argument `group_dead` (Linux 6.16). Without BTF this is
/// unknown, and the loader tries both.
fn reports_last_task() -> bool {
    btf::read(Path::new(btf::VMLINUX)).is_ok_and(|types| types.exit_has_group_dead != Some(false))
}

/// Whether the kernel tells the cgroup of a zombie (Linux 6.13).
#[must_use]
pub fn reports_cgroup_by_pidfd() -> bool {
    let pidfd = pidfd_open(getpid(), PidfdFlags::empty());
    pidfd.is_ok_and(|it| matches!(pidfd_info::cgroup_id(it.as_fd()), Ok(Some(_))))
}

/// Whether a task may be preempted in a tracepoint (Linux 7.0), so that the kernel sometimes
/// skips programs.
#[must_use]
pub fn skips_programs() -> bool {
    btf::read(Path::new(btf::VMLINUX)).is_ok_and(|types| types.tracepoints_are_preemptible)
}

/// Whether programs can read the current task without a helper (Linux 5.11).
fn has_typed_current_task() -> bool {
    has_function("bpf_get_current_task_btf")
}

/// Whether programs can tell in which system call a task is (Linux 5.15).
#[must_use]
pub fn finds_registers() -> bool {
    has_function("bpf_task_pt_regs")
}

/// Whether a task leaves its cgroup only after its end (Linux 6.19). Then an empty v1 list
/// proves nothing.
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
