//! Runs a command with a seccomp filter that denies system calls, as the profile of a container
//! does: `deny bpf,perf_event_open EPERM probe trace`. With `KILL` instead of an error the
//! kernel kills the command at the first such call.

use std::{os::unix::process::CommandExt, process::Command};

use probe_tests::seccomp::filter;
use seccompiler::{SeccompAction, apply_filter};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [calls, answer, program, rest @ ..] = args.as_slice() else {
        panic!("usage: deny CALL[,CALL] ERRNO|KILL PROGRAM [ARG]...");
    };
    let action = match answer.as_str() {
        "KILL" => SeccompAction::KillProcess,
        errno => SeccompAction::Errno(number_of_errno(errno).unsigned_abs()),
    };
    apply_filter(&filter(calls, action)).expect("the kernel takes the filter");
    let error = Command::new(program).args(rest).exec();
    panic!("cannot run {program}: {error}");
}

fn number_of_errno(name: &str) -> i32 {
    match name {
        "EPERM" => libc::EPERM,
        "ENOSYS" => libc::ENOSYS,
        _ => panic!("add the number of {name} here"),
    }
}
