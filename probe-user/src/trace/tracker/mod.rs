//! Remembers what single events do not say: the path of a cgroup, and the processes
//! that were reported dead already.
//!
//! Synchronous and pure: events in, records out, no clock and no `/proc`. A cgroup that
//! the tracker does not know is named by `Tracker::unplaced`; the reader of the stream
//! looks it up and feeds the answer back as an event.

mod recent;

use std::{collections::HashMap, sync::Arc};

use crate::model::{Cgroup, CgroupId, Event, Filter, Placed, Process, ProcessId, Record, Timed};

/// Cgroups remembered without a name before they are forgotten: ids of cgroups
/// that were gone before anybody looked are never used again.
const MAX_NAMELESS: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub struct Tracker {
    cgroups: HashMap<CgroupId, Option<Arc<str>>>,
    /// By hierarchy; the paths are those of `cgroups`.
    ids: HashMap<u32, HashMap<Arc<str>, u64>>,
    nameless: usize,
    reported: recent::Recent,
    tells_tasks: bool,
}

impl Tracker {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Likewise, for events of every task and not only of the last one of each
    /// process.
    #[must_use]
    pub fn of_tasks() -> Self {
        Self {
            tells_tasks: true,
            ..Self::new()
        }
    }

    /// For the events that a filter asks for.
    #[must_use]
    pub(crate) fn for_filter(filter: &Filter) -> Self {
        if filter.threads {
            Self::of_tasks()
        } else {
            Self::new()
        }
    }

    /// The cgroup that must be looked up before this event can be told in full.
    #[must_use]
    pub(crate) fn unplaced(&self, event: &Event) -> Option<CgroupId> {
        let process = match event {
            Event::Exit(exit) => &exit.process,
            Event::Start(start) => &start.process,
            _ => return None,
        };
        process.cgroup.filter(|id| !self.cgroups.contains_key(id))
    }

    /// Takes in an event; what is to be told of it, if anything.
    pub fn apply(&mut self, timed: Timed) -> Option<Record> {
        let Timed { boottime_ns, event } = timed;
        match event {
            Event::Exit(mut exit) => {
                if exit.group_dead && self.is_reported(&exit.process) {
                    if !self.tells_tasks {
                        return None;
                    }
                    exit = exit.into_task_exit();
                }
                let placed = self.place(boottime_ns, exit.process.cgroup, exit);
                Some(Record::Exit(Arc::new(placed)))
            }
            Event::Start(start) => {
                let placed = self.place(boottime_ns, start.process.cgroup, start);
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

    /// Path of a cgroup, if it is known.
    #[must_use]
    pub fn path(&self, id: CgroupId) -> Option<Arc<str>> {
        self.cgroups.get(&id).cloned().flatten()
    }

    /// Every cgroup whose path is known.
    pub fn places(&self) -> impl Iterator<Item = (CgroupId, &Arc<str>)> {
        let known = self.cgroups.iter();
        known.filter_map(|(id, path)| Some((*id, path.as_ref()?)))
    }

    /// The cgroup that lies at a path of a hierarchy, if it is known.
    #[must_use]
    pub fn id_of(&self, hierarchy: u32, path: &str) -> Option<CgroupId> {
        let &id = self.ids.get(&hierarchy)?.get(path)?;
        Some(CgroupId { hierarchy, id })
    }

    fn place<T>(&self, boottime_ns: u64, cgroup: Option<CgroupId>, what: T) -> Placed<T> {
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
            if self.nameless == MAX_NAMELESS {
                self.cgroups.retain(|_, path| path.is_some());
                self.nameless = 0;
            }
            self.nameless += 1;
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

    /// Unless another cgroup lies there by now.
    fn forget_path(&mut self, id: CgroupId, path: Option<&str>) {
        if let Some(ids) = self.ids.get_mut(&id.hierarchy)
            && let Some(path) = path
            && ids.get(path) == Some(&id.id)
        {
            ids.remove(path);
        }
    }

    /// Before 6.16 two tasks of a dying group may both look like the last one, and
    /// a daemon tells of who dies in two targets twice.
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
