//! Paths of cgroups below the root of their hierarchy, as `/proc/PID/cgroup` has
//! them: `/a/b`.

use std::iter::successors;

/// A path and the paths of its ancestors, innermost first, without the root.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    successors(non_root(path), |path| non_root(path.rsplit_once('/')?.0))
}

fn non_root(path: &str) -> Option<&str> {
    Some(path.trim_end_matches('/')).filter(|path| !path.is_empty())
}

/// The path of a child.
pub(super) fn join(path: &str, name: &str) -> String {
    format!("{}/{name}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_end_below_the_root() {
        let all = |path| ancestors(path).collect::<Vec<_>>();
        assert_eq!(all("/a/b/c"), ["/a/b/c", "/a/b", "/a"]);
        assert_eq!(all("/a//b/"), ["/a//b", "/a"]);
        for root in ["/", ""] {
            assert!(all(root).is_empty(), "{root:?}");
        }
    }
}
