//! System calls that no safe library has.
//!
//! # Safety
//!
//! The calls take numbers only, which the kernel checks. The process has one thread when it forks,
//! so the child may do whatever the parent may.
#![expect(unsafe_code, reason = "libc, see the module's Safety section")]

use std::{io, ptr};

use rustix::{
    process::{getpid, set_child_subreaper},
    thread::{set_thread_res_gid, set_thread_res_uid},
};

/// `_exit`: exits without running destructors.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: the kernel takes any number.
    unsafe { libc::_exit(code) }
}

/// Ends only the calling task.
pub(crate) fn exit_thread() {
    // SAFETY: the stack of the task is never freed, and the task is never joined.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Returns whether this is the parent, which may have no child.
pub(crate) fn fork() -> bool {
    fork_pid() != 0
}

/// Returns the pid of the child, 0 in the child, and -1 without a child.
pub(crate) fn fork_pid() -> i32 {
    // SAFETY: see the module.
    unsafe { libc::fork() }
}

/// Forks; parent and child continue alike if the kernel refuses. Returns whether this is the
/// parent of a child.
pub(crate) fn try_fork() -> bool {
    fork_pid() > 0
}

/// Ends this process by a signal.
pub(crate) fn die_by(signal: i32) -> ! {
    // SAFETY: see the module.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel reads the structure during the call.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: see the module.
    unsafe { libc::raise(signal) };
    unreachable!("signal {signal} does not end a process");
}

pub(crate) fn ignore_signals() {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        // SAFETY: to ignore a signal needs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

pub(crate) fn become_subreaper() {
    set_child_subreaper(Some(getpid())).expect("every process may");
}

/// Lets later children live in a new pid namespace.
pub(crate) fn unshare_pids() {
    // SAFETY: see the module. It fails after an earlier call.
    unsafe { libc::unshare(libc::CLONE_NEWPID) };
}

pub(crate) fn become_nobody() {
    const NOBODY: u32 = 65534;
    let (gid, uid) = (
        rustix::process::Gid::from_raw(NOBODY),
        rustix::process::Uid::from_raw(NOBODY),
    );
    set_thread_res_gid(gid, gid, gid).expect("root may");
    set_thread_res_uid(uid, uid, uid).expect("root may");
}

/// Becomes the tracer of a child, which may have ended.
pub(crate) fn seize(pid: i32) {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes no address and a number.
    unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, nothing, 0) };
}

/// Stays in `vfork`, in which no signal but SIGKILL reaches the process.
pub(crate) fn sleep_in_vfork() {
    // SAFETY: without CLONE_VM the child has its own memory.
    let child = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::CLONE_VFORK | libc::SIGCHLD,
            0,
            0,
            0,
            0,
        )
    };
    if child == 0 {
        sleep();
    }
}

pub(crate) fn sleep() -> ! {
    loop {
        // SAFETY: it has no arguments.
        let returned = unsafe { libc::pause() };
        assert_eq!(returned, -1, "{}", io::Error::last_os_error());
    }
}
