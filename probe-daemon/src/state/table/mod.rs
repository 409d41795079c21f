//! The table of live processes: updated by events, corrected by scans of `/proc`.
//!
//! The table itself uses neither a clock nor `/proc`. Events alone miss the processes from
//! before the start, and processes of lost events. A scan alone is out of date before it
//! ends. So the table takes events and results of a scan in any order, by these rules:
//!
//! * a process that neither the scan nor an event saw since the scan began is gone;
//! * an event from before the scan is out of date for a process that the scan saw, even
//!   if the event arrives after the result of the scan;
//! * an event since the scan began is newer than the result of the scan, even if the
//!   result arrives after the event;
//! * a process that exited by an event is not live, whatever `/proc` shows.
//!
//! If no event was lost since a scan began, the table is correct when the scan is finished
//! and the events up to then are applied. There is one exception: the last thread of a
//! process without a leader takes long to exit, and the event of its exit was lost before
//! the scan. The next scan removes that process.

mod exits;
mod row;

use std::{cmp::Ordering, collections::HashMap, num::NonZeroU64};

use probe_user::model::{self, CgroupId, Event, Process, ScannedProcess, Timed};

use self::{
    exits::Exits,
    row::{MOVED, OF_A_SCAN, REPORTED, SEEN, Start},
};

pub use self::row::Row;

/// A mostly empty map with more than this capacity is shrunk.
const SHRINK_BEYOND: usize = 4096;

/// The live processes by pid.
#[derive(Debug)]
pub struct ProcessTable {
    rows: HashMap<u32, Row>,
    exits: Exits,
    tick_ns: u64,
    /// Start of the latest scan.
    scan_began_ns: u64,
    added: usize,
}

/// Corrections of the table by a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Number of live processes that were missing in the table.
    pub added: usize,
    /// Number of processes in the table that were gone.
    pub removed: usize,
}

impl ProcessTable {
    /// An empty table. `ticks_per_second` is the clock of start times in `/proc`
    /// (`sysconf(_SC_CLK_TCK)`).
    #[must_use]
    pub fn new(ticks_per_second: u64) -> Self {
        Self {
            rows: HashMap::new(),
            exits: Exits::default(),
            tick_ns: 1_000_000_000 / ticks_per_second.clamp(1, 1_000_000_000),
            scan_began_ns: 0,
            added: 0,
        }
    }

    /// Applies an event; events about cgroups change nothing.
    pub fn apply(&mut self, timed: &Timed) {
        let at_ns = timed.boottime_ns;
        match &timed.event {
            Event::Exit(exit) => self.exit(at_ns, exit),
            Event::Start(start) if start.exec.is_none() => self.fork(at_ns, &start.process),
            Event::Start(start) => self.exec(at_ns, &start.process),
            Event::Attached(cgroup, process) => self.attach(at_ns, *cgroup, process),
            Event::CgroupEmpty(_)
            | Event::CgroupEntered(..)
            | Event::CgroupRemoved(_)
            | Event::CgroupPlaced(..)
            | Event::CgroupNamed(..)
            | Event::Lost { .. } => {}
        }
    }

    /// Begins a scan of `/proc`, which must start at this moment or later. An unfinished
    /// scan is discarded.
    pub fn begin_scan(&mut self, boottime_ns: u64) {
        self.scan_began_ns = boottime_ns;
        self.added = 0;
        self.exits.begin_scan();
        for row in self.rows.values_mut() {
            row.marks &= !OF_A_SCAN;
        }
    }

    /// Takes a process of the scan, in any order.
    pub fn scanned(&mut self, scanned: &ScannedProcess) {
        let tgid = scanned.tgid;
        let start_ns = scanned.start_ticks.saturating_mul(self.tick_ns);
        if tgid == 0 || scanned.state.has_begun_exit() {
            return;
        }
        match self.order(tgid, Start::Tick(start_ns)) {
            Some(Ordering::Greater) => {}
            Some(Ordering::Equal) => self.update_from_scan(scanned),
            Some(Ordering::Less) | None => {
                if !self.exits.has_exited(tgid, start_ns) {
                    self.insert(Row::of_scan(scanned, self.tick_ns), SEEN);
                    self.added += 1;
                }
            }
        }
    }

    /// Ends a scan: removes the processes that neither the scan nor an event saw, if `is_gone`
    /// is true of their pids. A scan of a `/proc` that hides processes proves nothing.
    pub fn finish_scan(&mut self, is_gone: impl Fn(u32) -> bool) -> Differences {
        let is_gone = |row: &&Row| !row.has(SEEN) && is_gone(row.tgid());
        let gone: Vec<u32> = self.iter().filter(is_gone).map(Row::tgid).collect();
        for &tgid in &gone {
            self.rows.remove(&tgid);
        }
        self.exits.finish_scan();
        if self.rows.capacity() > SHRINK_BEYOND.max(self.rows.len() * 4) {
            self.rows.shrink_to_fit();
        }
        Differences {
            added: std::mem::take(&mut self.added),
            removed: gone.len(),
        }
    }

    /// All live processes, in no order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.values()
    }

    fn exit(&mut self, at_ns: u64, exit: &model::Exit) {
        if !exit.group_dead {
            return;
        }
        let tgid = exit.process.tgid;
        self.exits.insert(tgid, at_ns);
        let start = match start_of(&exit.process) {
            // A process that started after this exit is another process.
            Start::Unknown => Start::Exact(at_ns),
            start => start,
        };
        if self.order(tgid, start).is_some_and(Ordering::is_le) {
            self.rows.remove(&tgid);
        }
    }

    fn fork(&mut self, at_ns: u64, process: &Process) {
        match self.order(process.tgid, start_of(process)) {
            Some(Ordering::Greater) => {}
            // The other values in the row are newer than the fork.
            Some(Ordering::Equal) => {
                let is_since_scan = self.is_since_scan(at_ns);
                if let Some(row) = self.rows.get_mut(&process.tgid) {
                    row.identify(process);
                    row.marks |= if is_since_scan { SEEN } else { 0 };
                }
            }
            Some(Ordering::Less) | None => self.appear(at_ns, process, SEEN | REPORTED),
        }
    }

    fn exec(&mut self, at_ns: u64, process: &Process) {
        let order = self.order(process.tgid, start_of(process));
        let is_since_scan = self.is_since_scan(at_ns);
        match (order, self.rows.get_mut(&process.tgid)) {
            (Some(Ordering::Greater), _) => {}
            (Some(Ordering::Equal), Some(row)) if is_since_scan || !row.has(SEEN) => {
                row.update_from_event(process);
                if is_since_scan {
                    row.marks |= SEEN | REPORTED;
                }
            }
            (Some(Ordering::Equal), Some(row)) => row.identify(process),
            _ => self.appear(at_ns, process, SEEN | REPORTED),
        }
    }

    /// Moves a process. The cgroup of a process is that of its leader, so a move of another
    /// thread changes nothing.
    fn attach(&mut self, at_ns: u64, cgroup: CgroupId, process: &Process) {
        if process.tid != process.tgid {
            return;
        }
        let is_since_scan = self.is_since_scan(at_ns);
        match self.order(process.tgid, start_of(process)) {
            Some(Ordering::Greater) => {}
            Some(Ordering::Equal) => {
                let row = self.rows.get(&process.tgid);
                if is_since_scan || row.is_some_and(|row| !row.has(SEEN)) {
                    self.relocate(process.tgid, process.cgroup, process.v1_cgroup_id);
                }
                if let Some(row) = self.rows.get_mut(&process.tgid) {
                    row.identify(process);
                    row.marks |= if is_since_scan { MOVED } else { 0 };
                }
            }
            Some(Ordering::Less) | None => self.attach_unknown(at_ns, cgroup, process),
        }
    }

    /// Adds a process that was moved before its fork was reported. The kernel also reports
    /// moves of zombies, so a process that is older than the scan is added only during the
    /// scan, and is removed again unless the scan sees it.
    fn attach_unknown(&mut self, at_ns: u64, cgroup: CgroupId, process: &Process) {
        let is_new = process.start_boottime_ns >= Some(self.scan_began_ns);
        if is_new && process.cgroup == Some(cgroup) {
            self.appear(at_ns, process, SEEN | MOVED);
        } else if self.exits.is_scanning() {
            self.appear(at_ns, process, MOVED);
        }
    }

    /// Adds the process of an event, unless it is out of date or has exited.
    fn appear(&mut self, at_ns: u64, process: &Process, marks: u8) {
        let start_ns = process.start_boottime_ns.unwrap_or(at_ns);
        if process.tgid != 0
            && self.is_since_scan(at_ns)
            && !self.exits.has_exited(process.tgid, start_ns)
        {
            self.insert(Row::of_event(process), marks);
        }
    }

    /// Adds a row, or replaces the row with the same pid.
    fn insert(&mut self, mut row: Row, marks: u8) {
        row.marks |= marks;
        self.rows.insert(row.tgid(), row);
    }

    /// Sets the cgroups of a process that are known.
    fn relocate(&mut self, tgid: u32, cgroup: Option<CgroupId>, v1_id: Option<NonZeroU64>) {
        if let Some(row) = self.rows.get_mut(&tgid) {
            row.set_cgroups(cgroup, v1_id);
        }
    }

    fn update_from_scan(&mut self, scanned: &ScannedProcess) {
        let Some(row) = self.rows.get_mut(&scanned.tgid) else {
            return;
        };
        row.marks |= SEEN;
        if row.start_no_later_than_ns() == 0 {
            row.begin_at_tick(scanned.start_ticks, self.tick_ns);
        }
        if !row.has(REPORTED) {
            row.update_from_scan(scanned);
        }
        if !row.has(MOVED) {
            self.relocate(scanned.tgid, scanned.cgroup, scanned.v1_cgroup_id);
        }
    }

    fn is_since_scan(&self, at_ns: u64) -> bool {
        at_ns >= self.scan_began_ns
    }

    /// Compares the start of the process in the row with another start.
    fn order(&self, tgid: u32, start: Start) -> Option<Ordering> {
        let row = self.rows.get(&tgid)?;
        Some(row.start_cmp(start, self.tick_ns))
    }
}

fn start_of(process: &Process) -> Start {
    process
        .start_boottime_ns
        .map_or(Start::Unknown, Start::Exact)
}

#[cfg(test)]
mod tests;
