//! Identity and path of a cgroup.

use std::sync::Arc;

/// Identity of a cgroup, which no other cgroup has while this one is held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CgroupId {
    /// 0 for v2, else the v1 hierarchy id: first column of `/proc/cgroups` and
    /// of `/proc/PID/cgroup`.
    pub hierarchy: u32,
    /// Inode number of the directory, which is the kernfs id (Linux 5.5).
    pub id: u64,
}

/// A cgroup and its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Identity.
    pub id: CgroupId,
    /// Path below the root of the hierarchy, as `/proc/PID/cgroup` prints it
    /// in the initial cgroup namespace; `None` if the cgroup was removed before
    /// its path was read.
    pub path: Option<Arc<str>>,
}

/// Whether `path` is `ancestor` or lies below it.
#[must_use]
pub fn is_within(path: &str, ancestor: &str) -> bool {
    let ancestor = ancestor.trim_end_matches('/');
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_with_the_same_beginning_is_not_within() {
        assert!(is_within("/a/b", "/a"));
        assert!(is_within("/a", "/a"));
        assert!(is_within("/a", "/"));
        assert!(!is_within("/ab", "/a"));
    }
}
