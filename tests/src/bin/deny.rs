//! Runs a command that may not make certain system calls, as the seccomp
//! profile of a container does it: `deny bpf,perf_event_open EPERM probe trace`.

use std::{collections::BTreeMap, os::unix::process::CommandExt, process::Command};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [calls, errno, program, rest @ ..] = args.as_slice() else {
        panic!("usage: deny CALL[,CALL] ERRNO PROGRAM [ARG]...");
    };
    let filter = filter(calls, number_of_errno(errno));
    apply_filter(&filter).expect("the kernel takes the filter");
    let error = Command::new(program).args(rest).exec();
    panic!("cannot run {program}: {error}");
}

fn filter(calls: &str, errno: i32) -> BpfProgram {
    let rules: BTreeMap<_, _> = calls
        .split(',')
        .map(|call| (number_of_call(call), Vec::new()))
        .collect();
    let errno = u32::try_from(errno).expect("errnos are positive");
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture with seccomp");
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        arch,
    )
    .and_then(BpfProgram::try_from)
    .expect("a filter of a few numbers")
}

fn number_of_call(name: &str) -> i64 {
    match name {
        "bpf" => libc::SYS_bpf,
        "perf_event_open" => libc::SYS_perf_event_open,
        "pidfd_open" => libc::SYS_pidfd_open,
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
