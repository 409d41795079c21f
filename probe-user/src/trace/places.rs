//! Looks up what the tracker does not know: path and container of a cgroup.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::tracker::Tracker;
use crate::{
    cgroup::mounts::{self, Mount, Mounts},
    container::{FindError, Found, Resolver},
    model::{Cgroup, CgroupId, Container, Event, Record, Timed},
};

/// Least time between two walks of one hierarchy: a storm of exits in cgroups
/// that are gone must not turn into a storm of walks.
const WALK_INTERVAL: Duration = Duration::from_millis(100);

/// The mounts and the runtimes' state.
#[derive(Debug)]
pub struct Places {
    mounts: Mounts,
    /// Of each hierarchy, see [`mounts::path_prefix`].
    path_prefix: HashMap<u32, Option<String>>,
    walked: HashMap<u32, Instant>,
    resolver: Resolver,
}

impl Places {
    /// Nothing is looked up yet.
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

    /// Tells the tracker of every cgroup there is. To be called once the hooks
    /// are attached: what is made later announces itself.
    pub fn feed_all(&mut self, tracker: &mut Tracker) {
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
    pub fn feed_subtree(tracker: &mut Tracker, top: &Mount, id: CgroupId) {
        place(tracker, id, Some(top.root.as_str().into()));
        let walked = mounts::walk(top, &mut |id, path| place(tracker, id, Some(path.into())));
        if let Err(error) = walked {
            tracing::debug!(%error, cgroup = top.root, "not readable");
        }
    }

    /// Tells the tracker of one cgroup that it does not know.
    pub(crate) fn look_up(&mut self, tracker: &mut Tracker, wanted: CgroupId, event: &Event) {
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
        if let Some(mount) = self.mounts.of_hierarchy(hierarchy) {
            if let Ok(root) = mounts::root(mount) {
                place(tracker, root, Some(mount.root.as_str().into()));
            }
            let walked = mounts::walk(mount, &mut |id, path| {
                place(tracker, id, Some(path.into()));
            });
            if let Err(error) = walked {
                tracing::debug!(%error, mount = %mount.mount_point.display(), "not readable");
            }
        }
        self.walked.insert(hierarchy, Instant::now());
    }

    /// Takes in an event: what is to be told of it, with its cgroup and container.
    pub fn record(&mut self, tracker: &mut Tracker, timed: Timed) -> Option<Record> {
        if let Some(unplaced) = tracker.unplaced(&timed.event) {
            self.look_up(tracker, unplaced, &timed.event);
        }
        let mut record = tracker.apply(self.as_shown(timed)?)?;
        match &mut record {
            Record::Exit(exit) => {
                let container = self.container_of(exit.cgroup.as_ref());
                Arc::make_mut(exit).container = container;
            }
            Record::Start(start) => start.container = self.container_of(start.cgroup.as_ref()),
            Record::Lost { .. } => {}
        }
        Some(record)
    }

    /// A new cgroup by the path that everybody here sees; without one it is looked
    /// up when somebody asks.
    fn as_shown(&self, mut timed: Timed) -> Option<Timed> {
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

    /// The container that a cgroup belongs to.
    pub fn container_of(&mut self, cgroup: Option<&Cgroup>) -> Option<Arc<Container>> {
        let path = cgroup?.path.as_deref()?;
        self.container_of_path(path)
    }

    /// The same, by the path of the cgroup below the root of its hierarchy.
    pub fn container_of_path(&mut self, path: &str) -> Option<Arc<Container>> {
        self.resolver.container_of(path)
    }

    /// The container that a name means, among these cgroups (hierarchy and path).
    pub fn find(
        &mut self,
        name: &str,
        cgroups: &[(u32, String)],
        may_be: impl Fn(&[(u32, String)]) -> bool,
    ) -> Result<Found, FindError> {
        self.resolver.find_among(name, cgroups, may_be)
    }

    /// The cgroup mounts.
    #[must_use]
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
    }
}

fn place(tracker: &mut Tracker, id: CgroupId, path: Option<Box<str>>) {
    tracker.apply(Timed {
        boottime_ns: 0,
        event: Event::CgroupPlaced(id, path),
    });
}
