//! Creation and exit of processes, and inherited attributes.

use std::{os::fd::AsRawFd, ptr, time::Duration};

use rustix::{
    event::{Timespec, poll},
    io::Errno,
};

use super::check;

/// The result of `wait4`.
pub(crate) struct Reaped {
    pub(crate) pid: i32,
    pub(crate) status: i32,
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    pub(crate) max_rss_kib: i64,
}

/// `_exit`: exits without flushing buffers or running destructors.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: the kernel takes any number.
    unsafe { libc::_exit(code) }
}

/// Ends only the calling task.
pub(crate) fn exit_thread(code: i32) -> ! {
    // SAFETY: the stack of the task is never freed, and the task is never joined.
    unsafe { libc::syscall(libc::SYS_exit, code) };
    unreachable!("the task has exited");
}

pub(crate) fn getpid() -> i32 {
    // SAFETY: it has no arguments.
    unsafe { libc::getpid() }
}

pub(crate) fn gettid() -> i32 {
    // SAFETY: it has no arguments.
    unsafe { libc::gettid() }
}

pub(crate) fn getppid() -> i32 {
    // SAFETY: it has no arguments.
    unsafe { libc::getppid() }
}

/// Returns the pid of the child; `None` in the child.
pub(crate) fn fork() -> Option<i32> {
    // SAFETY: the process has one thread, so the child may do whatever the parent may.
    let pid = unsafe { libc::fork() };
    check("fork", pid.into());
    (pid != 0).then_some(pid)
}

/// Forks; parent and child continue alike. Returns false if the kernel refuses.
pub(crate) fn try_fork() -> bool {
    // SAFETY: as in `fork`.
    unsafe { libc::fork() >= 0 }
}

/// Makes a child with this pid, which must be free; returns `None` in the child.
pub(crate) fn fork_as(pid: i32) -> Option<i32> {
    // SAFETY: plain integers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD.unsigned_abs().into();
    args.set_tid = (&raw const pid).expose_provenance() as u64;
    args.set_tid_size = 1;
    // SAFETY: like `fork`; `args` and `pid` are ours and outlive the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    check("clone3", pid);
    (pid != 0).then(|| i32::try_from(pid).expect("a pid"))
}

/// Makes a child in this cgroup; returns `None` in the child.
pub(crate) fn fork_into(cgroup: &impl AsRawFd) -> Option<i32> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // SAFETY: plain integers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = libc::SIGCHLD.unsigned_abs().into();
    args.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    // SAFETY: like `fork`; `args` is ours and outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    check("clone3", pid);
    (pid != 0).then(|| i32::try_from(pid).expect("a pid"))
}

/// Makes a child; the kernel reports its end to the parent by this signal. Returns `None` in the
/// child.
pub(crate) fn fork_with(exit_signal: i32) -> Option<i32> {
    // SAFETY: plain integers, for which zero is a value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = exit_signal.unsigned_abs().into();
    // SAFETY: like `fork`; `args` is ours and outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    check("clone3", pid);
    (pid != 0).then(|| i32::try_from(pid).expect("a pid"))
}

/// `TIOCNOTTY`: a session leader gives up its terminal.
pub(crate) fn give_up_terminal(terminal: &impl AsRawFd) {
    // SAFETY: numbers only.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) };
    check("TIOCNOTTY", result.into());
}

/// The stack of one vfork child at a time. It is leaked: with `CLONE_VM` its pages belong to the
/// child too.
pub(crate) struct Stack(&'static mut [u128]);

impl Stack {
    pub(crate) fn new() -> Self {
        const BYTES: usize = 64 * 1024;
        Self(vec![0; BYTES / size_of::<u128>()].leak())
    }
}

/// Makes a child that shares our memory and suspends us until it has exited.
pub(crate) fn vfork_and_exit(stack: &mut Stack, code: i32) -> i32 {
    extern "C" fn exit(code: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the kernel takes any number.
        unsafe { libc::_exit(code.addr().try_into().unwrap_or(255)) }
    }
    let code = usize::try_from(code).expect("a byte");
    vfork(stack, exit, code)
}

/// Makes a child that shares our memory and suspends us until the child is killed.
pub(crate) fn vfork_and_pause() {
    vfork(&mut Stack::new(), pause, 0);
}

/// Makes a child that shares our memory and sleeps; returns its pid.
pub(crate) fn clone_sharing_and_pause() -> i32 {
    clone(&mut Stack::new(), pause, 0, libc::CLONE_VM)
}

extern "C" fn pause(_unused: *mut libc::c_void) -> libc::c_int {
    loop {
        // SAFETY: it has no arguments.
        unsafe { libc::pause() };
    }
}

type Run = extern "C" fn(*mut libc::c_void) -> libc::c_int;

fn vfork(stack: &mut Stack, run: Run, argument: usize) -> i32 {
    clone(stack, run, argument, libc::CLONE_VM | libc::CLONE_VFORK)
}

fn clone(stack: &mut Stack, run: Run, argument: usize, flags: i32) -> i32 {
    let top = stack.0.as_mut_ptr_range().end.cast();
    let flags = flags | libc::SIGCHLD;
    let argument = ptr::without_provenance_mut(argument);
    // SAFETY: the child runs one of the two functions above on its own stack, which is never
    // freed, and uses no other memory.
    let pid = unsafe { libc::clone(run, top, flags, argument) };
    check("clone", pid.into());
    pid
}

/// Waits for this child, or with -1 for any child.
pub(crate) fn wait(pid: i32) -> Reaped {
    let mut status = 0;
    // SAFETY: plain integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both are ours and the kernel writes no more than they hold.
    let pid = unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, &raw mut usage) };
    check("wait4", pid.into());
    let duration = |time: libc::timeval| {
        let microseconds = time.tv_sec * 1_000_000 + time.tv_usec;
        Duration::from_micros(u64::try_from(microseconds).expect("no negative time"))
    };
    Reaped {
        pid,
        status,
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        max_rss_kib: usage.ru_maxrss,
    }
}

/// Enters a new namespace. With `CLONE_NEWPID` only new children are in it.
pub(crate) fn unshare(namespace: i32) {
    // SAFETY: numbers only.
    let result = unsafe { libc::unshare(namespace) };
    check("unshare", result.into());
}

pub(crate) fn set_uid(uid: u32) {
    // SAFETY: numbers only; no thread was started before.
    let result = unsafe { libc::setresuid(uid, uid, uid) };
    check("setresuid", result.into());
}

/// Sleeps for more than a clock tick, so that later processes have another start time in
/// `/proc/PID/stat`.
pub(crate) fn sleep_beyond_a_tick() {
    let ticks = rustix::param::clock_ticks_per_second();
    sleep(Duration::from_millis(1000 / ticks + 1));
}

/// Sleeps for `time`, or until a signal is handled.
pub(crate) fn sleep(time: Duration) {
    let time = Timespec::try_from(time).expect("a short time");
    let slept = poll(&mut [], Some(&time));
    assert!(matches!(slept, Ok(0) | Err(Errno::INTR)), "{slept:?}");
}
