//! Every live process of the machine: from events, put right by scans of `/proc`.
//!
//! Pure: no clock and no `/proc`. Events alone miss what was there before and
//! what was lost; a scan alone is out of date before it ends. So a scan may be
//! fed while events go on, and neither has to wait for the other:
//!
//! * what neither the scan nor an event saw since it began has gone;
//! * what an event from before the scan began says of a process that the scan
//!   saw is out of date, however late it comes;
//! * what an event since then says is newer than what the scan saw, however
//!   late that comes;
//! * who has exited, by an event, is not alive, whatever `/proc` says.
//!
//! If no event was lost since a scan began, the table is right when the scan is
//! finished and the events up to then are applied. One case is left: the last
//! thread of a process whose leader is gone takes long to exit and the event of
//! that was lost before the scan. The next scan finds it gone.

mod exits;
mod members;
mod row;

use std::{cmp::Ordering, collections::HashMap};

use probe_user::model::{self, CgroupId, Event, Process, ScannedProcess, Timed};

use self::{
    exits::Exits,
    members::Members,
    row::{MOVED, OF_A_SCAN, SEEN, Start, TOLD},
};

pub use self::row::Row;

/// A map that is larger than this and mostly empty gives memory back.
const SHRINK_BEYOND: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct ProcessTable {
    rows: HashMap<u32, Row>,
    cgroups: HashMap<CgroupId, Members>,
    exits: Exits,
    tick_ns: u64,
    /// When the latest scan began.
    scan_began_ns: u64,
    added: usize,
}

/// What a scan found that events had not told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Processes that are there.
    pub added: usize,
    /// Processes that are gone.
    pub removed: usize,
}

impl ProcessTable {
    /// Knows of nobody yet. `ticks_per_second` is the unit of start times in
    /// `/proc` (`sysconf(_SC_CLK_TCK)`).
    #[must_use]
    pub fn new(ticks_per_second: u64) -> Self {
        Self {
            rows: HashMap::new(),
            cgroups: HashMap::new(),
            exits: Exits::default(),
            tick_ns: 1_000_000_000 / ticks_per_second.clamp(1, 1_000_000_000),
            scan_began_ns: 0,
            added: 0,
        }
    }

    /// Takes in an event; those that concern no process are passed over.
    pub fn apply(&mut self, timed: &Timed) {
        let at_ns = timed.boottime_ns;
        match &timed.event {
            Event::Exit(exit) => self.exit(at_ns, exit),
            Event::Start(start) if start.exec.is_none() => self.fork(at_ns, &start.process),
            Event::Start(start) => self.exec(at_ns, &start.process),
            Event::Attached(cgroup, process) => self.attach(at_ns, *cgroup, process),
            Event::CgroupEmpty(_)
            | Event::CgroupRemoved(_)
            | Event::CgroupPlaced(..)
            | Event::Lost { .. } => {}
        }
    }

    /// A scan of `/proc` begins, at this moment or later; one that was under
    /// way is given up.
    pub fn begin_scan(&mut self, boottime_ns: u64) {
        self.scan_began_ns = boottime_ns;
        self.added = 0;
        self.exits.begin_scan();
        for row in self.rows.values_mut() {
            row.marks &= !OF_A_SCAN;
        }
    }

    /// One process of the scan, in any order and at any time until it is
    /// finished.
    pub fn scanned(&mut self, scanned: &ScannedProcess) {
        let tgid = scanned.tgid;
        let start_ns = scanned.start_ticks.saturating_mul(self.tick_ns);
        if tgid == 0 || scanned.is_dead {
            return;
        }
        match self.order(tgid, Start::Tick(start_ns)) {
            Some(Ordering::Greater) => {}
            Some(Ordering::Equal) => self.look(scanned),
            Some(Ordering::Less) | None => {
                if !self.exits.has_exited(tgid, start_ns) {
                    self.insert(Row::of_scan(scanned, self.tick_ns), SEEN);
                    self.added += 1;
                }
            }
        }
    }

    /// The scan has shown everything there is.
    pub fn finish_scan(&mut self) -> Differences {
        let is_gone = |row: &&Row| !row.has(SEEN);
        let gone: Vec<u32> = self.iter().filter(is_gone).map(Row::tgid).collect();
        for &tgid in &gone {
            self.remove(tgid);
        }
        self.exits.finish_scan();
        if self.rows.capacity() > SHRINK_BEYOND.max(self.rows.len() * 4) {
            self.rows.shrink_to_fit();
            self.cgroups.shrink_to_fit();
        }
        Differences {
            added: std::mem::take(&mut self.added),
            removed: gone.len(),
        }
    }

    /// The live process that has this pid.
    #[must_use]
    pub fn get(&self, tgid: u32) -> Option<&Row> {
        self.rows.get(&tgid)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn exit(&mut self, at_ns: u64, exit: &model::Exit) {
        if !exit.group_dead {
            return;
        }
        let tgid = exit.process.tgid;
        self.exits.insert(tgid, at_ns);
        let start = match start_of(&exit.process) {
            // Whoever began later is another.
            Start::Unknown => Start::Exact(at_ns),
            start => start,
        };
        if self.order(tgid, start).is_some_and(Ordering::is_le) {
            self.remove(tgid);
        }
    }

    fn fork(&mut self, at_ns: u64, process: &Process) {
        match self.order(process.tgid, start_of(process)) {
            Some(Ordering::Greater) => {}
            // Whatever else is known of it is newer.
            Some(Ordering::Equal) => {
                let is_since_scan = self.is_since_scan(at_ns);
                if let Some(row) = self.rows.get_mut(&process.tgid) {
                    row.identify(process);
                    row.marks |= if is_since_scan { SEEN } else { 0 };
                }
            }
            Some(Ordering::Less) | None => self.appear(at_ns, process, SEEN | TOLD),
        }
    }

    fn exec(&mut self, at_ns: u64, process: &Process) {
        let order = self.order(process.tgid, start_of(process));
        let is_since_scan = self.is_since_scan(at_ns);
        match (order, self.rows.get_mut(&process.tgid)) {
            (Some(Ordering::Greater), _) => {}
            (Some(Ordering::Equal), Some(row)) if is_since_scan || !row.has(SEEN) => {
                row.tell(process);
                if is_since_scan {
                    row.marks |= SEEN | TOLD;
                }
            }
            (Some(Ordering::Equal), Some(row)) => row.identify(process),
            _ => self.appear(at_ns, process, SEEN | TOLD),
        }
    }

    /// A thread that moves alone leaves its process where the leader is.
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
                    self.relocate(process.tgid, process.cgroup);
                }
                if let Some(row) = self.rows.get_mut(&process.tgid) {
                    row.identify(process);
                    row.marks |= if is_since_scan { MOVED } else { 0 };
                }
            }
            Some(Ordering::Less) | None => self.attach_unknown(at_ns, cgroup, process),
        }
    }

    /// A child may be moved before the record of its birth is written. But the
    /// kernel says of a zombie too that it was attached, and leaves it where it
    /// was. So a scan that is under way has to see it.
    fn attach_unknown(&mut self, at_ns: u64, cgroup: CgroupId, process: &Process) {
        let is_new = process.start_boottime_ns >= Some(self.scan_began_ns);
        if is_new && process.cgroup == Some(cgroup) {
            self.appear(at_ns, process, SEEN | MOVED);
        } else if self.exits.is_scanning() {
            self.appear(at_ns, process, MOVED);
        }
    }

    /// An event tells of somebody new, unless it is an old story.
    fn appear(&mut self, at_ns: u64, process: &Process, marks: u8) {
        let start_ns = process.start_boottime_ns.unwrap_or(at_ns);
        if process.tgid != 0
            && self.is_since_scan(at_ns)
            && !self.exits.has_exited(process.tgid, start_ns)
        {
            self.insert(Row::of_event(process), marks);
        }
    }

    fn look(&mut self, scanned: &ScannedProcess) {
        let Some(row) = self.rows.get_mut(&scanned.tgid) else {
            return;
        };
        row.marks |= SEEN;
        if row.start_no_later_than_ns() == 0 {
            row.begin_at_tick(scanned.start_ticks, self.tick_ns);
        }
        if !row.has(TOLD) {
            row.look(scanned);
        }
        if !row.has(MOVED) && scanned.cgroup.is_some() {
            self.relocate(scanned.tgid, scanned.cgroup);
        }
    }

    fn is_since_scan(&self, at_ns: u64) -> bool {
        at_ns >= self.scan_began_ns
    }

    /// How the one that has the pid compares with the one that began then.
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
