//! Owners of the cgroups in which processes exited.
//!
//! The owner of a cgroup is read at the first exit in the cgroup, because the directory
//! may be gone when a client asks for that exit.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use probe_user::{
    model::{Cgroup, CgroupId},
    unstable::cgroup::mounts::Mounts,
};

use super::directory;

/// Maximum number of cgroups that are remembered. An exit in a forgotten cgroup is visible
/// only to the user of the process and the owners of its user namespace.
const MAX_CGROUPS: usize = 16 * 1024;

/// Owners by cgroup, shared by all clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct CgroupOwners(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// `None` if the directory was gone.
    owners: HashMap<CgroupId, Option<u32>>,
    oldest_first: VecDeque<CgroupId>,
}

impl CgroupOwners {
    /// Reads the owners of cgroups, unless they are known.
    pub(crate) fn learn<'a>(&self, mounts: &Mounts, cgroups: impl Iterator<Item = &'a Cgroup>) {
        let mut known = self.lock();
        for Cgroup { id, path } in cgroups {
            if !known.owners.contains_key(id) {
                let path = path.as_deref();
                known.insert(*id, path.and_then(|path| read_owner(mounts, *id, path)));
            }
        }
    }

    /// The owner of a cgroup in which a process exited.
    pub(crate) fn of(&self, cgroup: &Cgroup) -> Option<u32> {
        self.lock().owners.get(&cgroup.id).copied().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn insert(&mut self, id: CgroupId, owner: Option<u32>) {
        if self.oldest_first.len() == MAX_CGROUPS
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.owners.remove(&oldest);
        }
        self.owners.insert(id, owner);
        self.oldest_first.push_back(id);
    }
}

/// The owner of the directory at this path, if it is still that of the cgroup `id`.
fn read_owner(mounts: &Mounts, id: CgroupId, path: &str) -> Option<u32> {
    let found = directory::at(mounts, id.hierarchy, path)?;
    let directory = fs::symlink_metadata(found.location).ok()?;
    (directory.ino() == id.id).then(|| directory.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroup(id: u64) -> Cgroup {
        Cgroup {
            id: CgroupId { hierarchy: 0, id },
            path: Some("/none".into()),
        }
    }

    #[test]
    fn the_oldest_cgroups_are_forgotten() {
        let owners = CgroupOwners::default();
        for id in 0..=MAX_CGROUPS as u64 {
            owners.lock().insert(cgroup(id).id, Some(1000));
        }
        assert_eq!(owners.of(&cgroup(0)), None);
        assert_eq!(owners.of(&cgroup(1)), Some(1000));
        assert_eq!(owners.lock().owners.len(), MAX_CGROUPS);
    }

    #[test]
    fn a_cgroup_that_is_gone_has_no_owner() {
        let owners = CgroupOwners::default();
        owners.learn(&Mounts::default(), [cgroup(1)].iter());
        assert_eq!(owners.of(&cgroup(1)), None);
        assert_eq!(owners.lock().owners.len(), 1);
    }
}
