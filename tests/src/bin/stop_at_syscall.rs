//! Runs a command and holds it when it enters a system call for the first time:
//! `hold unlinkat probe kill …`, or with a number when it enters or leaves a call
//! for the so many-th time. It says `{"pid": N}` on stdout then, and lets
//! the command go on at the next line of stdin. What comes to it meanwhile, it
//! sees in the middle of what it was about to do. Ends as the command does.
//!
//! # Safety
//!
//! Each `ptrace` request here takes numbers only. Between `fork` and `exec` there
//! is one such call, and the filter, which is made before.
#![expect(unsafe_code, reason = "ptrace, see the module's Safety section")]

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::c_int,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
    ptr,
};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, kill_process, setrlimit, wait,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [call, program, rest @ ..] = args.as_slice() else {
        panic!("usage: hold CALL PROGRAM [ARG]...");
    };
    let stop = call.parse().map_or(Stop::Filter, Stop::Nth);
    let filter = (stop == Stop::Filter).then(|| filter(call));
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::null());
    // SAFETY: see above.
    let child = unsafe {
        command.pre_exec(move || {
            // Nobody is stopped before a tracer is there: that is the `exec`.
            request(libc::PTRACE_TRACEME, 0, 0)?;
            let filter = filter.as_ref().map_or(Ok(()), |it| apply_filter(it));
            filter.map_err(io::Error::other)
        })
    };
    #[expect(clippy::zombie_processes, reason = "`trace` reaps it")]
    let child = child.spawn().expect("the process runs");
    end_like(trace(Pid::from_child(&child), stop))
}

/// Where it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Where the filter says so.
    Filter,
    /// At a number of stops of whatever calls.
    Nth(u32),
}

/// From the `exec` to the end.
fn trace(pid: Pid, mut stop: Stop) -> WaitStatus {
    let mut known = BTreeSet::new();
    let mut was_held = false;
    loop {
        let (tid, status) = wait(WaitOptions::empty())
            .expect("our child")
            .expect("it was waited for");
        let Some(mut signal) = status.stopping_signal() else {
            if tid == pid {
                return status;
            }
            continue;
        };
        if known.insert(number(tid)) {
            // The `exec`, or the stop with which a thread begins.
            signal = libc::SIGTRAP;
            if tid == pid {
                arm(pid, stop);
            }
        } else if !was_held && is_it(&mut stop, status.as_raw()) {
            was_held = true;
            hold(pid);
        }
        let signal = if signal & !CALL == libc::SIGTRAP {
            0
        } else {
            signal
        };
        let go = match stop {
            Stop::Nth(_) if !was_held => libc::PTRACE_SYSCALL,
            _ => libc::PTRACE_CONT,
        };
        // SIGKILL leaves nobody to go on.
        let _killed = request(go, number(tid), signal);
    }
}

/// Tells the stop of a call from a signal.
const CALL: c_int = 0x80;

/// All its threads, if a filter is to stop them: they inherit it, and without a
/// tracer the call would fail. Calls are counted of the main thread alone.
fn arm(pid: Pid, stop: Stop) {
    let mut options =
        libc::PTRACE_O_TRACESECCOMP | libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    if stop == Stop::Filter {
        options |= libc::PTRACE_O_TRACECLONE;
    }
    request(libc::PTRACE_SETOPTIONS, number(pid), options).expect("it is stopped");
}

fn is_it(stop: &mut Stop, status: c_int) -> bool {
    match stop {
        Stop::Filter => status >> 16 == libc::PTRACE_EVENT_SECCOMP,
        Stop::Nth(left) if status >> 8 == libc::SIGTRAP | CALL => {
            *left = left.saturating_sub(1);
            *left == 0
        }
        Stop::Nth(_) => false,
    }
}

/// Until somebody says so, or is no more.
fn hold(pid: Pid) {
    println(&format!("{{\"pid\": {}}}", number(pid)));
    let mut line = String::new();
    if !matches!(io::stdin().read_line(&mut line), Ok(1..)) {
        // It may be dead already.
        let _killed = kill_process(pid, Signal::KILL);
    }
}

fn println(line: &str) {
    writeln!(io::stdout(), "{line}").expect("the harness reads");
}

/// A core of ours would tell nothing.
fn end_like(status: WaitStatus) -> ExitCode {
    if let Some(signal) = status.terminating_signal() {
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Core, none).expect("less is always allowed");
        let signal = Signal::from_named_raw(signal).expect("a signal with a name");
        kill_process(getpid(), signal).expect("ourselves");
    }
    let code = status.exit_status().and_then(|it| u8::try_from(it).ok());
    ExitCode::from(code.expect("it ended in one of the two ways"))
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

/// What it stops at.
fn filter(call: &str) -> BpfProgram {
    let call = match call {
        "pidfd_open" => libc::SYS_pidfd_open,
        "pidfd_send_signal" => libc::SYS_pidfd_send_signal,
        "kill" => libc::SYS_kill,
        "unlinkat" => libc::SYS_unlinkat,
        _ => panic!("add the number of {call} here"),
    };
    let rules = BTreeMap::from([(call, Vec::new())]);
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture with seccomp");
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trace(0), arch)
        .and_then(BpfProgram::try_from)
        .expect("a filter of a few numbers")
}
