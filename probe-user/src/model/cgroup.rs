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

/// A cgroup of v1 that got another name: the directories of v2 cannot be renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Number of the hierarchy.
    pub hierarchy: u32,
    /// Path below the root of the hierarchy until then.
    pub before: Arc<str>,
    /// Path below the root of the hierarchy from then on.
    pub now: Arc<str>,
}

impl Renamed {
    /// The new path of a cgroup of this hierarchy, or `None` if the cgroup is not the renamed
    /// one and not below it.
    #[must_use]
    pub fn path_of(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&*self.before)?;
        let is_whole = rest.is_empty() || rest.starts_with('/');
        is_whole.then(|| format!("{}{rest}", self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_changes_the_paths_below_the_cgroup_and_no_others() {
        let renamed = Renamed {
            hierarchy: 8,
            before: "/a".into(),
            now: "/b".into(),
        };
        assert_eq!(renamed.path_of("/a").as_deref(), Some("/b"));
        assert_eq!(renamed.path_of("/a/a").as_deref(), Some("/b/a"));
        assert_eq!(renamed.path_of("/ab"), None);
        assert_eq!(renamed.path_of("/"), None);
    }

    #[test]
    fn a_sibling_with_the_same_beginning_is_not_within() {
        assert!(is_within("/a/b", "/a"));
        assert!(is_within("/a", "/a"));
        assert!(is_within("/a", "/"));
        assert!(!is_within("/ab", "/a"));
    }
}
