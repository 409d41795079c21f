//! Whose the cgroups are that something ended in.
//!
//! Asked when the first exit in a cgroup is told, because the directory may be
//! gone before anybody wants to know.

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

use super::place;

/// Cgroups that are remembered: an exit in an older one is its user's business
/// only.
const MOST: usize = 16 * 1024;

/// See the module. Shared by all clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct CgroupOwners(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// `None`: the directory was gone.
    owners: HashMap<CgroupId, Option<u32>>,
    oldest_first: VecDeque<CgroupId>,
}

impl CgroupOwners {
    /// Asks for the owner of a cgroup that is not known yet.
    pub(crate) fn learn(&self, mounts: &Mounts, cgroup: Option<&Cgroup>) {
        let Some(Cgroup { id, path }) = cgroup else {
            return;
        };
        let mut known = self.lock();
        if !known.owners.contains_key(id) {
            let path = path.as_deref();
            known.insert(*id, path.and_then(|path| ask(mounts, *id, path)));
        }
    }

    /// The owner of a cgroup that something ended in.
    pub(crate) fn of(&self, cgroup: Option<&Cgroup>) -> Option<u32> {
        self.lock().owners.get(&cgroup?.id).copied().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn insert(&mut self, id: CgroupId, owner: Option<u32>) {
        if self.oldest_first.len() == MOST
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.owners.remove(&oldest);
        }
        self.owners.insert(id, owner);
        self.oldest_first.push_back(id);
    }
}

/// Another cgroup may have the name by now.
fn ask(mounts: &Mounts, id: CgroupId, path: &str) -> Option<u32> {
    let at = place::at(mounts, id.hierarchy, path)?;
    let directory = fs::symlink_metadata(at.directory).ok()?;
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
    fn the_oldest_are_forgotten() {
        let owners = CgroupOwners::default();
        for id in 0..=MOST as u64 {
            owners.lock().insert(cgroup(id).id, Some(1000));
        }
        assert_eq!(owners.of(Some(&cgroup(0))), None);
        assert_eq!(owners.of(Some(&cgroup(1))), Some(1000));
        assert_eq!(owners.lock().owners.len(), MOST);
    }

    #[test]
    fn a_cgroup_that_nobody_finds_is_nobodys() {
        let owners = CgroupOwners::default();
        owners.learn(&Mounts::default(), Some(&cgroup(1)));
        owners.learn(&Mounts::default(), None);
        assert_eq!(owners.of(Some(&cgroup(1))), None);
        assert_eq!(owners.of(None), None);
        assert_eq!(owners.lock().owners.len(), 1);
    }
}
