//! Runs a command and stops it when it enters a system call for the first time:
//! `stop_at_syscall unlinkat probe kill …`. With a number instead of a call, it stops the
//! command when its main thread has entered or left calls this many times. It prints
//! `{"pid": N}` then, and resumes the command at the next line of stdin. It ends as the command
//! does.
//!
//! # Safety
//!
//! Each `ptrace` request takes numbers only. Between `fork` and `exec` the child makes one such
//! request and installs the filter, which the parent has compiled.
#![expect(unsafe_code, reason = "ptrace, see the module's Safety section")]

use std::{
    collections::BTreeSet,
    ffi::c_int,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
    ptr,
};

use probe_tests::seccomp::filter;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, kill_process, setrlimit, wait,
};
use seccompiler::{SeccompAction, apply_filter};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [call, program, rest @ ..] = args.as_slice() else {
        panic!("usage: stop_at_syscall CALL|NUMBER PROGRAM [ARG]...");
    };
    let stop = call.parse().map_or(Stop::Filter, Stop::Nth);
    let filter = (stop == Stop::Filter).then(|| filter(call, SeccompAction::Trace(0)));
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null());
    // SAFETY: see above.
    let child = unsafe {
        command.pre_exec(move || {
            // The first stop of the tracee is the `exec`.
            request(libc::PTRACE_TRACEME, 0, 0)?;
            let filter = filter.as_ref().map_or(Ok(()), |it| apply_filter(it));
            filter.map_err(io::Error::other)
        })
    };
    #[expect(clippy::zombie_processes, reason = "`trace` reaps it")]
    let child = child.spawn().expect("the process runs");
    end_like(trace(Pid::from_child(&child), stop))
}

/// Where the command is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// At the call that the seccomp filter traces.
    Filter,
    /// At this number of entries and exits of any calls.
    Nth(u32),
}

/// Traces the command from its `exec` to its end.
fn trace(pid: Pid, mut stop: Stop) -> WaitStatus {
    let mut known = BTreeSet::new();
    let mut was_stopped = false;
    loop {
        let (tid, status) = wait(WaitOptions::empty())
            .expect("our child")
            .expect("a blocking wait");
        let Some(mut signal) = status.stopping_signal() else {
            if tid == pid {
                return status;
            }
            continue;
        };
        if known.insert(number(tid)) {
            // The `exec`, or the first stop of a new thread.
            signal = libc::SIGTRAP;
            if tid == pid {
                arm(pid, stop);
            }
        } else if !was_stopped && is_reached(&mut stop, status.as_raw()) {
            was_stopped = true;
            wait_for_line(pid);
        }
        let signal = if signal & !CALL == libc::SIGTRAP {
            0
        } else {
            signal
        };
        let go = match stop {
            Stop::Nth(_) if !was_stopped => libc::PTRACE_SYSCALL,
            _ => libc::PTRACE_CONT,
        };
        // It fails if the tracee has been killed.
        let _killed = request(go, number(tid), signal);
    }
}

/// Distinguishes a stop at a call from a signal.
const CALL: c_int = 0x80;

/// Sets the options of the tracee. With a filter all threads are traced: they inherit the
/// filter, and without a tracer the call would fail. Calls are counted in the main thread only.
fn arm(pid: Pid, stop: Stop) {
    let mut options =
        libc::PTRACE_O_TRACESECCOMP | libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    if stop == Stop::Filter {
        options |= libc::PTRACE_O_TRACECLONE;
    }
    request(libc::PTRACE_SETOPTIONS, number(pid), options).expect("the tracee is stopped");
}

fn is_reached(stop: &mut Stop, status: c_int) -> bool {
    match stop {
        Stop::Filter => status >> 16 == libc::PTRACE_EVENT_SECCOMP,
        Stop::Nth(left) if status >> 8 == libc::SIGTRAP | CALL => {
            *left = left.saturating_sub(1);
            *left == 0
        }
        Stop::Nth(_) => false,
    }
}

/// Returns at the next line of stdin. Kills the command at its end.
fn wait_for_line(pid: Pid) {
    println(&format!("{{\"pid\": {}}}", number(pid)));
    let mut line = String::new();
    if !matches!(io::stdin().read_line(&mut line), Ok(1..)) {
        // It fails if the command has been killed.
        let _killed = kill_process(pid, Signal::KILL);
    }
}

fn println(line: &str) {
    writeln!(io::stdout(), "{line}").expect("the harness reads");
}

/// Ends this process as the command ended, but without a core dump.
fn end_like(status: WaitStatus) -> ExitCode {
    if let Some(signal) = status.terminating_signal() {
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Core, none).expect("less is always allowed");
        let signal = Signal::from_named_raw(signal).expect("a signal with a name");
        kill_process(getpid(), signal).expect("our own process");
    }
    let code = status.exit_status().and_then(|it| u8::try_from(it).ok());
    ExitCode::from(code.expect("an exit code or a signal"))
}

fn number(pid: Pid) -> c_int {
    pid.as_raw_nonzero().get()
}

fn request(request: libc::c_uint, pid: c_int, data: c_int) -> io::Result<()> {
    let data = libc::c_long::from(data);
    // SAFETY: see above.
    let result = unsafe { libc::ptrace(request, pid, ptr::null_mut::<libc::c_void>(), data) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
