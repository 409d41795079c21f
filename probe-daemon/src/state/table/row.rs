//! A live process, in as few bytes as possible: a hundred thousand rows must fit into
//! 16 MiB. An unknown value is stored as a sentinel and returned as `None`.

use std::{cmp::Ordering, num::NonZeroU64};

use probe_ebpf::event::UNKNOWN;
use probe_user::model::{CgroupId, Comm, Owners, Process, ScannedProcess};

/// [`Row::marks`]: the start is exact, not the first nanosecond of a clock tick.
const EXACT: u8 = 1 << 0;
/// [`Row::marks`]: the process was seen alive since the scan began.
pub(crate) const SEEN: u8 = 1 << 1;
/// [`Row::marks`]: the cgroup is that of an event since the scan began.
pub(crate) const MOVED: u8 = 1 << 2;
/// [`Row::marks`]: all values but the cgroup are those of an event since the scan began.
pub(crate) const REPORTED: u8 = 1 << 3;
/// The marks that are cleared when a scan begins.
pub(crate) const OF_A_SCAN: u8 = SEEN | MOVED | REPORTED;

/// A live process of the table.
#[derive(Clone, Debug)]
pub struct Row {
    start_ns: u64,
    cgroup_id: u64,
    v1_cgroup_id: Option<NonZeroU64>,
    cgroup_hierarchy: u32,
    tgid: u32,
    ppid: u32,
    uid: u32,
    owners: [u32; 2],
    comm: Comm,
    pub(crate) marks: u8,
}

impl Row {
    /// Thread group id.
    #[must_use]
    pub const fn tgid(&self) -> u32 {
        self.tgid
    }

    /// Start of the group leader in `CLOCK_BOOTTIME` nanoseconds; `None` until an event
    /// reports it.
    #[cfg(test)]
    pub(crate) fn start_boottime_ns(&self) -> Option<u64> {
        (self.marks & EXACT != 0).then_some(self.start_ns)
    }

    /// Start of the group leader, or the first nanosecond of its clock tick until an event
    /// reports the start; `None` if both are unknown.
    #[must_use]
    pub fn start_or_tick_ns(&self) -> Option<u64> {
        (self.start_ns != 0).then_some(self.start_ns)
    }

    /// Start of the group leader, or the first nanosecond of its clock tick; 0 if both are
    /// unknown.
    #[must_use]
    pub(crate) const fn start_no_later_than_ns(&self) -> u64 {
        self.start_ns
    }

    /// Thread group id of the real parent at the last event or scan. No event reports a
    /// change of the parent.
    #[must_use]
    pub fn ppid(&self) -> Option<u32> {
        known(self.ppid)
    }

    /// Real uid in the initial user namespace, at the last event or scan.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        known(self.uid)
    }

    /// Name of the group leader.
    #[must_use]
    pub const fn comm(&self) -> Comm {
        self.comm
    }

    /// See [`Process::cgroup`].
    #[must_use]
    pub fn cgroup(&self) -> Option<CgroupId> {
        known(self.cgroup_hierarchy).map(|hierarchy| CgroupId {
            hierarchy,
            id: self.cgroup_id,
        })
    }

    /// See [`Process::v1_cgroup_id`].
    #[must_use]
    pub(crate) fn v1_cgroup_id(&self) -> Option<u64> {
        self.v1_cgroup_id.map(NonZeroU64::get)
    }

    /// See [`Process::owners`].
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
        let mut row = Self::new(process.tgid);
        row.update_from_event(process);
        row.set_cgroups(process.cgroup, process.v1_cgroup_id);
        row
    }

    pub(crate) fn of_scan(scanned: &ScannedProcess, tick_ns: u64) -> Self {
        let mut row = Self::new(scanned.tgid);
        row.begin_at_tick(scanned.start_ticks, tick_ns);
        row.update_from_scan(scanned);
        row.set_cgroups(scanned.cgroup, scanned.v1_cgroup_id);
        row
    }

    fn new(tgid: u32) -> Self {
        Self {
            start_ns: 0,
            cgroup_id: 0,
            v1_cgroup_id: None,
            cgroup_hierarchy: UNKNOWN,
            tgid,
            ppid: UNKNOWN,
            uid: UNKNOWN,
            owners: [UNKNOWN; 2],
            comm: Comm::new([0; _]),
            marks: 0,
        }
    }

    pub(crate) fn begin_at_tick(&mut self, ticks: u64, tick_ns: u64) {
        self.start_ns = ticks.saturating_mul(tick_ns);
    }

    /// Sets the exact start, which never changes.
    pub(crate) fn identify(&mut self, process: &Process) {
        if let Some(start_ns) = process.start_boottime_ns {
            self.start_ns = start_ns;
            self.marks |= EXACT;
        }
    }

    /// Sets all values but the cgroup to those of an event.
    pub(crate) fn update_from_event(&mut self, process: &Process) {
        self.identify(process);
        self.ppid = process.ppid.unwrap_or(self.ppid);
        self.uid = process.uid.unwrap_or(self.uid);
        self.set_owners(process.owners);
        self.comm = process.comm;
    }

    /// Sets all values but cgroup and start to those of a scan.
    pub(crate) fn update_from_scan(&mut self, scanned: &ScannedProcess) {
        self.ppid = scanned.ppid;
        self.uid = scanned.uid;
        self.comm = scanned.comm;
        // A scan without privileges cannot read the owners.
        if scanned.owners.is_some() {
            self.set_owners(scanned.owners);
        }
    }

    /// Sets the cgroups that are known.
    pub(crate) fn set_cgroups(&mut self, cgroup: Option<CgroupId>, v1_id: Option<NonZeroU64>) {
        if let Some(CgroupId { hierarchy, id }) = cgroup {
            self.cgroup_hierarchy = hierarchy;
            self.cgroup_id = id;
        }
        self.v1_cgroup_id = v1_id.or(self.v1_cgroup_id);
    }

    fn set_owners(&mut self, owners: Option<Owners>) {
        self.owners = owners.map_or([UNKNOWN; 2], |it| [it.own, it.top]);
    }

    /// Compares the start with another one. They count as equal unless both are known.
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

/// Start of a process as an event or a scan reports it.
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
