//! Signals: their names, and the origin of a fatal one.

use super::words::words;

/// A signal number as Linux uses it on x86, arm64 and riscv.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(pub u32);

/// Names of the first signals, without `SIG`.
const NAMES: [&str; 32] = [
    "0", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// First real-time signal that glibc leaves to programs.
const SIGRTMIN: u32 = 34;

impl Signal {
    /// `SIGKILL`.
    pub const KILL: Self = Self(9);

    /// The name: `SIGKILL`, `SIGRTMIN+3`, or `SIG33` for the two signals that glibc
    /// reserves.
    #[must_use]
    pub fn name(self) -> String {
        match NAMES.get(self.0 as usize) {
            Some(name) => format!("SIG{name}"),
            None if self.0 == SIGRTMIN => "SIGRTMIN".to_owned(),
            None if self.0 > SIGRTMIN => format!("SIGRTMIN+{}", self.0 - SIGRTMIN),
            None => format!("SIG{}", self.0),
        }
    }

    /// Whether a faulty instruction or a forbidden system call raises this signal.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        // SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS
        matches!(self.0, 4 | 5 | 7 | 8 | 11 | 31)
    }
}

words! {
    /// The way in which the signal that ended a process was sent.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Via {
        /// `kill(2)`, `pidfd_send_signal(2)`, `sigqueue(3)`: to the whole process.
        Kill = "kill",
        /// `tgkill(2)`, `raise(3)`, `abort(3)`: to one thread.
        Tkill = "tkill",
        /// A write to `cgroup.kill` (Linux 5.14).
        CgroupKill = "cgroup.kill",
        /// `PTRACE_KILL` of a tracer.
        Ptrace = "ptrace",
        /// The kernel, by itself or on behalf of a terminal.
        Kernel = "kernel",
        /// A timer of the process: of `alarm(2)`, `setitimer(2)` or `timer_create(2)`.
        Timer = "timer",
        /// A fault of the program: a bad access, an illegal instruction, a system
        /// call that seccomp forbids.
        Fault = "fault",
        /// The out-of-memory killer.
        Oom = "oom",
    }
}

words! {
    /// Why the kernel sent a signal, as far as a record tells.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Cause {
        /// The parent died and `PR_SET_PDEATHSIG` was set.
        ParentDeath = "parent_death",
        /// Init of the pid namespace died, so the kernel killed all processes in it.
        PidNamespaceTeardown = "pid_namespace_teardown",
        /// The process was cloned into a cgroup that was killed (Linux 5.14), so it died at
        /// its birth.
        CgroupKill = "cgroup_kill",
        /// The process used more CPU time than `RLIMIT_CPU`, or `RLIMIT_RTTIME`, allows
        /// (SIGXCPU). The SIGKILL of the hard limit has no cause.
        CpuLimit = "cpu_limit",
        /// The process wrote beyond `RLIMIT_FSIZE` (SIGXFSZ).
        FileSizeLimit = "file_size_limit",
        /// The process wrote to a pipe or socket without a reader (SIGPIPE).
        BrokenPipe = "broken_pipe",
        /// A key of a terminal, such as Ctrl-C (SIGINT, SIGQUIT).
        Terminal = "terminal",
        /// A terminal hung up, or its session leader exited, or a stopped process group became
        /// orphaned (SIGHUP).
        HangUp = "hang_up",
        /// A seccomp filter forbids the system call (SIGSYS).
        Seccomp = "seccomp",
    }
}

/// The process that sent a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Thread group id in the pid namespace of the reader; 0 if the sender has none there.
    pub tgid: u32,
    /// Name of the sending thread.
    pub comm: String,
    /// Real uid in the initial user namespace.
    pub uid: u32,
}

/// The origin of the signal that ended a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KilledBy {
    /// The signal in the exit status.
    pub signal: Signal,
    /// The way in which it was sent.
    pub via: Via,
    /// The sending process; `None` for a signal of the kernel, of a timer or of the
    /// out-of-memory killer.
    pub sender: Option<Sender>,
    /// Why the kernel sent the signal; `None` if that is unknown.
    pub cause: Option<Cause>,
    /// Whether the sender gave the signal a `si_code` of the kernel, such as that of a
    /// timer. `sender` is the process that sent it all the same.
    pub forged: bool,
}

impl KilledBy {
    /// A kill by the out-of-memory killer, which has no sender.
    pub(crate) const OOM: Self = Self {
        signal: Signal::KILL,
        via: Via::Oom,
        sender: None,
        cause: None,
        forged: false,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_the_name_that_kill_l_prints() {
        assert_eq!(Signal(9).name(), "SIGKILL");
        assert_eq!(Signal(31).name(), "SIGSYS");
        assert_eq!(Signal(32).name(), "SIG32");
        assert_eq!(Signal(34).name(), "SIGRTMIN");
        assert_eq!(Signal(37).name(), "SIGRTMIN+3");
        assert_eq!(Signal(64).name(), "SIGRTMIN+30");
    }
}
