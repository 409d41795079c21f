//! Indexes the state on disk of runc, crun and machined by cgroup.
//!
//! A lookup does not read the disk: inotify reports which state directories changed, and
//! only the new entries of those are read.

mod directory;
mod entry;
mod load;
mod watch;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use directory::Directory;
use entry::Known;
use load::{load, pending};
use watch::{Change, Watch};

use super::{record::Record, roots::StateRoots, runtime::podman};

/// Shortest time between two reads of inotify: one read serves all exits that one drain of
/// the ring returns.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);
/// Shortest time between two searches for new state directories.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// The state directories, and the containers that were found in them.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) roots: StateRoots,
    pub(super) names: podman::Names,
    watch: Watch,
    directories: HashMap<PathBuf, Directory>,
    /// Containers by each cgroup that they claim.
    pub(super) by_cgroup: HashMap<String, Arc<Record>>,
    /// Machines by unit.
    pub(super) by_unit: HashMap<String, Arc<Record>>,
    /// Units of virtual machines.
    pub(super) virtual_machines: HashSet<String>,
    /// Records of the ids that have a state directory without a readable state in it yet.
    pub(super) pending: HashMap<String, Arc<Record>>,
    /// Increased by every change: an answer from an older generation may be outdated.
    pub(super) generation: u64,
    checked: Option<Instant>,
    searched: Option<Instant>,
}

impl Index {
    pub(super) fn new(roots: StateRoots) -> Self {
        Self::with_watch(Watch::new(), roots)
    }

    /// An index without inotify, which finds changes by the modification times of
    /// directories.
    pub(super) fn unwatched(roots: StateRoots) -> Self {
        Self::with_watch(Watch::default(), roots)
    }

    fn with_watch(watch: Watch, roots: StateRoots) -> Self {
        Self {
            roots,
            names: podman::Names::default(),
            watch,
            directories: HashMap::new(),
            by_cgroup: HashMap::new(),
            by_unit: HashMap::new(),
            virtual_machines: HashSet::new(),
            pending: HashMap::new(),
            generation: 0,
            checked: None,
            searched: None,
        }
    }

    /// Reads what has changed, unless another call did a moment ago.
    pub(super) fn check(&mut self, now: Instant) {
        if is_due(self.checked, CHECK_INTERVAL, now) {
            self.update(now, false);
        }
    }

    /// Reads every state directory, even if it was read a moment ago.
    pub(super) fn check_now(&mut self, now: Instant) {
        self.searched = None;
        self.update(now, true);
    }

    fn update(&mut self, now: Instant, is_urgent: bool) {
        self.checked = Some(now);
        let mut is_changed = self.apply_changes(now);
        if is_due(self.searched, SEARCH_INTERVAL, now) {
            self.searched = Some(now);
            self.search();
        }
        let Self {
            roots,
            names,
            directories,
            ..
        } = self;
        for (path, directory) in directories.iter_mut() {
            let load = |name: &str| load(roots, names, path, name);
            is_changed |= directory.check(path, now, is_urgent, load);
        }
        if is_changed {
            self.generation += 1;
            self.rebuild();
        }
    }

    /// Passes the events of inotify to the directories. Returns whether an entry was added.
    fn apply_changes(&mut self, now: Instant) -> bool {
        let mut is_changed = false;
        for (path, change) in self.watch.changes() {
            let Some(directory) = self.directories.get_mut(&path) else {
                // The path is the parent of a state directory that did not exist yet.
                self.searched = None;
                continue;
            };
            match change {
                Change::Created(name) => is_changed |= directory.add_created(name, now),
                Change::Other => directory.mark_changed(),
                Change::Unwatched => {
                    directory.is_watched = false;
                    directory.mark_changed();
                }
            }
        }
        is_changed
    }

    /// Finds new state directories and watches them. For a state directory that does not
    /// exist yet the parent is watched, unless a user owns the parent and could flood us with
    /// events.
    fn search(&mut self) {
        let roots = self.roots.oci_roots().into_iter();
        for path in roots.chain([self.roots.machines.clone()]) {
            let directory = self.directories.entry(path.clone()).or_default();
            if directory.is_watched {
                continue;
            }
            if self.watch.add(&path) {
                directory.mark_watched(&path);
            }
            directory.mark_changed();
            if let Some(parent) = path.parent()
                && !directory.is_watched
                && directory::is_trusted(parent)
            {
                self.watch.add(&parent.to_owned());
            }
        }
    }

    fn rebuild(&mut self) {
        let Self {
            roots,
            directories,
            by_cgroup,
            by_unit,
            virtual_machines,
            ..
        } = self;
        by_cgroup.clear();
        by_unit.clear();
        virtual_machines.clear();
        // For one unit or cgroup the first record stays, so existing entries come first.
        for is_gone in [false, true] {
            for known in directories.values().flat_map(|it| it.known(is_gone)) {
                match known {
                    Known::VirtualMachine(unit) => _ = virtual_machines.insert(unit.clone()),
                    Known::Container(record) => {
                        if let Some(unit) = &record.unit {
                            let unit = by_unit.entry(unit.clone());
                            unit.or_insert_with(|| Arc::clone(record));
                        }
                        for claim in &record.cgroups {
                            insert(by_cgroup, &claim.path, record);
                        }
                    }
                    Known::Nothing => {}
                }
            }
        }
        let docker_roots = directories.values().flat_map(Directory::present);
        for root in docker_roots.filter_map(|it| it.docker_root.as_ref()) {
            if !roots.docker.contains(root) {
                roots.docker.push(root.clone());
            }
        }
        self.pending.clear();
        for (path, directory) in directories {
            let records = directory.pending().map(|id| pending(path, id));
            self.pending
                .extend(records.map(|it| (it.container.id.clone(), Arc::new(it))));
        }
    }

    /// Every container that exists now.
    pub(super) fn present(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.directories.values().flat_map(Directory::present)
    }
}

/// Adds a record. If two records claim one cgroup, root's record wins.
fn insert(by_cgroup: &mut HashMap<String, Arc<Record>>, path: &str, record: &Arc<Record>) {
    let is_better = |other: &Arc<Record>| record.owner == 0 && other.owner != 0;
    if by_cgroup.get(path).is_none_or(is_better) {
        by_cgroup.insert(path.to_owned(), Arc::clone(record));
    }
}

fn is_due(last: Option<Instant>, interval: Duration, now: Instant) -> bool {
    last.is_none_or(|last| now.saturating_duration_since(last) >= interval)
}
