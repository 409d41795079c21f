//! Who is in which cgroup: a list through the rows, so that a process costs eight
//! bytes there and a count costs one look.

use probe_user::model::CgroupId;

use super::{ProcessTable, Row};

/// Where the list of a cgroup begins, and how long it is.
#[derive(Debug)]
pub(super) struct Members {
    first: u32,
    live: u32,
}

impl ProcessTable {
    /// The live processes of one cgroup, those below it not included.
    pub fn in_cgroup(&self, id: CgroupId) -> impl Iterator<Item = &Row> {
        let first = self.cgroups.get(&id).map_or(0, |members| members.first);
        std::iter::successors(self.rows.get(&first), |row| self.rows.get(&row.behind))
    }

    /// How many that are.
    #[must_use]
    pub fn live_in(&self, id: CgroupId) -> usize {
        self.cgroups
            .get(&id)
            .map_or(0, |members| members.live as usize)
    }

    /// Every cgroup that has live processes, and how many.
    pub fn cgroups(&self) -> impl Iterator<Item = (CgroupId, usize)> {
        self.cgroups
            .iter()
            .map(|(&id, members)| (id, members.live as usize))
    }

    /// Puts in a row, in the place of one with the same pid.
    pub(super) fn insert(&mut self, mut row: Row, marks: u8) {
        let tgid = row.tgid();
        self.remove(tgid);
        row.marks |= marks;
        self.rows.insert(tgid, row);
        self.link(tgid);
    }

    pub(super) fn remove(&mut self, tgid: u32) {
        self.unlink(tgid);
        self.rows.remove(&tgid);
    }

    /// Moves a process to where it is said to be, if it is said.
    pub(super) fn relocate(&mut self, tgid: u32, cgroup: Option<CgroupId>) {
        if cgroup.is_none() || self.rows.get(&tgid).and_then(Row::cgroup) == cgroup {
            return;
        }
        self.unlink(tgid);
        if let Some(row) = self.rows.get_mut(&tgid) {
            row.set_cgroup(cgroup);
        }
        self.link(tgid);
    }

    fn link(&mut self, tgid: u32) {
        let Some(id) = self.rows.get(&tgid).and_then(Row::cgroup) else {
            return;
        };
        let members = self
            .cgroups
            .entry(id)
            .or_insert(Members { first: 0, live: 0 });
        let second = std::mem::replace(&mut members.first, tgid);
        members.live += 1;
        if let Some(second) = self.rows.get_mut(&second) {
            second.before = tgid;
        }
        if let Some(row) = self.rows.get_mut(&tgid) {
            (row.before, row.behind) = (0, second);
        }
    }

    fn unlink(&mut self, tgid: u32) {
        let Some(row) = self.rows.get(&tgid) else {
            return;
        };
        let (Some(id), before, behind) = (row.cgroup(), row.before, row.behind) else {
            return;
        };
        if let Some(row) = self.rows.get_mut(&behind) {
            row.before = before;
        }
        if let Some(row) = self.rows.get_mut(&before) {
            row.behind = behind;
        }
        let Some(members) = self.cgroups.get_mut(&id) else {
            return;
        };
        members.live -= 1;
        if before == 0 {
            members.first = behind;
        }
        if members.live == 0 {
            self.cgroups.remove(&id);
        }
    }
}
