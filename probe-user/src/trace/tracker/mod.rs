//! Turns events into records, and remembers what a single event lacks: the path of a
//! cgroup, and the processes that were reported dead already.
//!
//! The tracker is synchronous and reads neither a clock nor `/proc`. If it does not know
//! the cgroup of an event, `Tracker::unknown_cgroup` names the cgroup; the caller looks it
//! up and passes the answer to the tracker as an event.

mod recent;

use std::{collections::HashMap, sync::Arc};

use crate::model::{Cgroup, CgroupId, Event, Filter, Placed, Process, ProcessId, Record, Timed};

/// Most cgroups without a path that are remembered: cgroups that were gone before they
/// could be looked up. The kernel does not use their ids again.
const MAX_WITHOUT_PATH: usize = 4096;

/// Paths of cgroups and processes that were reported dead.
#[derive(Debug, Default)]
pub struct Tracker {
    cgroups: HashMap<CgroupId, Option<Arc<str>>>,
    /// Ids by hierarchy and path; the paths are those of `cgroups`.
    ids: HashMap<u32, HashMap<Arc<str>, u64>>,
    without_path: usize,
    reported: recent::Recent,
    reports_tasks: bool,
}

impl Tracker {
    /// An empty tracker.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty tracker for the events that a filter selects: of every task, or only of the
    /// last task of each process.
    #[must_use]
    pub fn for_filter(filter: &Filter) -> Self {
        Self {
            reports_tasks: filter.threads,
            ..Self::default()
        }
    }

    /// The cgroup of an event, if the tracker does not know it.
    #[must_use]
    pub(crate) fn unknown_cgroup(&self, event: &Event) -> Option<CgroupId> {
        let process = match event {
            Event::Exit(exit) => &exit.process,
            Event::Start(start) => &start.process,
            _ => return None,
        };
        process.cgroup.filter(|id| !self.cgroups.contains_key(id))
    }

    /// Applies an event, and returns the record to report, if any.
    pub fn apply(&mut self, timed: Timed) -> Option<Record> {
        let Timed { boottime_ns, event } = timed;
        match event {
            Event::Exit(mut exit) => {
                if exit.group_dead && self.is_reported(&exit.process) {
                    if !self.reports_tasks {
                        return None;
                    }
                    exit = exit.into_task_exit();
                }
                let placed = self.with_cgroup(boottime_ns, exit.process.cgroup, exit);
                Some(Record::Exit(Arc::new(placed)))
            }
            Event::Start(start) => {
                let placed = self.with_cgroup(boottime_ns, start.process.cgroup, start);
                Some(Record::Start(Box::new(placed)))
            }
            Event::CgroupPlaced(id, path) => {
                self.remember(id, path);
                None
            }
            Event::CgroupRemoved(id) => {
                let path = self.cgroups.remove(&id).flatten();
                self.forget_path(id, path.as_deref());
                None
            }
            Event::Lost { count, reason } => Some(Record::Lost { count, reason }),
            Event::CgroupEmpty(_) | Event::Attached(..) => None,
        }
    }

    /// The path of a cgroup, if it is known.
    #[must_use]
    pub fn path(&self, id: CgroupId) -> Option<Arc<str>> {
        self.cgroups.get(&id).cloned().flatten()
    }

    /// Every cgroup whose path is known.
    pub fn known_cgroups(&self) -> impl Iterator<Item = (CgroupId, &Arc<str>)> {
        let known = self.cgroups.iter();
        known.filter_map(|(id, path)| Some((*id, path.as_ref()?)))
    }

    /// The cgroup with this path in a hierarchy, if it is known.
    #[must_use]
    pub fn id_of(&self, hierarchy: u32, path: &str) -> Option<CgroupId> {
        let &id = self.ids.get(&hierarchy)?.get(path)?;
        Some(CgroupId { hierarchy, id })
    }

    fn with_cgroup<T>(&self, boottime_ns: u64, cgroup: Option<CgroupId>, what: T) -> Placed<T> {
        Placed {
            boottime_ns,
            what,
            cgroup: cgroup.map(|id| Cgroup {
                id,
                path: self.path(id),
            }),
            container: None,
        }
    }

    fn remember(&mut self, id: CgroupId, path: Option<Box<str>>) {
        if path.is_none() {
            if self.without_path == MAX_WITHOUT_PATH {
                self.cgroups.retain(|_, path| path.is_some());
                self.without_path = 0;
            }
            self.without_path += 1;
        }
        let path: Option<Arc<str>> = path.map(Arc::from);
        let before = self.cgroups.insert(id, path.clone()).flatten();
        if before != path {
            self.forget_path(id, before.as_deref());
        }
        if let Some(path) = path {
            // The key must be the same allocation as the value above.
            let ids = self.ids.entry(id.hierarchy).or_default();
            ids.remove(&path);
            ids.insert(path, id.id);
        }
    }

    /// Forgets that the cgroup has this path, unless a newer cgroup has it already.
    fn forget_path(&mut self, id: CgroupId, path: Option<&str>) {
        if let Some(ids) = self.ids.get_mut(&id.hierarchy)
            && let Some(path) = path
            && ids.get(path) == Some(&id.id)
        {
            ids.remove(path);
        }
    }

    /// Whether an earlier call named this process. Before Linux 6.16 two tasks of an exiting
    /// group may both look like the last one, and a daemon reports a process that belongs
    /// to two targets twice.
    pub fn is_reported(&mut self, process: &Process) -> bool {
        process.start_boottime_ns.is_some_and(|start_boottime_ns| {
            !self.reported.insert(ProcessId {
                tgid: process.tgid,
                start_boottime_ns,
            })
        })
    }
}

#[cfg(test)]
mod tests;
