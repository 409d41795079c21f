//! Seccomp filters that end the process.

use super::check;

/// Makes `getppid` end the process by SIGSYS.
pub(crate) fn forbid_getppid() {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const JUMP_IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code, jt, k| libc::sock_filter {
        code: u16::try_from(code).expect("an instruction"),
        jt,
        jf: 0,
        k,
    };
    let getppid = u32::try_from(libc::SYS_getppid).expect("a small number");
    let mut steps = [
        // The first word of `struct seccomp_data` is the number of the call.
        step(LOAD, 0, 0),
        step(JUMP_IF_EQUAL, 1, getppid),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
        step(RETURN, 0, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    check("PR_SET_NO_NEW_PRIVS", result.into());
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the kernel copies the program, which is ours and of that length.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    check("PR_SET_SECCOMP", result.into());
}

/// Allows only read, write, exit and sigreturn. Any other call ends the process with the status
/// of SIGKILL, but no signal is sent.
pub(crate) fn be_strict() {
    // SAFETY: numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
    check("PR_SET_SECCOMP", result.into());
}
