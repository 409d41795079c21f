//! Where the hierarchies of cgroups are mounted.

use std::path::PathBuf;

use probe_fixture::{Mount, mounts};

use crate::inapplicable;

/// Whether there is a v1 hierarchy with this controller.
#[must_use]
pub fn has_v1(controller: &str) -> bool {
    find_mount(Some(controller)).is_some()
}

fn find_mount(controller: Option<&str>) -> Option<Mount> {
    let is_it = |mount: &Mount| match controller {
        None => mount.is_v2,
        Some(controller) => mount.has_controller(controller),
    };
    let mut mounts = mounts().expect("/proc is mounted").into_iter();
    mounts.find(|mount| mount.root == "/" && is_it(mount))
}

/// Where a hierarchy is mounted with its root visible; `None` means v2.
pub(crate) fn mount_of(controller: Option<&str>) -> PathBuf {
    let Some(found) = find_mount(controller) else {
        inapplicable(&format!("no mount of {}", controller.unwrap_or("v2")));
    };
    found.point
}
