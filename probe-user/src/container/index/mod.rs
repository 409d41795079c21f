//! What runc, crun and machined have on disk at the moment, by cgroup.
//!
//! Kept current without reading the disk for every question: inotify tells which
//! state directories changed, and only those are read, and of them only entries
//! that are new.

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
use load::{awaited, load};
use watch::{Change, Watch};

use super::{record::Record, roots::StateRoots, runtime::podman};

/// Least time between two questions to inotify: one for the many exits that are
/// read from the ring at a time.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);
/// Least time between two searches for new state directories.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// The state directories and what was found in them.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) roots: StateRoots,
    pub(super) names: podman::Names,
    watch: Watch,
    directories: HashMap<PathBuf, Directory>,
    by_cgroup: HashMap<String, Arc<Record>>,
    by_unit: HashMap<String, Arc<Record>>,
    virtual_machines: HashSet<String>,
    /// Ids that have a state directory without a readable state in it yet.
    awaited: HashMap<String, Arc<Record>>,
    /// Goes up with every change: an answer of an older one may be outdated.
    generation: u64,
    checked: Option<Instant>,
    searched: Option<Instant>,
}

impl Index {
    pub(super) fn new(roots: StateRoots) -> Self {
        Self::watched_by(Watch::new(), roots)
    }

    /// Sees what is there whenever it looks.
    pub(super) fn unwatched(roots: StateRoots) -> Self {
        Self::watched_by(Watch::none(), roots)
    }

    fn watched_by(watch: Watch, roots: StateRoots) -> Self {
        Self {
            roots,
            names: podman::Names::default(),
            watch,
            directories: HashMap::new(),
            by_cgroup: HashMap::new(),
            by_unit: HashMap::new(),
            virtual_machines: HashSet::new(),
            awaited: HashMap::new(),
            generation: 0,
            checked: None,
            searched: None,
        }
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Looks for changes unless somebody just did.
    pub(super) fn check(&mut self, now: Instant) {
        if is_due(self.checked, CHECK_INTERVAL, now) {
            self.look(now, false);
        }
    }

    /// Looks at everything, at once.
    pub(super) fn check_now(&mut self, now: Instant) {
        self.searched = None;
        self.look(now, true);
    }

    fn look(&mut self, now: Instant, is_urgent: bool) {
        self.checked = Some(now);
        let mut is_changed = self.take_changes(now);
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

    /// Whether any is of consequence without reading the directory.
    fn take_changes(&mut self, now: Instant) -> bool {
        let mut is_changed = false;
        for (path, change) in self.watch.changes() {
            let Some(directory) = self.directories.get_mut(&path) else {
                // The parent of one that was not there yet.
                self.searched = None;
                continue;
            };
            match change {
                Change::Made(name) => is_changed |= directory.made(name, now),
                Change::Other => directory.changed(),
                Change::Unwatched => {
                    directory.is_watched = false;
                    directory.changed();
                }
            }
        }
        is_changed
    }

    /// Finds new state directories and begins to watch them. Of one that is not
    /// there yet the parent is watched, but not a user's, who could keep us busy.
    fn search(&mut self) {
        let roots = self.roots.oci_roots().into_iter();
        for path in roots.chain([self.roots.machines.clone()]) {
            let directory = self.directories.entry(path.clone()).or_default();
            if directory.is_watched {
                continue;
            }
            if self.watch.add(&path) {
                directory.watched(&path);
            }
            directory.changed();
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
            directories,
            by_cgroup,
            by_unit,
            virtual_machines,
            ..
        } = self;
        by_cgroup.clear();
        by_unit.clear();
        virtual_machines.clear();
        // The first entry stays: what is there, then what was.
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
        self.awaited.clear();
        for (path, directory) in directories {
            let records = directory.awaited().map(|id| awaited(path, id));
            self.awaited
                .extend(records.map(|it| (it.container.id.clone(), Arc::new(it))));
        }
    }

    /// The container that claims just this cgroup.
    pub(super) fn by_cgroup(&self, path: &str) -> Option<&Arc<Record>> {
        self.by_cgroup.get(path)
    }

    /// The machine with this unit.
    pub(super) fn by_unit(&self, unit: &str) -> Option<&Arc<Record>> {
        self.by_unit.get(unit)
    }

    pub(super) fn is_virtual_machine(&self, unit: &str) -> bool {
        self.virtual_machines.contains(unit)
    }

    /// What is known of an id that has a state directory but no state yet.
    pub(super) fn awaited(&self, id: &str) -> Option<&Arc<Record>> {
        self.awaited.get(id)
    }

    /// Every container that is there now.
    pub(super) fn present(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.directories.values().flat_map(Directory::present)
    }
}

/// Of two that claim one cgroup root is right.
fn insert(by_cgroup: &mut HashMap<String, Arc<Record>>, path: &str, record: &Arc<Record>) {
    let is_better = |other: &Arc<Record>| record.owner == 0 && other.owner != 0;
    if by_cgroup.get(path).is_none_or(is_better) {
        by_cgroup.insert(path.to_owned(), Arc::clone(record));
    }
}

fn is_due(last: Option<Instant>, interval: Duration, now: Instant) -> bool {
    last.is_none_or(|last| now.saturating_duration_since(last) >= interval)
}
