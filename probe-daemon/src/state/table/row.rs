//! One live process, in as few bytes as it can be told.
//!
//! What is not known is a sentinel here, as on the wire, and `None` to whoever
//! asks: a hundred thousand rows are to fit into 16 MiB.

use std::cmp::Ordering;

use probe_ebpf::event::UNKNOWN;
use probe_user::model::{CgroupId, Comm, Owners, Process, ScannedProcess};

/// [`Row::marks`]: the nanoseconds of the start are exact, not a tick's first.
const EXACT: u8 = 1 << 0;
/// [`Row::marks`]: known to have lived since the scan began.
pub(crate) const SEEN: u8 = 1 << 1;
/// [`Row::marks`]: an event since the scan began said which cgroup it is in.
pub(crate) const MOVED: u8 = 1 << 2;
/// [`Row::marks`]: an event since the scan began said who it is.
pub(crate) const TOLD: u8 = 1 << 3;
/// The marks that a scan begins without.
pub(crate) const OF_A_SCAN: u8 = SEEN | MOVED | TOLD;

/// A live process of the table.
#[derive(Clone, Debug)]
pub struct Row {
    start_ns: u64,
    cgroup_id: u64,
    cgroup_hierarchy: u32,
    tgid: u32,
    ppid: u32,
    uid: u32,
    ns_pid: u32,
    pid_ns: u32,
    owners: [u32; 2],
    /// Neighbours in its cgroup; 0: none.
    pub(crate) before: u32,
    pub(crate) behind: u32,
    comm: Comm,
    pub(crate) marks: u8,
}

impl Row {
    /// Thread group id.
    #[must_use]
    pub const fn tgid(&self) -> u32 {
        self.tgid
    }

    /// Start of the group leader in `CLOCK_BOOTTIME` nanoseconds; `None` until
    /// an event told it.
    #[must_use]
    pub fn start_boottime_ns(&self) -> Option<u64> {
        (self.marks & EXACT != 0).then_some(self.start_ns)
    }

    /// The same, or the first nanosecond of the clock tick that `/proc` showed;
    /// 0 if neither is known.
    #[must_use]
    pub const fn start_no_later_than_ns(&self) -> u64 {
        self.start_ns
    }

    /// Thread group of the real parent when it was last looked at: one that has
    /// died since was not the last.
    #[must_use]
    pub fn ppid(&self) -> Option<u32> {
        known(self.ppid)
    }

    /// Real uid in the initial user namespace, when it was last looked at.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        known(self.uid)
    }

    /// Name of the group leader.
    #[must_use]
    pub const fn comm(&self) -> Comm {
        self.comm
    }

    /// As [`Process::cgroup`].
    #[must_use]
    pub fn cgroup(&self) -> Option<CgroupId> {
        known(self.cgroup_hierarchy).map(|hierarchy| CgroupId {
            hierarchy,
            id: self.cgroup_id,
        })
    }

    /// Pid in its own pid namespace.
    #[must_use]
    pub fn ns_pid(&self) -> Option<u32> {
        (self.ns_pid != 0).then_some(self.ns_pid)
    }

    /// Inode number of that pid namespace; `None` until an event told it.
    #[must_use]
    pub fn pid_ns(&self) -> Option<u32> {
        (self.pid_ns != 0).then_some(self.pid_ns)
    }

    /// As [`Process::owners`].
    #[must_use]
    pub fn owners(&self) -> Option<Owners> {
        let [own, top] = self.owners;
        Some(Owners {
            own: known(own)?,
            top: known(top)?,
        })
    }

    pub(crate) const fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    pub(crate) fn of_event(process: &Process) -> Self {
        let mut row = Self::nameless(process.tgid);
        row.tell(process);
        row.set_cgroup(process.cgroup);
        row
    }

    pub(crate) fn of_scan(scanned: &ScannedProcess, tick_ns: u64) -> Self {
        let mut row = Self::nameless(scanned.tgid);
        row.begin_at_tick(scanned.start_ticks, tick_ns);
        row.look(scanned);
        row.set_cgroup(scanned.cgroup);
        row
    }

    fn nameless(tgid: u32) -> Self {
        Self {
            start_ns: 0,
            cgroup_id: 0,
            cgroup_hierarchy: UNKNOWN,
            tgid,
            ppid: UNKNOWN,
            uid: UNKNOWN,
            ns_pid: 0,
            pid_ns: 0,
            owners: [UNKNOWN; 2],
            before: 0,
            behind: 0,
            comm: Comm::new([0; _]),
            marks: 0,
        }
    }

    pub(crate) fn begin_at_tick(&mut self, ticks: u64, tick_ns: u64) {
        self.start_ns = ticks.saturating_mul(tick_ns);
    }

    /// Takes over what never changes.
    pub(crate) fn identify(&mut self, process: &Process) {
        if let Some(start_ns) = process.start_boottime_ns {
            self.start_ns = start_ns;
            self.marks |= EXACT;
        }
        self.ns_pid = process.ns_pid.unwrap_or(self.ns_pid);
        self.pid_ns = process.pid_ns.unwrap_or(self.pid_ns);
    }

    /// Takes over all that an event says, its cgroup not included.
    pub(crate) fn tell(&mut self, process: &Process) {
        self.identify(process);
        self.ppid = process.ppid.unwrap_or(self.ppid);
        self.uid = process.uid.unwrap_or(self.uid);
        self.set_owners(process.owners);
        self.comm = process.comm;
    }

    /// Takes over all that a scan says, its cgroup and its start not included.
    pub(crate) fn look(&mut self, scanned: &ScannedProcess) {
        self.ppid = scanned.ppid;
        self.uid = scanned.uid;
        self.comm = scanned.comm;
        self.ns_pid = scanned.ns_pid.unwrap_or(self.ns_pid);
        // A scan without the right to ask says nothing of namespaces.
        if scanned.owners.is_some() {
            self.set_owners(scanned.owners);
        }
    }

    /// To be called while it is in no list of a cgroup.
    pub(crate) fn set_cgroup(&mut self, cgroup: Option<CgroupId>) {
        self.cgroup_hierarchy = cgroup.map_or(UNKNOWN, |it| it.hierarchy);
        self.cgroup_id = cgroup.map_or(0, |it| it.id);
    }

    fn set_owners(&mut self, owners: Option<Owners>) {
        self.owners = owners.map_or([UNKNOWN; 2], |it| [it.own, it.top]);
    }

    /// How it compares with a start elsewhere: equal unless both are known.
    pub(crate) fn start_cmp(&self, other: Start, tick_ns: u64) -> Ordering {
        match other {
            Start::Unknown => Ordering::Equal,
            _ if self.start_ns == 0 => Ordering::Equal,
            Start::Exact(ns) if self.has(EXACT) => self.start_ns.cmp(&ns),
            Start::Exact(ns) => self.start_ns.cmp(&first_of_tick(ns, tick_ns)),
            Start::Tick(ns) => first_of_tick(self.start_ns, tick_ns).cmp(&ns),
        }
    }
}

/// Start of a process as an event or a scan tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Unknown,
    Exact(u64),
    /// The first nanosecond of the tick.
    Tick(u64),
}

const fn first_of_tick(ns: u64, tick_ns: u64) -> u64 {
    ns - ns % tick_ns
}

fn known(value: u32) -> Option<u32> {
    (value != UNKNOWN).then_some(value)
}
