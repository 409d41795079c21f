//! The cgroups of a task: one for each hierarchy, and the one that records name.

use probe_ebpf::{
    config::CONTROLLERS,
    event::{CgroupKey, UNKNOWN},
};

use crate::{
    globals::{controller_offset, hierarchy_rank, offset},
    map_value::SharedWord,
    memory::{PROBED, follow, read},
    task::Task,
};

/// `init_css_set`, the set of every task that is in the root cgroup of each hierarchy.
/// It is static in the kernel, so its address never changes.
static ROOT_CSS_SET: SharedWord = SharedWord::new();

/// Limit of the links of a `css_set`. A set has one for each mounted hierarchy: at
/// most the 14 v1 controllers, v2 and a few named hierarchies.
const MAX_LINKS: u32 = 20;
/// Limit of the ancestors between a task and pid 0. The root `css_set` stays unknown
/// until a task with fewer ancestors exits.
const MAX_DEPTH: u32 = 16;

/// The cgroup that records name: the v2 cgroup unless that is the root, else the
/// best-ranked v1 cgroup that is not a root.
#[inline(always)]
pub(crate) fn primary<const ACCESS: bool>(task: Task<ACCESS>) -> CgroupKey {
    let css_set = task.css_set::<ACCESS>();
    let default = Cgroup::<ACCESS>(read::<ACCESS, _>(css_set, offset!(css_set_dfl_cgrp)));
    if default.level() != 0 || css_set == root_css_set() {
        return default.key();
    }
    for index in 0..CONTROLLERS.len() {
        let subsys = controller_offset(index);
        let cgroup = Cgroup::<ACCESS>(follow::<ACCESS, _>(css_set, subsys, offset!(css_cgroup)));
        if subsys != UNKNOWN && cgroup.level() != 0 {
            return cgroup.key();
        }
    }
    // Only named hierarchies and those of rare controllers are left.
    let best = best_v1(task.css_set::<PROBED>());
    if best.is_null() {
        default.key()
    } else {
        best.key()
    }
}

/// The id of the task's cgroup in one hierarchy; 0 if there is none.
#[inline(always)]
pub(crate) fn id_in<const ACCESS: bool>(task: Task<ACCESS>, hierarchy: u32) -> u64 {
    if hierarchy == UNKNOWN {
        return 0;
    }
    id_in_set(task.css_set::<PROBED>(), hierarchy)
}

/// The function is not inlined, so that the verifier walks through its loop once for each
/// caller and not once for each path to it.
#[inline(never)]
fn id_in_set(css_set: u64, hierarchy: u32) -> u64 {
    let mut links = Links::of(css_set);
    for _ in 0..MAX_LINKS {
        let cgroup = links.next();
        if cgroup.is_null() {
            break;
        }
        if cgroup.hierarchy() == hierarchy {
            return cgroup.key().id;
        }
    }
    0
}

/// The id of the task's cgroup in one hierarchy; 0 if the task is in the same cgroups as
/// its leader.
#[inline(always)]
pub(crate) fn id_unlike_leader<const ACCESS: bool>(
    task: Task<ACCESS>,
    leader: Task<ACCESS>,
    hierarchy: u32,
) -> u64 {
    let css_set = task.css_set::<PROBED>();
    if css_set == leader.css_set::<PROBED>() {
        return 0;
    }
    id_in_set(css_set, hierarchy)
}

/// Whether a task and its leader are in different v2 cgroups (threaded cgroups).
#[inline(always)]
pub(crate) fn is_apart(task: Task<PROBED>) -> bool {
    let [of_task, of_leader] = [task, task.leader()].map(Task::css_set::<PROBED>);
    let default = |css_set| read::<PROBED, u64>(css_set, offset!(css_set_dfl_cgrp));
    of_task != of_leader && default(of_task) != default(of_leader)
}

/// Address of `init_css_set`; 0 while it is unknown. The first call follows the parents
/// of the current task up to pid 0, which never leaves that set.
#[inline(always)]
fn root_css_set() -> u64 {
    let known = ROOT_CSS_SET.get();
    if known != 0 {
        return known;
    }
    let mut task = Task::<PROBED>::current();
    for _ in 0..MAX_DEPTH {
        task = task.real_parent();
        if task == Task::at(0) {
            return 0;
        }
        if task.tid() == 0 {
            let root = task.css_set::<PROBED>();
            ROOT_CSS_SET.set(root);
            return root;
        }
    }
    0
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
    pub(crate) fn next(&mut self) -> Cgroup<PROBED> {
        if self.node == self.head || self.node == 0 {
            return Cgroup::at(0);
        }
        let link = self.node.wrapping_sub(u64::from(offset!(link_cgrp_link)));
        self.node = read::<PROBED, _>(self.node, 0);
        Cgroup::at(read::<PROBED, _>(link, offset!(link_cgrp)))
    }
}

/// The best-ranked cgroup that is not a root; null if there is none.
#[inline(always)]
fn best_v1(css_set: u64) -> Cgroup<PROBED> {
    let mut links = Links::of(css_set);
    let mut best = Cgroup::at(0);
    let mut best_rank = u8::MAX;
    for _ in 0..MAX_LINKS {
        let cgroup = links.next();
        if cgroup.is_null() {
            break;
        }
        if cgroup.level() == 0 {
            continue;
        }
        let rank = hierarchy_rank(cgroup.hierarchy());
        if best.is_null() || rank < best_rank {
            best = cgroup;
            best_rank = rank;
        }
    }
    best
}

/// A `cgroup`, by its kernel address.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup<const ACCESS: bool>(u64);

impl Cgroup<PROBED> {
    #[inline(always)]
    pub(crate) const fn at(address: u64) -> Self {
        Self(address)
    }
}

impl Cgroup<PROBED> {
    /// Address of the last component of the path.
    #[inline(always)]
    pub(crate) fn name(self) -> u64 {
        follow::<PROBED, _>(self.0, offset!(cgroup_kn), offset!(kn_name))
    }

    /// The v2 cgroup of a task.
    #[inline(always)]
    pub(crate) fn v2_of(task: Task<PROBED>) -> Self {
        Self(read::<PROBED, _>(
            task.css_set::<PROBED>(),
            offset!(css_set_dfl_cgrp),
        ))
    }

    /// Jiffies at the last notification of `cgroup.events`; 0 without offsets and on
    /// v1, which has no such file.
    #[inline(always)]
    pub(crate) fn events_notified_at(self) -> u64 {
        read::<PROBED, _>(self.0, offset!(cgroup_events_notified_at))
    }
}

impl<const ACCESS: bool> Cgroup<ACCESS> {
    #[inline(always)]
    pub(crate) const fn is_null(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    fn level(self) -> u32 {
        read::<ACCESS, _>(self.0, offset!(cgroup_level))
    }

    #[inline(always)]
    pub(crate) fn hierarchy(self) -> u32 {
        follow::<ACCESS, _>(self.0, offset!(cgroup_root), offset!(root_hierarchy_id))
    }

    /// The parent; null for a root, and without offsets.
    #[inline(always)]
    pub(crate) fn parent(self) -> Self {
        let own = self.0.wrapping_add(u64::from(offset!(cgroup_self)));
        Self(follow::<ACCESS, _>(
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
            id: follow::<ACCESS, _>(self.0, offset!(cgroup_kn), offset!(kn_id)),
        }
    }
}
