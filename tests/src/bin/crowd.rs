//! Processes that sleep until they are killed: `crowd 3 8 64` makes three processes with eight
//! threads and 64 MiB of touched memory each.
//!
//! With a word instead of numbers, it makes a process that SIGKILL does not end at once:
//! `crowd vfork` (a parent in state D), `crowd zombie` (a child that is not reaped),
//! `crowd traced` (a child stopped by its tracer), `crowd leaderless` (a process with an exited
//! first thread). Each prints its pid when it is ready.
//!
//! `crowd bomb` is a fork bomb: each process forks until all are killed.
//!
//! # Safety
//!
//! Each call has plain numbers or a live object of ours as arguments. `fork` is
//! only called while there is one thread.
#![expect(unsafe_code, reason = "libc, see the module's Safety section")]

use std::{
    ffi::{c_int, c_void},
    io::{self, Read, Write},
    os::fd::{AsRawFd, OwnedFd},
    process, ptr, thread,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    if args.first() == Some(&"held") {
        args.remove(0);
        let mut line = String::new();
        io::stdin()
            .read_line(&mut line)
            .expect("the harness writes a line");
    }
    match args.as_slice() {
        ["vfork"] => vfork(),
        ["zombie"] => zombie(),
        ["traced"] => traced(),
        ["leaderless"] => leaderless(),
        ["bomb"] => bomb(),
        [processes, threads, mebibytes] => {
            crowd(number(processes), number(threads), number(mebibytes));
        }
        _ => panic!("unknown arguments: {args:?}"),
    }
}

fn number(text: &str) -> usize {
    text.parse()
        .unwrap_or_else(|_| panic!("not a number: {text}"))
}

/// Makes the processes; this one is the first of them.
fn crowd(processes: usize, threads: usize, mebibytes: usize) {
    let (ready, tell) = io::pipe().expect("a pipe");
    for _ in 1..processes {
        if fork() == 0 {
            settle(threads, mebibytes, tell);
        }
    }
    let mut byte = [0];
    for _ in 1..processes {
        (&ready)
            .read_exact(&mut byte)
            .expect("each child writes a byte");
    }
    let memory = touched(mebibytes);
    for _ in 1..threads {
        thread::spawn(pause);
    }
    report(process::id());
    pause();
    drop(memory);
}

fn settle(threads: usize, mebibytes: usize, mut tell: io::PipeWriter) -> ! {
    let memory = touched(mebibytes);
    for _ in 1..threads {
        thread::spawn(pause);
    }
    tell.write_all(&[1]).expect("the parent reads it");
    pause();
    drop(memory);
    exit()
}

fn touched(mebibytes: usize) -> Vec<u8> {
    vec![1; mebibytes << 20]
}

/// The kernel keeps this process in state D until its child exits or executes a program. The
/// child does neither.
fn vfork() {
    let mut stack = vec![0_u128; 4096];
    let top = stack.as_mut_ptr_range().end.cast();
    let (held, tell) = io::pipe().expect("a pipe");
    let end: OwnedFd = tell.into();
    thread::spawn(move || {
        // The child writes a byte when it runs.
        let mut byte = [0];
        (&held).read_exact(&mut byte).expect("the child writes");
        report(process::id());
    });
    let mut fd = end.as_raw_fd();
    // SAFETY: `top` is the end of a live, aligned stack, and `fd` outlives the
    // call, which returns when the child has ended.
    unsafe {
        libc::clone(
            hold,
            top,
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            (&raw mut fd).cast(),
        );
    }
}

extern "C" fn hold(fd: *mut c_void) -> c_int {
    // SAFETY: the parent sleeps in clone() and keeps the integer alive.
    let fd = unsafe { *fd.cast::<c_int>() };
    // SAFETY: one byte of static memory.
    unsafe { libc::write(fd, c"1".as_ptr().cast(), 1) };
    loop {
        // SAFETY: it has no arguments.
        unsafe { libc::pause() };
    }
}

/// Makes a child that has exited and is not reaped.
fn zombie() {
    let child = fork();
    if child == 0 {
        exit();
    }
    wait_for(child, libc::WEXITED | libc::WNOWAIT);
    report(child.unsigned_abs());
    pause();
}

/// Makes a child that is traced and stopped.
fn traced() {
    let child = fork();
    if child == 0 {
        // SAFETY: this request has no further arguments.
        unsafe {
            libc::ptrace(
                libc::PTRACE_TRACEME,
                0,
                ptr::null_mut::<c_void>(),
                ptr::null_mut::<c_void>(),
            )
        };
        // SAFETY: the kernel takes any number.
        unsafe { libc::raise(libc::SIGSTOP) };
        pause();
    }
    wait_for(child, libc::WSTOPPED | libc::WNOWAIT);
    report(child.unsigned_abs());
    pause();
}

/// Ends the first thread. The kernel shows a process without its leader as a zombie.
fn leaderless() {
    thread::spawn(|| {
        let stat = || std::fs::read_to_string("/proc/self/stat").expect("our own cgroup");
        while !stat().contains(") Z ") {
            thread::yield_now();
        }
        report(process::id());
        pause();
    });
    // SAFETY: the call ends this thread alone, which is never joined.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Forks forever, as its children do. Ignoring SIGCHLD keeps them from becoming zombies.
fn bomb() {
    // SAFETY: no handler of ours runs.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    loop {
        // SAFETY: there is one thread, see the module.
        if unsafe { libc::fork() } < 0 {
            thread::yield_now();
        }
    }
}

fn wait_for(child: i32, options: c_int) {
    // SAFETY: an all-zero siginfo is a valid one.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is a live object of ours.
    let result = unsafe { libc::waitid(libc::P_PID, child.unsigned_abs(), &raw mut info, options) };
    assert_eq!(result, 0, "waitid: {}", io::Error::last_os_error());
}

/// Exits without flushing buffers or running destructors, which belong to the parent.
fn exit() -> ! {
    // SAFETY: the kernel takes any number.
    unsafe { libc::_exit(0) }
}

fn fork() -> i32 {
    // SAFETY: there is one thread, see the module.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    pid
}

fn pause() {
    loop {
        // SAFETY: it has no arguments.
        unsafe { libc::pause() };
    }
}

#[expect(clippy::print_stdout, reason = "the harness reads it")]
fn report(pid: u32) {
    println!("{{\"pid\":{pid}}}");
}
