//! Turns events into records, and remembers what a single event lacks: the path of a
//! cgroup, and the processes that were reported dead already.
//!
//! The tracker is synchronous and reads neither a clock nor `/proc`. If it does not know
//! a cgroup of an event, `Tracker::unknown_cgroups` names it; the caller looks it
//! up and passes the answer to the tracker as an event.

mod recent;

use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

use crate::model::{Cgroup, CgroupId, Event, Filter, Placed, Process, Record, Renamed, Timed};

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
    /// See [`Tracker::name_v1`].
    v1: Option<u32>,
    /// See [`Tracker::take_renamed`].
    renamed: Option<Renamed>,
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

    /// Makes records name the cgroup in this v1 hierarchy in addition to the usual cgroup. The
    /// BPF programs report it, see `Stream::v1_hierarchy`.
    pub fn name_v1(&mut self, hierarchy: Option<u32>) {
        self.v1 = hierarchy;
    }

    /// The cgroups of an event that the tracker does not know.
    pub(crate) fn unknown_cgroups(&self, event: &Event) -> impl Iterator<Item = CgroupId> + use<> {
        let cgroups = match event {
            Event::Exit(exit) => self.cgroups_of(&exit.process, exit.task.cgroup),
            Event::Start(start) => self.cgroups_of(&start.process, None),
            _ => [None; 3],
        };
        cgroups
            .map(|it| it.filter(|&id| !self.knows(id)))
            .into_iter()
            .flatten()
    }

    /// Whether the tracker knows this cgroup, or knows that its path cannot be found.
    pub(crate) fn knows(&self, id: CgroupId) -> bool {
        self.cgroups.contains_key(&id)
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
                let cgroups = self.cgroups_of(&exit.process, exit.task.cgroup);
                let placed = self.with_cgroups(boottime_ns, cgroups, exit);
                Some(Record::Exit(Arc::new(placed)))
            }
            Event::Start(start) => {
                let cgroups = self.cgroups_of(&start.process, None);
                let placed = self.with_cgroups(boottime_ns, cgroups, start);
                Some(Record::Start(Box::new(placed)))
            }
            Event::CgroupPlaced(id, path) => {
                self.remember(id, path);
                None
            }
            Event::CgroupNamed(id, parent, name) => {
                let hierarchy = id.hierarchy;
                let parent = self.path(CgroupId {
                    hierarchy,
                    id: parent,
                });
                // Without the path of the parent a lookup finds the cgroup.
                if let Some(parent) = parent {
                    let parent = parent.trim_end_matches('/');
                    self.remember(id, Some(format!("{parent}/{name}").into()));
                }
                None
            }
            Event::CgroupRemoved(id) => {
                let path = self.cgroups.remove(&id).flatten();
                self.forget_path(id, path.as_deref());
                None
            }
            Event::Lost { count, reason } => Some(Record::Lost {
                count: Some(count),
                reason,
            }),
            Event::CgroupEmpty(_) | Event::CgroupEntered(..) | Event::Attached(..) => None,
        }
    }

    /// The rename of a cgroup that the last event reported.
    pub fn take_renamed(&mut self) -> Option<Renamed> {
        self.renamed.take()
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

    /// The cgroup of a process, its cgroup in the v1 hierarchy of [`Tracker::name_v1`], and
    /// that of the exiting task.
    fn cgroups_of(&self, process: &Process, task: Option<CgroupId>) -> [Option<CgroupId>; 3] {
        let v1 = self.v1.zip(process.v1_cgroup_id);
        let id = |(hierarchy, id): (u32, NonZeroU64)| CgroupId {
            hierarchy,
            id: id.get(),
        };
        [process.cgroup, v1.map(id), task]
    }

    fn with_cgroups<T>(
        &self,
        boottime_ns: u64,
        [cgroup, v1, task]: [Option<CgroupId>; 3],
        what: T,
    ) -> Placed<T> {
        let with_path = |id| Cgroup {
            id,
            path: self.path(id),
        };
        let is_root = |it: &Cgroup| it.path.as_deref() == Some("/");
        Placed {
            boottime_ns,
            what,
            cgroup: cgroup.map(with_path),
            v1_cgroup: v1
                .filter(|_| v1 != cgroup)
                .map(with_path)
                .filter(|it| !is_root(it))
                .map(Box::new),
            task_cgroup: task.map(with_path).map(Box::new),
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
            if let (Some(before), Some(now)) = (before, &path) {
                let renamed = Renamed {
                    hierarchy: id.hierarchy,
                    before,
                    now: Arc::clone(now),
                };
                self.move_descendants(&renamed);
                self.renamed = Some(renamed);
            }
        }
        if let Some(path) = path {
            // The key must be the same allocation as the value above.
            let ids = self.ids.entry(id.hierarchy).or_default();
            ids.remove(&path);
            ids.insert(path, id.id);
        }
    }

    /// Gives the cgroups below a renamed one (v1) their new paths.
    fn move_descendants(&mut self, renamed: &Renamed) {
        let of_hierarchy = self
            .cgroups
            .iter()
            .filter(|(id, _)| id.hierarchy == renamed.hierarchy);
        let moved: Vec<_> = of_hierarchy
            .filter_map(|(&id, path)| Some((id, renamed.path_of(path.as_deref()?)?)))
            .collect();
        for (id, path) in moved {
            let old = self.cgroups.remove(&id).flatten();
            self.forget_path(id, old.as_deref());
            self.remember(id, Some(path.into()));
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
        let id = process.machine_id();
        id.is_some_and(|id| !self.reported.insert(id))
    }
}

#[cfg(test)]
mod tests;
