//! Looks up what the tracker does not know: path and container of a cgroup.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    cgroup::{Cgroup, CgroupId},
    container::{Container, Resolver},
    event::{Event, Timed},
    source::cgroupfs::{self, Mount},
    tracker::Tracker,
};

/// Least time between two walks of one hierarchy: a storm of exits in cgroups
/// that are gone must not turn into a storm of walks.
const WALK_INTERVAL: Duration = Duration::from_millis(100);

/// The mounts and the runtimes' state.
#[derive(Debug)]
pub(super) struct Places {
    mounts: Vec<Mount>,
    walked: HashMap<u32, Instant>,
    resolver: Resolver,
}

impl Places {
    pub(super) fn new(mounts: Vec<Mount>, resolver: Resolver) -> Self {
        Self {
            mounts,
            walked: HashMap::new(),
            resolver,
        }
    }

    /// Tells the tracker of every cgroup there is. To be called once the hooks
    /// are attached: what is made later announces itself.
    pub(super) fn feed_all(&mut self, tracker: &mut Tracker) {
        for hierarchy in self
            .mounts
            .iter()
            .map(|it| it.hierarchy)
            .collect::<Vec<_>>()
        {
            self.feed(tracker, hierarchy);
        }
    }

    /// Tells the tracker of a cgroup and all below it.
    pub(super) fn feed_subtree(tracker: &mut Tracker, top: &Mount, id: CgroupId) {
        place(tracker, id, Some(top.root.as_str().into()));
        let walked = cgroupfs::walk(top, &mut |id, path| place(tracker, id, Some(path.into())));
        if let Err(error) = walked {
            tracing::debug!(%error, cgroup = top.root, "not readable");
        }
    }

    /// Tells the tracker of one cgroup that it does not know.
    pub(super) fn look_up(&mut self, tracker: &mut Tracker, wanted: CgroupId, event: &Event) {
        let is_due = self
            .walked
            .get(&wanted.hierarchy)
            .is_none_or(|walked| walked.elapsed() >= WALK_INTERVAL);
        if !is_due {
            return;
        }
        self.feed(tracker, wanted.hierarchy);
        if tracker.unplaced(event).is_some() {
            place(tracker, wanted, None);
        }
    }

    fn feed(&mut self, tracker: &mut Tracker, hierarchy: u32) {
        for mount in self.mounts.iter().filter(|it| it.hierarchy == hierarchy) {
            if let Ok(root) = cgroupfs::root(mount) {
                place(tracker, root, Some(mount.root.as_str().into()));
            }
            let walked = cgroupfs::walk(mount, &mut |id, path| {
                place(tracker, id, Some(path.into()));
            });
            if let Err(error) = walked {
                tracing::debug!(%error, mount = %mount.mount_point.display(), "not readable");
            }
        }
        self.walked.insert(hierarchy, Instant::now());
    }

    pub(super) fn container_of(&mut self, cgroup: Option<&Cgroup>) -> Option<Arc<Container>> {
        let path = cgroup?.path.as_deref()?;
        self.resolver.container_of(path)
    }
}

fn place(tracker: &mut Tracker, id: CgroupId, path: Option<Box<str>>) {
    tracker.apply(Timed {
        boottime_ns: 0,
        event: Event::CgroupPlaced(id, path),
    });
}
