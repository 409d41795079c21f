//! Where the hierarchies of cgroups are mounted.

use std::{fs, path::PathBuf};

use crate::inapplicable;

/// A line of `/proc/self/mountinfo`.
pub(crate) struct Mount {
    pub(crate) root: String,
    pub(crate) point: PathBuf,
    is_v2: bool,
    options: String,
}

pub(crate) fn mounts() -> Vec<Mount> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("there is a /proc");
    let mounts = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        let mount = Mount {
            root: left.next()?.to_owned(),
            point: PathBuf::from(left.next()?),
            is_v2: match right.next()? {
                "cgroup2" => true,
                "cgroup" => false,
                _ => return None,
            },
            options: right.nth(1)?.to_owned(),
        };
        Some(mount)
    });
    mounts.collect()
}

/// Whether there is a v1 hierarchy with this controller.
#[must_use]
pub fn has_v1(controller: &str) -> bool {
    find_mount(Some(controller)).is_some()
}

fn find_mount(controller: Option<&str>) -> Option<Mount> {
    let is_it = |mount: &Mount| match controller {
        None => mount.is_v2,
        Some(controller) => mount.options.split(',').any(|it| it == controller),
    };
    let mut mounts = mounts().into_iter();
    mounts.find(|mount| mount.root == "/" && is_it(mount))
}

/// Where a hierarchy is mounted with its root visible; `None` means v2.
pub(crate) fn mount_of(controller: Option<&str>) -> PathBuf {
    let Some(found) = find_mount(controller) else {
        inapplicable(&format!("no mount of {}", controller.unwrap_or("v2")));
    };
    found.point
}
