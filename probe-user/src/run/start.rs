//! Starts a command, if possible in a cgroup from its first moment on.
//!
//! `clone3` with `CLONE_INTO_CGROUP` (Linux 5.7) starts the child in the cgroup. Where the kernel
//! or a filter refuses that, the child moves itself before it executes the command, which takes
//! almost a millisecond, because the kernel then waits for all CPUs.
//!
//! # Safety
//!
//! Between the fork and the exec the child makes system calls only: it does not allocate, takes no
//! lock and does not return into the caller, so it does not matter which locks other threads held
//! at the fork. All memory that it needs is prepared before.

#![expect(unsafe_code, reason = "rustix has no fork and no exec")]

use std::{
    ffi::{CString, NulError, OsString, c_char},
    io::{self, PipeWriter, Read},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    ptr,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::{Errno, write},
    process::{
        Pid, Signal, WaitOptions, getpid, getppid, set_parent_process_death_signal, waitpid,
    },
};

use super::signals::Signals;
use crate::cgroup::pinned::PinnedCgroup;

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel makes no new process.
    #[error("cannot make a new process")]
    Fork(#[source] io::Error),
    /// The new process cannot enter the cgroup.
    #[error("a process cannot enter {path}")]
    Enter {
        /// The directory of the cgroup.
        path: String,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// The command cannot be executed.
    #[error("cannot run {program}")]
    Exec {
        /// The command.
        program: String,
        /// The error of the system call; `ENOENT` if there is no such command.
        #[source]
        source: io::Error,
    },
}

/// A command and its arguments, as `execvp` takes them.
#[derive(Debug)]
pub struct Program {
    words: Vec<CString>,
}

/// Bytes of a report: the step, and the error number.
const REPORT_BYTES: usize = 5;

/// What the child reports by the pipe before it ends: the step that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    Enter = 1,
    Prepare = 2,
    Exec = 3,
}

impl Program {
    /// A command with its arguments. The first word is a path, or a name that is looked up in
    /// `PATH`.
    pub fn new(words: Vec<OsString>) -> Result<Self, NulError> {
        let words = words.into_iter().map(|it| CString::new(it.into_vec()));
        Ok(Self {
            words: words.collect::<Result<_, _>>()?,
        })
    }

    /// The first word.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.words.first().map(|it| it.to_string_lossy());
        name.unwrap_or_default().into_owned()
    }

    /// Starts the command as a child of this process, in the cgroup if there is one. Returns when
    /// the child executes the command. The child gets SIGKILL when the calling thread ends.
    pub fn start(
        &self,
        cgroup: Option<&PinnedCgroup>,
        signals: &Signals,
    ) -> Result<Pid, StartError> {
        let (mut reader, writer) = io::pipe().map_err(StartError::Fork)?;
        let mut words: Vec<*const c_char> = self.words.iter().map(|it| it.as_ptr()).collect();
        words.push(ptr::null());
        let plan = ChildPlan {
            words: &words,
            signals,
            parent: getpid(),
            report: writer,
        };
        let child = match cgroup.map(|it| clone_into(it.as_fd(), &plan)) {
            Some(Ok(child)) => child,
            Some(Err(errno)) if matches!(errno, Errno::AGAIN | Errno::NOMEM) => {
                return Err(fork_error(errno));
            }
            refused => {
                if let Some(Err(errno)) = refused {
                    tracing::debug!(%errno, "no CLONE_INTO_CGROUP: the child moves itself");
                }
                fork_and_move(cgroup, &plan)?
            }
        };
        drop(plan);
        // The exec closes the pipe.
        let mut report = [0; REPORT_BYTES];
        if reader.read_exact(&mut report).is_err() {
            return Ok(child);
        }
        // The child has ended; if it cannot be reaped, it is reaped later.
        let _reaped = waitpid(Some(child), WaitOptions::empty());
        let [step, errno @ ..] = report;
        let source = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
        Err(match (step, cgroup) {
            (step, Some(cgroup)) if step == Step::Enter as u8 => enter_error(cgroup, source),
            (step, _) if step == Step::Exec as u8 => StartError::Exec {
                program: self.name(),
                source,
            },
            _ => StartError::Fork(source),
        })
    }
}

fn fork_error(errno: Errno) -> StartError {
    StartError::Fork(errno.into())
}

fn enter_error(cgroup: &PinnedCgroup, source: io::Error) -> StartError {
    StartError::Enter {
        path: cgroup.path().display().to_string(),
        source,
    }
}

/// What the child does.
struct ChildPlan<'a> {
    /// The words of the command, and a null pointer at the end.
    words: &'a [*const c_char],
    signals: &'a Signals,
    parent: Pid,
    report: PipeWriter,
}

impl ChildPlan<'_> {
    /// Executes the command, or reports the step that failed and ends the child.
    fn execute(&self, procs: Option<&OwnedFd>) -> ! {
        // The kernel takes 0 as the writing process.
        let entered = procs.map_or(Ok(1), |procs| write(procs, b"0"));
        let Err(error) = entered.map(drop) else {
            self.execute_inside()
        };
        self.fail(Step::Enter, error.raw_os_error())
    }

    fn execute_inside(&self) -> ! {
        let prepared = set_parent_process_death_signal(Some(Signal::KILL));
        // A parent that ended before this call sends no signal.
        if prepared.is_err() || getppid() != Some(self.parent) || self.signals.restore().is_err() {
            self.fail(Step::Prepare, Errno::CHILD.raw_os_error());
        }
        // SAFETY: the words are pointers to strings with a NUL at the end, which live in the
        // memory that the child has copied, and a null pointer ends the list.
        unsafe { libc::execvp(self.words[0], self.words.as_ptr()) };
        let errno = io::Error::last_os_error().raw_os_error();
        self.fail(Step::Exec, errno.unwrap_or(libc::EIO))
    }

    fn fail(&self, step: Step, errno: i32) -> ! {
        let mut report = [step as u8; REPORT_BYTES];
        report[1..].copy_from_slice(&errno.to_ne_bytes());
        let _parent_is_gone = write(&self.report, &report);
        // SAFETY: the call ends the child at once, without running code of the parent.
        unsafe { libc::_exit(127) }
    }
}

/// The arguments of `clone3`, as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

fn clone_into(cgroup: BorrowedFd<'_>, plan: &ChildPlan<'_>) -> Result<Pid, Errno> {
    let arguments = CloneArguments {
        flags: CLONE_INTO_CGROUP,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        cgroup: u64::from(cgroup.as_raw_fd().cast_unsigned()),
        ..CloneArguments::default()
    };
    let size = size_of::<CloneArguments>();
    // SAFETY: the kernel reads the arguments only. Without CLONE_VM the child has a copy of the
    // memory and of the stack, as after fork; it makes system calls only (see the module).
    let returned = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) };
    match i32::try_from(returned) {
        Ok(0) => plan.execute(None),
        Ok(pid) if pid > 0 => Pid::from_raw(pid).ok_or(Errno::IO),
        _ => Err(last_errno()),
    }
}

fn fork_and_move(cgroup: Option<&PinnedCgroup>, plan: &ChildPlan<'_>) -> Result<Pid, StartError> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let procs = match cgroup {
        Some(cgroup) => Some(
            openat(cgroup, "cgroup.procs", flags, Mode::empty())
                .map_err(|errno| enter_error(cgroup, errno.into()))?,
        ),
        None => None,
    };
    // SAFETY: the child makes system calls only (see the module).
    match unsafe { libc::fork() } {
        0 => plan.execute(procs.as_ref()),
        -1 => Err(fork_error(last_errno())),
        pid => Pid::from_raw(pid).ok_or_else(|| fork_error(Errno::IO)),
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
