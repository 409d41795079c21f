//! Mount points of the cgroup hierarchies.

use std::path::PathBuf;

use probe_fixture::{Mount, mounts};

use crate::inapplicable;

/// Whether a v1 hierarchy with this controller is mounted.
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

/// The mount point of a hierarchy; `None` means v2. Its root must be visible.
pub(crate) fn mount_of(controller: Option<&str>) -> PathBuf {
    let Some(found) = find_mount(controller) else {
        inapplicable(&format!("no mount of {}", controller.unwrap_or("v2")));
    };
    found.point
}
