//! Finds the path and the container of a cgroup that the tracker does not know.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::tracker::Tracker;
use crate::{
    cgroup::{
        mounts::{self, Mounts},
        pinned::{self, PinnedCgroup},
    },
    container::Resolver,
    model::{Cgroup, CgroupId, Container, Event, Placed, Record, Timed},
    proc::scan::{self, CgroupPath},
};

/// Shortest time between two walks of one hierarchy. Many exits in cgroups that are gone
/// must not cause as many walks.
const WALK_INTERVAL: Duration = Duration::from_millis(100);

/// Finds paths on the cgroup mounts, and containers in the state of the runtimes.
#[derive(Debug)]
pub struct CgroupLookup {
    /// The cgroup mounts.
    pub mounts: Mounts,
    /// By hierarchy, see [`mounts::path_prefix`].
    path_prefix: HashMap<u32, Option<String>>,
    walked: HashMap<u32, Instant>,
    /// Finds containers.
    pub resolver: Resolver,
}

impl CgroupLookup {
    /// A lookup that has not walked any hierarchy yet.
    #[must_use]
    pub fn new(mounts: Mounts, resolver: Resolver) -> Self {
        let path_prefix = mounts
            .iter()
            .map(|it| (it.hierarchy, mounts::path_prefix(it).map(str::to_owned)))
            .collect();
        Self {
            mounts,
            path_prefix,
            walked: HashMap::new(),
            resolver,
        }
    }

    /// Adds every existing cgroup to the tracker. The caller attaches the hooks first:
    /// they report every cgroup that is made later.
    pub fn add_all_cgroups(&mut self, tracker: &mut Tracker) {
        let hierarchies: Vec<_> = self.mounts.iter().map(|it| it.hierarchy).collect();
        for hierarchy in hierarchies {
            self.add_hierarchy(tracker, hierarchy);
        }
    }

    /// Adds a cgroup and all its descendants to the tracker.
    pub fn add_subtree(tracker: &mut Tracker, top: &PinnedCgroup) {
        note(
            top.path(),
            top.walk(&mut |id, path| add(tracker, id, Some(path.into()))),
        );
    }

    /// Adds the cgroups of a process to the tracker, so that the record of its exit needs no walk.
    pub fn add_cgroups_of(&self, tracker: &mut Tracker, tgid: u32) {
        for CgroupPath { hierarchy, path } in scan::cgroups_of(tgid) {
            let mount = self.mounts.of_hierarchy(hierarchy);
            // The walk finds a cgroup that is not found here.
            if let Some(mount) = mount
                && let Some(directory) = mount.directory_of(&path)
                && let Ok(id) = pinned::id(mount, &directory)
            {
                add(tracker, id, Some(path.into()));
            }
        }
    }

    /// Adds a cgroup that the tracker does not know, unless its hierarchy has just been
    /// walked.
    pub(crate) fn look_up(&mut self, tracker: &mut Tracker, wanted: CgroupId) {
        let walked = self.walked.get(&wanted.hierarchy);
        if walked.is_some_and(|it| it.elapsed() < WALK_INTERVAL) {
            return;
        }
        self.add_hierarchy(tracker, wanted.hierarchy);
        if !tracker.knows(wanted) {
            add(tracker, wanted, None);
        }
    }

    fn add_hierarchy(&mut self, tracker: &mut Tracker, hierarchy: u32) {
        if let Some(mount) = self.mounts.of_hierarchy(hierarchy)
            && let Ok(root) = mounts::root(mount)
        {
            add(tracker, root, Some(mount.root.as_str().into()));
            let walked = mounts::walk(mount, &mut |id, path| add(tracker, id, Some(path.into())));
            note(&mount.mount_point, walked);
        }
        self.walked.insert(hierarchy, Instant::now());
    }

    /// Applies an event to the tracker, and returns the record to report, if any, with its
    /// cgroup and container.
    pub fn record(&mut self, tracker: &mut Tracker, timed: Timed) -> Option<Record> {
        for cgroup in tracker.unknown_cgroups(&timed.event) {
            self.look_up(tracker, cgroup);
        }
        let mut record = tracker.apply(self.with_visible_path(timed)?)?;
        match &mut record {
            Record::Exit(exit) => {
                let container = self.container_in(exit);
                Arc::make_mut(exit).container = container;
            }
            Record::Start(start) => start.container = self.container_in(start),
            Record::Lost { .. } => {}
        }
        Some(record)
    }

    /// Replaces the path of a new cgroup by the path in our cgroup namespace. `None` if the
    /// cgroup is not visible there; a walk finds it if a later event names it.
    fn with_visible_path(&self, mut timed: Timed) -> Option<Timed> {
        if let Event::CgroupPlaced(id, Some(path)) = &mut timed.event
            && let Some(before) = self.path_prefix.get(&id.hierarchy)
        {
            let before = before.as_deref()?;
            if !before.is_empty() {
                *path = format!("{before}{path}").into();
            }
        }
        Some(timed)
    }

    /// The container of the first cgroup of a record that belongs to one.
    fn container_in<T>(&mut self, placed: &Placed<T>) -> Option<Arc<Container>> {
        placed.cgroups().find_map(|it| self.container_of(Some(it)))
    }

    /// The container that a cgroup belongs to.
    pub fn container_of(&mut self, cgroup: Option<&Cgroup>) -> Option<Arc<Container>> {
        self.resolver.container_of(cgroup?.path.as_deref()?)
    }
}

fn note(top: &Path, walked: io::Result<()>) {
    if let Err(error) = walked {
        tracing::debug!(%error, "cannot read the cgroups below {}", top.display());
    }
}

fn add(tracker: &mut Tracker, id: CgroupId, path: Option<Box<str>>) {
    tracker.apply(Timed {
        boottime_ns: 0,
        event: Event::CgroupPlaced(id, path),
    });
}
