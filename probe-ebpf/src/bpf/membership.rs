//! The cgroups of a task: one for each hierarchy, and the one that records name.

use probe_ebpf::event::{CgroupKey, UNKNOWN};

use crate::{
    globals::offset,
    map_value::SharedWord,
    membership_search::{best_v1_cgroup, cgroup_id_in, find_root_css_set},
    memory::{PROBED, follow, read},
    task::Task,
};

/// `init_css_set`, the set of every task that is in the root cgroup of each hierarchy.
/// It is static in the kernel, so its address never changes.
pub(crate) static ROOT_CSS_SET: SharedWord = SharedWord::new();

/// The cgroup that records name: the v2 cgroup unless that is the root, else the
/// best-ranked v1 cgroup that is not a root.
#[inline(always)]
pub(crate) fn primary(task: Task<PROBED>) -> CgroupKey {
    let css_set = task.css_set();
    let default = Cgroup::at(read::<PROBED, _>(css_set, offset!(css_set_dfl_cgrp)));
    if default.level() != 0 || css_set == root_css_set() {
        return default.key();
    }
    let v1 = Cgroup::at(best_v1_cgroup(css_set));
    if v1.is_null() {
        default.key()
    } else {
        v1.key()
    }
}

/// The id of the task's cgroup in one hierarchy; 0 if there is none.
#[inline(always)]
pub(crate) fn id_in(task: Task<PROBED>, hierarchy: u32) -> u64 {
    if hierarchy == UNKNOWN {
        return 0;
    }
    cgroup_id_in(task.css_set(), hierarchy)
}

/// The id of the task's cgroup in one hierarchy; 0 if the task is in the same cgroups as
/// its leader.
#[inline(always)]
pub(crate) fn id_unlike_leader(task: Task<PROBED>, leader: Task<PROBED>, hierarchy: u32) -> u64 {
    let css_set = task.css_set();
    if css_set == leader.css_set() {
        return 0;
    }
    cgroup_id_in(css_set, hierarchy)
}

/// Whether a task and its leader are in different v2 cgroups (threaded cgroups).
#[inline(always)]
pub(crate) fn is_apart(task: Task<PROBED>) -> bool {
    let [of_task, of_leader] = [task, task.leader()].map(Task::css_set);
    let default = |css_set| read::<PROBED, u64>(css_set, offset!(css_set_dfl_cgrp));
    of_task != of_leader && default(of_task) != default(of_leader)
}

/// Address of `init_css_set`; 0 while it is unknown.
#[inline(always)]
fn root_css_set() -> u64 {
    match ROOT_CSS_SET.get() {
        0 => find_root_css_set(),
        known => known,
    }
}

/// Steps through the links of a `css_set` and ends with a null cgroup. It returns no
/// `Option`, because half of a `None` is undefined and the verifier refuses a program
/// that copies it.
///
/// The list belongs to the set, which the task's reference keeps alive and unchanged.
pub(crate) struct Links {
    head: u64,
    node: u64,
}

impl Links {
    #[inline(always)]
    pub(crate) fn of(css_set: u64) -> Self {
        Self {
            head: css_set.wrapping_add(u64::from(offset!(css_set_cgrp_links))),
            node: read::<PROBED, _>(css_set, offset!(css_set_cgrp_links)),
        }
    }

    #[inline(always)]
    pub(crate) fn next(&mut self) -> Cgroup {
        if self.node == self.head || self.node == 0 {
            return Cgroup::at(0);
        }
        let link = self.node.wrapping_sub(u64::from(offset!(link_cgrp_link)));
        self.node = read::<PROBED, _>(self.node, 0);
        Cgroup::at(read::<PROBED, _>(link, offset!(link_cgrp)))
    }
}

/// A `cgroup`, by its kernel address.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup(u64);

impl Cgroup {
    #[inline(always)]
    pub(crate) const fn at(address: u64) -> Self {
        Self(address)
    }

    /// Address of the last component of the path.
    #[inline(always)]
    pub(crate) fn name(self) -> u64 {
        follow::<PROBED, _>(self.0, offset!(cgroup_kn), offset!(kn_name))
    }

    /// The v2 cgroup of a task.
    #[inline(always)]
    pub(crate) fn v2_of(task: Task<PROBED>) -> Self {
        Self(read::<PROBED, _>(task.css_set(), offset!(css_set_dfl_cgrp)))
    }

    /// Jiffies at the last notification of `cgroup.events`; 0 without offsets and on
    /// v1, which has no such file.
    #[inline(always)]
    pub(crate) fn events_notified_at(self) -> u64 {
        read::<PROBED, _>(self.0, offset!(cgroup_events_notified_at))
    }

    #[inline(always)]
    pub(crate) const fn is_null(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub(crate) const fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(crate) fn level(self) -> u32 {
        read::<PROBED, _>(self.0, offset!(cgroup_level))
    }

    #[inline(always)]
    pub(crate) fn hierarchy(self) -> u32 {
        follow::<PROBED, _>(self.0, offset!(cgroup_root), offset!(root_hierarchy_id))
    }

    /// The parent; null for a root, and without offsets.
    #[inline(always)]
    pub(crate) fn parent(self) -> Self {
        let own = self.0.wrapping_add(u64::from(offset!(cgroup_self)));
        Self(follow::<PROBED, _>(
            own,
            offset!(css_parent),
            offset!(css_cgroup),
        ))
    }

    /// Identity of the cgroup; unknown without offsets.
    #[inline(always)]
    pub(crate) fn key(self) -> CgroupKey {
        if offset!(cgroup_kn) == UNKNOWN {
            return CgroupKey {
                hierarchy: UNKNOWN,
                reserved: 0,
                id: 0,
            };
        }
        CgroupKey {
            hierarchy: self.hierarchy(),
            reserved: 0,
            id: self.id(),
        }
    }

    /// The id in the hierarchy; 0 without offsets.
    #[inline(always)]
    pub(crate) fn id(self) -> u64 {
        follow::<PROBED, _>(self.0, offset!(cgroup_kn), offset!(kn_id))
    }
}
