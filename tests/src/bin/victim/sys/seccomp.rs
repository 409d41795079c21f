//! Seccomp filters that end the process.

use probe_tests::seccomp::filter;
use seccompiler::{SeccompAction, apply_filter};

use super::check;

/// Makes `getppid` end the process by SIGSYS.
pub(crate) fn forbid_getppid() {
    apply_filter(&filter("getppid", SeccompAction::KillProcess)).expect("the kernel takes it");
}

/// Allows only read, write, exit and sigreturn. Any other call ends the process with the status
/// of SIGKILL, but no signal is sent.
pub(crate) fn be_strict() {
    // SAFETY: numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    check("PR_SET_SECCOMP", result.into());
}
