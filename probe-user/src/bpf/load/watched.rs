//! The cgroups that the programs watch, as they and this process know them.

use std::collections::HashSet;

use aya::maps::{Array, HashMap, MapData, MapError};
use probe_ebpf::{config::occupancy, event::CgroupKey};

use crate::model::CgroupId;

/// The watched cgroups.
pub(super) struct Watched {
    map: HashMap<MapData, [u64; 2], u32>,
    followed: Array<MapData, u64>,
    ids: HashSet<CgroupId>,
}

impl Watched {
    pub(super) fn new(map: HashMap<MapData, [u64; 2], u32>, followed: Array<MapData, u64>) -> Self {
        Self {
            map,
            followed,
            ids: HashSet::new(),
        }
    }

    pub(super) fn insert(&mut self, cgroup: CgroupId) -> Result<(), MapError> {
        self.map.insert(key(cgroup), occupancy::UNCHANGED, 0)?;
        self.ids.insert(cgroup);
        self.follow()
    }

    /// Removes a cgroup; an error also if it is not there.
    pub(super) fn remove(&mut self, cgroup: CgroupId) -> Result<(), MapError> {
        self.ids.remove(&cgroup);
        self.map.remove(&key(cgroup))?;
        self.follow()
    }

    /// The last value of `populated`, one of [`occupancy`]; `None` if the cgroup is not there.
    pub(super) fn occupancy(&self, cgroup: CgroupId) -> Option<u32> {
        self.map.get(&key(cgroup), 0).ok()
    }

    /// Names to the programs the hierarchies with a watched cgroup.
    fn follow(&mut self) -> Result<(), MapError> {
        let bits = self
            .ids
            .iter()
            .map(|it| 1_u64 << (it.hierarchy % u64::BITS));
        self.followed.set(0, bits.fold(0, |all, bit| all | bit), 0)
    }
}

fn key(cgroup: CgroupId) -> [u64; 2] {
    zerocopy::transmute!(CgroupKey {
        hierarchy: cgroup.hierarchy,
        reserved: 0,
        id: cgroup.id,
    })
}
