//! Tells whether a cgroup that was killed by `cgroup.kill` kills processes that are started in it.
//!
//! Since Linux 6.14 (and in stable releases such as 6.1.176) a cgroup counts its kills, so that a
//! fork does not escape one: <https://git.kernel.org/torvalds/c/b69bb476dee9>. A fork compares the
//! count of the cgroup that the child is in with that of the parent, from before the fork. With
//! `CLONE_INTO_CGROUP` these are two cgroups, so the kernel kills the child at birth whenever they
//! were killed a different number of times.

use super::btf;

/// Whether the kernel counts the kills of a cgroup. `false` if its types are not known.
#[must_use]
pub fn is_counted() -> bool {
    btf::has_member("cgroup", "kill_seq").unwrap_or(false)
}
