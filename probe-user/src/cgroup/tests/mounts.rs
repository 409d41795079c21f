use std::path::Path;

use crate::cgroup::mounts::{Mount, Mounts, path_prefix_at, rank};

fn v1(controllers: &[&str]) -> Mount {
    Mount {
        hierarchy: 3,
        controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
        mount_point: "/sys/fs/cgroup/x".into(),
        root: "/".to_owned(),
    }
}

fn rooted(root: &str) -> Mount {
    Mount {
        root: root.to_owned(),
        ..v1(&["pids"])
    }
}

#[test]
fn pids_ranks_before_memory_and_unknown_controllers_rank_last() {
    assert!(rank(&v1(&["pids"])) < rank(&v1(&["memory"])));
    assert!(rank(&v1(&["name=systemd"])) < rank(&v1(&["cpu", "cpuacct"])));
}

#[test]
fn paths_in_a_cgroup_namespace_have_a_prefix() {
    assert_eq!(path_prefix_at("/", true), Some(""));
    assert_eq!(path_prefix_at("/../..", true), Some("/../.."));
    assert_eq!(path_prefix_at("/a/b", false), Some(""));
    for unknown in ["/", "/..", "/../a"] {
        assert_eq!(path_prefix_at(unknown, false), None, "{unknown}");
    }
}

#[test]
fn a_path_starts_at_the_root_of_the_hierarchy() {
    for (root, directory, path) in [
        ("/", "/sys/fs/cgroup/x/a/b", Some("/a/b")),
        ("/", "/sys/fs/cgroup/x", Some("/")),
        ("/", "/sys/fs/cgroup/y", None),
        ("/ns", "/sys/fs/cgroup/x/a", Some("/ns/a")),
    ] {
        let found = rooted(root).path_of(Path::new(directory));
        assert_eq!(found.as_deref(), path, "{directory} in {root}");
    }
}

#[test]
fn the_directory_of_a_path_lacks_the_root_of_the_mount() {
    for (root, path, directory) in [
        ("/", "/a/b", Some("/sys/fs/cgroup/x/a/b")),
        ("/ns", "/ns/a", Some("/sys/fs/cgroup/x/a")),
        ("/../..", "/../../a", Some("/sys/fs/cgroup/x/a")),
        ("/", "/", Some("/sys/fs/cgroup/x")),
        ("/ns", "/ns", Some("/sys/fs/cgroup/x")),
        ("/ns", "/nsx", None),
        ("/ns", "/a", None),
        ("/", "a", None),
        ("/", "/..", None),
        ("/", "/a/../b", None),
        ("/", "/./a", None),
        ("/", "/../a", None),
    ] {
        let found = rooted(root).directory_of(path);
        assert_eq!(
            found.as_deref(),
            directory.map(Path::new),
            "{path} in {root}"
        );
    }
}

/// Mounts of a hybrid machine: v2, and v1 hierarchies below it.
fn nested() -> Mounts {
    let mount = |hierarchy, mount_point: &str, controllers: &[&str]| Mount {
        hierarchy,
        mount_point: mount_point.into(),
        ..v1(controllers)
    };
    Mounts::from_iter([
        mount(0, "/c", &[]),
        mount(3, "/c/long-name", &["cpu", "cpuacct"]),
        mount(4, "/c/long-name/a", &["pids"]),
    ])
}

#[test]
fn a_path_belongs_to_the_innermost_mount() {
    let mounts = nested();
    let found = |path: &str| {
        let (mount, below) = mounts.of_path(Path::new(path))?;
        Some((mount.hierarchy, below))
    };
    assert_eq!(found("/c/x"), Some((0, "/x".to_owned())));
    assert_eq!(found("/c/long-name/b"), Some((3, "/b".to_owned())));
    assert_eq!(found("/c/long-name/a/b"), Some((4, "/b".to_owned())));
    assert_eq!(found("/c/long-name2"), Some((0, "/long-name2".to_owned())));
    assert_eq!(found("/d"), None);
}

#[test]
fn a_mount_is_found_by_hierarchy() {
    let mounts = nested();
    assert_eq!(mounts.first_v1(), Some(4));
    assert_eq!(Mounts::from_iter([mounts[0].clone()]).first_v1(), None);
    assert_eq!(
        mounts.directory_of(4, "/b"),
        Some("/c/long-name/a/b".into())
    );
    assert_eq!(mounts.directory_of(5, "/b"), None);
}
