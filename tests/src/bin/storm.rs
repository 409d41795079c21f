//! Processes that end as soon as they begin, as many and as fast as all CPUs
//! can: `storm 100000` prints how many it made.
//!
//! # Safety
//!
//! A child shares our memory (`CLONE_VM`), runs on a stack of its own and only
//! calls `_exit`, while the thread that made it sleeps (`CLONE_VFORK`). Nothing
//! else is faster, so nothing else fills a ring buffer as well.
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
    alone();
    #[expect(clippy::print_stdout, reason = "the harness reads it")]
    {
        println!("{{\"made\":{total}}}");
    }
}

/// A worker that was joined may still be about to tell of its exit. Before Linux 6.16
/// it would seem to be the last one too if we ended meanwhile, and the harness counts
/// what is told and what is lost.
fn alone() {
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
