//! [`Cause`]: what keeps a task from its end, as data.

use std::fmt;

use serde::Serialize;

use super::reason::Reason;

/// A process that a cause names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessName {
    /// Thread group id in the pid namespace of the reader.
    pub pid: u32,
    /// Name; `?` if `/proc` does not show it.
    pub comm: String,
    /// Letter of `/proc/PID/stat`; `?` if `/proc` does not show it.
    pub state: char,
    /// Kernel function in which its leader sleeps; `None` if it runs, or without the privilege
    /// to see it.
    pub wchan: Option<String>,
}

impl fmt::Display for ProcessName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}[{}]", self.comm, self.pid)
    }
}

/// A frozen cgroup, and how it is thawed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thaw {
    /// Path of the cgroup below the root of its hierarchy.
    pub cgroup: String,
    /// The file that thaws it.
    pub file: String,
    /// The value to write to the file.
    pub value: &'static str,
}

/// What a process does with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalFate {
    /// The process ignores the signal (`SigIgn`).
    Ignored,
    /// Every thread blocks the signal (`SigBlk`), and it is pending.
    Blocked,
    /// The process is pid 1 of its pid namespace and has no handler: the kernel drops the
    /// signal unless it comes from a parent namespace and is SIGKILL or SIGSTOP.
    Dropped,
    /// The process has a handler (`SigCgt`), which has not ended the process.
    Handled,
}

/// What keeps a task from its end. The causes are ordered: of the causes of several threads the
/// first one is that of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// A kernel thread, which ignores signals.
    KernelThread,
    /// Waits for an answer of a FUSE server.
    Fuse {
        /// Number of the connection below `/sys/fs/fuse/connections`; `None` if several may be
        /// meant.
        connection: Option<u32>,
        /// Where the file system is mounted; `None` if several may be meant.
        mount: Option<String>,
        /// Processes that serve the connection, or all that may serve it.
        servers: Vec<ProcessName>,
        /// Connections with requests that wait for an answer.
        candidates: Vec<u32>,
    },
    /// Waits for a network file system.
    NetworkFileSystem {
        /// Type of the file system, such as `nfs4`; `None` if several may be meant.
        file_system: Option<String>,
        /// Where it is mounted.
        mount: Option<String>,
        /// The server and its directory.
        source: Option<String>,
        /// Kernel function in which the task sleeps.
        wchan: String,
    },
    /// Waits for a block device.
    BlockDevice {
        /// The device; `None` if the system call names no file.
        source: Option<String>,
        /// Where its file system is mounted.
        mount: Option<String>,
        /// Kernel function in which the task sleeps.
        wchan: String,
    },
    /// The init process of a pid namespace waits until every other process in it is gone.
    PidNamespace {
        /// The processes that it waits for.
        waits_for: Vec<ProcessName>,
        /// Why the first of them is still there.
        why: Option<Box<Reason>>,
    },
    /// Writes a core dump.
    CoreDump {
        /// The pattern of `kernel.core_pattern`: a handler after `|`, or a file.
        handler: String,
    },
    /// The freezer of a cgroup holds the process.
    Frozen {
        /// The frozen cgroups, the innermost first. Empty if none of them is visible.
        cgroups: Vec<Thaw>,
    },
    /// A memory cgroup is at its limit and has no OOM killer (v1).
    MemoryLimit {
        /// Path of the cgroup; `None` if it is not visible.
        cgroup: Option<String>,
        /// The file that enables the OOM killer.
        file: Option<String>,
    },
    /// A memory cgroup is above `memory.high`, and the kernel slows the task down.
    MemoryHigh {
        /// Path of the cgroup; `None` if it is not visible.
        cgroup: Option<String>,
    },
    /// The parent of a vfork waits until the child executes a program or exits.
    Vfork {
        /// Children that have not executed a program.
        children: Vec<ProcessName>,
    },
    /// A tracer has stopped the task.
    Traced {
        /// The tracer; `None` if it is outside of this pid namespace.
        tracer: Option<ProcessName>,
    },
    /// The task has exited, and its tracer has not waited for it: the parent cannot reap it.
    TracedZombie {
        /// The tracer.
        tracer: ProcessName,
    },
    /// The process has exited, and its parent has not reaped it.
    Zombie {
        /// The parent; `None` if it is outside of this pid namespace.
        parent: Option<ProcessName>,
    },
    /// A signal has stopped the process.
    Stopped,
    /// A CPU quota lets the task run for a small share of the time.
    Throttled {
        /// Path of the cgroup with the quota.
        cgroup: String,
        /// CPU time in each period, in microseconds.
        quota_us: u64,
        /// Length of a period in microseconds.
        period_us: u64,
        /// The file with the quota.
        file: String,
        /// Share of the recent periods in which the cgroup was throttled, in percent; `None`
        /// if it was not measured.
        throttled_percent: Option<u64>,
    },
    /// Is in an uninterruptible sleep, or in its exit, for a reason that the facts do not tell.
    Kernel {
        /// Kernel function in which the task sleeps; `None` if it is not shown.
        wchan: Option<String>,
        /// Whether the task sleeps uninterruptibly (`D`).
        is_uninterruptible: bool,
    },
    /// The leader has exited, and other threads live on.
    Threads {
        /// Number of the other threads.
        count: u32,
    },
    /// A signal does not end the process: the one that was sent, otherwise SIGTERM.
    Signal {
        /// Name of the signal.
        signal: String,
        /// What happens to the signal.
        fate: SignalFate,
    },
    /// `/proc` does not show the process.
    Hidden,
}

impl Cause {
    /// Every code, in the order of [`Cause`].
    pub const CODES: [&str; 19] = [
        "kernel_thread",
        "fuse",
        "network_file_system",
        "block_device",
        "pid_namespace",
        "core_dump",
        "frozen",
        "memory_limit",
        "memory_high",
        "vfork",
        "traced",
        "traced_zombie",
        "zombie",
        "stopped",
        "throttled",
        "kernel",
        "threads",
        "signal",
        "hidden",
    ];

    /// The stable code, as in JSON.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        Self::CODES[self.rank() as usize]
    }

    /// The place of the cause in the order of [`Cause`].
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::KernelThread => 0,
            Self::Fuse { .. } => 1,
            Self::NetworkFileSystem { .. } => 2,
            Self::BlockDevice { .. } => 3,
            Self::PidNamespace { .. } => 4,
            Self::CoreDump { .. } => 5,
            Self::Frozen { .. } => 6,
            Self::MemoryLimit { .. } => 7,
            Self::MemoryHigh { .. } => 8,
            Self::Vfork { .. } => 9,
            Self::Traced { .. } => 10,
            Self::TracedZombie { .. } => 11,
            Self::Zombie { .. } => 12,
            Self::Stopped => 13,
            Self::Throttled { .. } => 14,
            Self::Kernel { .. } => 15,
            Self::Threads { .. } => 16,
            Self::Signal { .. } => 17,
            Self::Hidden => 18,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_cause_is_that_of_its_json() {
        for cause in [
            Cause::KernelThread,
            Cause::Frozen {
                cgroups: Vec::new(),
            },
            Cause::Zombie { parent: None },
            Cause::Stopped,
            Cause::Threads { count: 1 },
            Cause::Hidden,
        ] {
            let json = serde_json::to_value(&cause).expect("no map with other keys");
            assert_eq!(json["code"], cause.code());
        }
    }
}
