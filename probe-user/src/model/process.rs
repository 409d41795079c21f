//! Identity and description of a process.

use std::{borrow::Cow, fmt, num::NonZeroU64};

use probe_ebpf::event::COMM_BYTES;

use super::{CgroupId, ProcessState};

/// Identity of a process, which no other process has, however often its pid is
/// reused.
///
/// `execve` does not change it, not even in a thread other than the leader: that thread
/// gets the start time of the old leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// Thread group id; what users call the pid.
    pub tgid: u32,
    /// Start of the group leader in `CLOCK_BOOTTIME` nanoseconds
    /// (`task_struct.start_boottime`, Linux 5.5; `/proc/PID/stat` shows it in
    /// clock ticks).
    pub start_boottime_ns: u64,
}

/// Name of a task: at most 15 bytes, which need not be UTF-8.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Comm([u8; COMM_BYTES]);

impl Comm {
    /// Takes the kernel's NUL-padded form.
    #[must_use]
    pub const fn new(bytes: [u8; COMM_BYTES]) -> Self {
        Self(bytes)
    }

    /// Takes a name of any length and cuts it where the kernel would.
    #[must_use]
    pub fn cut(name: &[u8]) -> Self {
        let mut bytes = [0; COMM_BYTES];
        let len = name.len().min(COMM_BYTES - 1);
        bytes[..len].copy_from_slice(&name[..len]);
        Self(bytes)
    }

    /// The name; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn to_str(&self) -> Cow<'_, str> {
        let end = self.0.iter().position(|&byte| byte == 0);
        String::from_utf8_lossy(&self.0[..end.unwrap_or(COMM_BYTES)])
    }

    /// A name for which [`Comm::to_str`] returns this text. U+FFFD becomes a byte that is
    /// not UTF-8, which need not be the original byte.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        const INVALID_UTF8: u8 = 0xff;
        let mut name = Vec::new();
        for char in text.chars().filter(|&it| it != '\0') {
            let encoded = match char {
                char::REPLACEMENT_CHARACTER => vec![INVALID_UTF8],
                _ => char.to_string().into_bytes(),
            };
            // The last byte stays NUL, as in the kernel.
            if name.len() + encoded.len() >= COMM_BYTES {
                break;
            }
            name.extend(encoded);
        }
        Self::cut(&name)
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

/// A task of a process at the moment of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The task that the event is about, by its number in the pid namespace of the reader; 0 if
    /// it has none there.
    pub tid: u32,
    /// Its thread group, by its number in the pid namespace of the reader; 0 if it has none
    /// there.
    pub tgid: u32,
    /// Its thread group, by its number in the initial pid namespace; 0 if it is not known.
    pub initial_tgid: u32,
    /// Thread group of the real parent, not of a tracer, by its number in the pid namespace of
    /// the reader, or 0; `None` without BTF.
    pub ppid: Option<u32>,
    /// Real uid in the initial user namespace.
    pub uid: Option<u32>,
    /// Name of the group leader.
    pub comm: Comm,
    /// Start of the group leader in `CLOCK_BOOTTIME` nanoseconds; `None`
    /// without BTF.
    pub start_boottime_ns: Option<u64>,
    /// The v2 cgroup unless that is the root, else the first v1 cgroup that is
    /// not a root; `None` if it could not be read.
    pub cgroup: Option<CgroupId>,
    /// Id of its cgroup in the v1 hierarchy that records name in addition to `cgroup`; `None`
    /// if there is none or the cgroup could not be read.
    pub v1_cgroup_id: Option<NonZeroU64>,
    /// Pid in its own pid namespace; `None` without BTF.
    pub ns_pid: Option<u32>,
    /// Inode number of that pid namespace; `None` without BTF.
    pub pid_ns: Option<u32>,
    /// Owners of its user namespaces; `None` in the initial one, and if they could not be
    /// read.
    pub owners: Option<Owners>,
}

impl Process {
    /// Identity of the process among all of the machine; `None` if it is not known.
    pub(crate) fn machine_id(&self) -> Option<MachineId> {
        let numbers = (self.tgid, self.initial_tgid);
        // A process with a number here is known by that number also where a daemon, which may
        // not know the other one, reports it.
        let number = match numbers {
            (0, 0) => return None,
            (0, initial) => (initial, Numbering::Initial),
            (own, _) => (own, Numbering::Own),
        };
        Some((number, self.start_boottime_ns?))
    }
}

/// A number of a process, the namespace that it belongs to, and the start of the process.
pub(crate) type MachineId = ((u32, Numbering), u64);

/// A pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Numbering {
    /// That of the reader.
    Own,
    /// The initial one.
    Initial,
}

/// Owners of the user namespaces of a process, as uids in the initial user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    /// Owner of its own user namespace.
    pub own: u32,
    /// Owner of the ancestor directly below the initial user namespace.
    pub top: u32,
}

/// A process as `/proc` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedProcess {
    /// Thread group id.
    pub tgid: u32,
    /// Start of the group leader since boot in clock ticks.
    pub start_ticks: u64,
    /// Thread group of the real parent.
    pub ppid: u32,
    /// Real uid in the user namespace of the reader.
    pub uid: u32,
    /// Name of the group leader.
    pub comm: Comm,
    /// State of the process by `stat` of its leader. A process with other threads counts
    /// as running, and a process that is exiting may take seconds to end.
    pub state: ProcessState,
    /// Pid in its own pid namespace (Linux 4.1).
    pub ns_pid: Option<u32>,
    /// Owners of its user namespaces; `None` in the initial one, and if this process may
    /// not read them.
    pub owners: Option<Owners>,
    /// As [`Process::cgroup`]; `None` if its id is unknown.
    pub cgroup: Option<CgroupId>,
    /// As [`Process::v1_cgroup_id`].
    pub v1_cgroup_id: Option<NonZeroU64>,
}
