//! Seccomp filters on system calls, by name.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// A filter with an action for these calls, which are separated by commas. It allows all others.
#[must_use]
pub fn filter(calls: &str, action: SeccompAction) -> BpfProgram {
    let rules = calls.split(',').map(|call| (number(call), Vec::new()));
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture with seccomp");
    SeccompFilter::new(rules.collect(), SeccompAction::Allow, action, arch)
        .and_then(BpfProgram::try_from)
        .expect("a filter of a few numbers")
}

fn number(call: &str) -> i64 {
    match call {
        "bpf" => libc::SYS_bpf,
        "clone3" => libc::SYS_clone3,
        "getppid" => libc::SYS_getppid,
        "inotify_add_watch" => libc::SYS_inotify_add_watch,
        "inotify_init1" => libc::SYS_inotify_init1,
        "kill" => libc::SYS_kill,
        "landlock_create_ruleset" => libc::SYS_landlock_create_ruleset,
        "perf_event_open" => libc::SYS_perf_event_open,
        "pidfd_open" => libc::SYS_pidfd_open,
        "pidfd_send_signal" => libc::SYS_pidfd_send_signal,
        "setresuid" => libc::SYS_setresuid,
        "unlinkat" => libc::SYS_unlinkat,
        _ => panic!("add the number of {call} here"),
    }
}
