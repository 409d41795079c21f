//! Searches in the cgroups of a task, as global functions.
//!
//! The verifier walks through a global function once, when it loads the program, and not once
//! for each path that leads to a call. So the loops of these functions cost a program little.
//! Arguments and results are integers, because a pointer needs Linux 5.13.
#![expect(unsafe_code, reason = "a global function has an unmangled name")]

use probe_ebpf::{config::CONTROLLERS, event::UNKNOWN};

use crate::{
    globals::{controller_offset, hierarchy_rank, offset},
    membership::{Cgroup, Links, ROOT_CSS_SET},
    memory::{PROBED, follow, sign},
    task::Task,
};

/// Limit of the links of a `css_set`. A set has one for each mounted hierarchy: at
/// most the 14 v1 controllers, v2 and a few named hierarchies.
const MAX_LINKS: u32 = 20;
/// Limit of the ancestors between a task and pid 0. The root `css_set` stays unknown
/// until a task with fewer ancestors exits.
const MAX_DEPTH: u32 = 16;

/// The id of the cgroup of a `css_set` in one hierarchy; 0 if there is none.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn cgroup_id_in(css_set: u64, hierarchy: u32) -> u64 {
    let mut links = Links::of(css_set);
    let mut cgroup = links.next();
    for _ in 0..MAX_LINKS {
        if cgroup.is_null() || cgroup.hierarchy() == hierarchy {
            break;
        }
        cgroup = links.next();
    }
    if cgroup.is_null() || cgroup.hierarchy() != hierarchy {
        return 0;
    }
    cgroup.key().id
}

/// Address of the best-ranked v1 cgroup of a `css_set` that is not a root; 0 if there is none.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn best_v1_cgroup(css_set: u64) -> u64 {
    for index in 0..CONTROLLERS.len() {
        let subsys = controller_offset(index);
        let address = follow::<PROBED, _>(css_set, subsys, offset!(css_cgroup));
        if subsys != UNKNOWN && Cgroup::at(address).level() != 0 {
            return address;
        }
    }
    // Only named hierarchies and those of rare controllers are left.
    let mut links = Links::of(css_set);
    let mut best = u64::MAX;
    for _ in 0..MAX_LINKS {
        let cgroup = links.next();
        if cgroup.is_null() {
            break;
        }
        best = smaller(best, ranked(cgroup));
    }
    // A kernel address has its top byte set.
    let is_found = best >> RANK_SHIFT != u64::from(u8::MAX);
    if is_found { best | RANK_MASK } else { 0 }
}

const RANK_SHIFT: u32 = 56;
const RANK_MASK: u64 = (u8::MAX as u64) << RANK_SHIFT;

/// The address of a cgroup with its rank in place of the top byte; the worst rank for a root.
#[inline(always)]
fn ranked(cgroup: Cgroup) -> u64 {
    let rank = u64::from(hierarchy_rank(cgroup.hierarchy()));
    // All bits are set for level 0, and none for another level.
    let level = u64::from(cgroup.level());
    let is_root = sign(level.wrapping_sub(1));
    (rank | is_root) << RANK_SHIFT | cgroup.address() & !RANK_MASK
}

/// The smaller number, without a branch: with one the verifier would walk through every
/// combination of its outcomes in the rounds of a loop. The lowest bit does not count, so that
/// the difference fits.
#[inline(always)]
fn smaller(a: u64, b: u64) -> u64 {
    a ^ (a ^ b) & sign((b >> 1).wrapping_sub(a >> 1))
}

/// Address of `init_css_set`; 0 if it is not found. The function follows the parents of the
/// current task up to pid 0, which never leaves that set.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn find_root_css_set() -> u64 {
    let mut task = Task::<PROBED>::current();
    for _ in 0..MAX_DEPTH {
        task = task.real_parent();
        if task == Task::at(0) {
            return 0;
        }
        if task.tid() == 0 {
            let root = task.css_set();
            ROOT_CSS_SET.set(root);
            return root;
        }
    }
    0
}
