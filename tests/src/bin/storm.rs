//! Makes processes that exit at once, as fast as all CPUs can: `storm 100000` makes 100,000 and
//! prints this number.
//!
//! # Safety
//!
//! A child shares our memory (`CLONE_VM`), runs on its own stack and only calls `_exit`, while
//! the parent thread sleeps (`CLONE_VFORK`). This is the fastest way to fill a ring buffer.
#![expect(unsafe_code, reason = "libc, see the module's Safety section")]

use std::{
    ffi::{c_int, c_void},
    fs, io, ptr, thread,
};

const STACK_BYTES: usize = 64 << 10;

fn main() {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if_eq("held").is_some() {
        let mut line = String::new();
        io::stdin()
            .read_line(&mut line)
            .expect("the harness writes a line");
    }
    let total: u64 = args
        .next()
        .and_then(|total| total.parse().ok())
        .expect("usage: storm [held] N");
    let workers = thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    let shares = (0..workers).map(|index| total / workers + u64::from(index < total % workers));
    let threads: Vec<_> = shares
        .map(|share| thread::spawn(move || make(share)))
        .collect();
    for thread in threads {
        thread.join().expect("a worker that made its share");
    }
    wait_for_threads();
    #[expect(clippy::print_stdout, reason = "the harness reads it")]
    {
        println!("{{\"made\":{total}}}");
    }
}

/// Waits until the worker threads have exited. A joined thread may still run its exit
/// tracepoint. If the process ended meanwhile, both tasks would look like the last one before
/// Linux 6.16, and the harness counts the records.
fn wait_for_threads() {
    let tasks = || fs::read_dir("/proc/self/task").expect("proc").count();
    while tasks() > 1 {
        thread::yield_now();
    }
}

fn make(count: u64) {
    let mut stack = vec![0_u128; STACK_BYTES / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end.cast();
    for _ in 0..count {
        // SAFETY: `top` is the end of a live, aligned stack; see the module.
        let pid = unsafe {
            libc::clone(
                end_at_once,
                top,
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                ptr::null_mut(),
            )
        };
        assert!(pid > 0, "clone: {}", io::Error::last_os_error());
        let mut status = 0;
        // SAFETY: `status` is a live integer of ours.
        let reaped = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!((reaped, status), (pid, 0));
    }
}

extern "C" fn end_at_once(_unused: *mut c_void) -> c_int {
    // SAFETY: the kernel takes any number.
    unsafe { libc::_exit(0) }
}
