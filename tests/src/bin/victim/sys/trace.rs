//! `ptrace` requests.

use std::ptr;

use super::check;

/// Attaches without stopping; `options` are `PTRACE_O_` flags.
pub(crate) fn seize(pid: i32, options: i32) {
    request(libc::PTRACE_SEIZE, pid, options);
}

/// `PTRACE_KILL`.
pub(crate) fn kill(pid: i32) {
    request(libc::PTRACE_KILL, pid, 0);
}

/// Resumes a tracee that stopped for a signal, with another signal.
pub(crate) fn resume_with(pid: i32, signal: i32) {
    request(libc::PTRACE_CONT, pid, signal);
}

fn request(request: libc::c_uint, pid: i32, data: i32) {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the requests above take no address, and a number as data.
    let result = unsafe { libc::ptrace(request, pid, nothing, libc::c_long::from(data)) };
    check("ptrace", result);
}
