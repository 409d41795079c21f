//! Runs a command with a seccomp filter that denies system calls, as the profile of a container
//! does: `deny bpf,perf_event_open EPERM probe trace`. With `KILL` instead of an error the
//! kernel kills the command at the first such call.

use std::{collections::BTreeMap, os::unix::process::CommandExt, process::Command};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [calls, answer, program, rest @ ..] = args.as_slice() else {
        panic!("usage: deny CALL[,CALL] ERRNO|KILL PROGRAM [ARG]...");
    };
    let action = match answer.as_str() {
        "KILL" => SeccompAction::KillProcess,
        errno => SeccompAction::Errno(number_of_errno(errno).unsigned_abs()),
    };
    let filter = filter(calls, action);
    apply_filter(&filter).expect("the kernel takes the filter");
    let error = Command::new(program).args(rest).exec();
    panic!("cannot run {program}: {error}");
}

fn filter(calls: &str, action: SeccompAction) -> BpfProgram {
    let rules: BTreeMap<_, _> = calls
        .split(',')
        .map(|call| (number_of_call(call), Vec::new()))
        .collect();
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture with seccomp");
    SeccompFilter::new(rules, SeccompAction::Allow, action, arch)
        .and_then(BpfProgram::try_from)
        .expect("a filter of a few numbers")
}

fn number_of_call(name: &str) -> i64 {
    match name {
        "bpf" => libc::SYS_bpf,
        "perf_event_open" => libc::SYS_perf_event_open,
        "pidfd_open" => libc::SYS_pidfd_open,
        "inotify_init1" => libc::SYS_inotify_init1,
        "landlock_create_ruleset" => libc::SYS_landlock_create_ruleset,
        "setresuid" => libc::SYS_setresuid,
        "inotify_add_watch" => libc::SYS_inotify_add_watch,
        _ => panic!("add the number of {name} here"),
    }
}

fn number_of_errno(name: &str) -> i32 {
    match name {
        "EPERM" => libc::EPERM,
        "ENOSYS" => libc::ENOSYS,
        _ => panic!("add the number of {name} here"),
    }
}
