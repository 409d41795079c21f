//! LXC, LXD, Incus.
//!
//! `lxc.payload.NAME` (4.0 and later, with `-1`, `-2` … appended while the name
//! is taken), `lxc.payload/NAME` (3.1), `lxc/NAME` (before, Proxmox and
//! `lxc.cgroup.dir`), or `lxc/NAME/payload` with a cgroup pattern. The monitor is in
//! `lxc.monitor.NAME` and the like.
//! <https://github.com/lxc/lxc/blob/e7b855a51b81a6a562d121aa60e8581993beb203/src/lxc/cgroups/cgfsng.c#L1476-L1531>

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    container::layout::{Named, PathComponent},
    model::Runtime,
};

pub(in crate::container) fn named<'a>(place: &PathComponent<'_, 'a>) -> Option<Named<'a>> {
    if let Some(name) = place.name.strip_prefix("lxc.payload.") {
        return (!name.is_empty()).then(|| Named::certain(Runtime::Lxc, name));
    }
    let mut named = Named::certain(Runtime::Lxc, place.name);
    match (place.parent()?, place.below) {
        ("lxc.payload", _) => Some(named),
        ("lxc", Some(below)) if below == "monitor" || below.starts_with("lxc.monitor") => None,
        ("lxc", below) => {
            named.is_below = below == Some("payload");
            Some(named)
        }
        _ => None,
    }
}

/// Takes the `-1` off that LXC appended because the cgroup of an earlier run was
/// still there: the container is the one with a directory of its own.
pub(in crate::container) fn without_retry<'a>(roots: &[PathBuf], name: &'a str) -> &'a str {
    let Some((base, number)) = name.rsplit_once('-') else {
        return name;
    };
    let is_retry = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_retry && !has_container(roots, name) && has_container(roots, base) {
        return base;
    }
    name
}

fn has_container(roots: &[PathBuf], name: &str) -> bool {
    let is_directory = |path: &Path| fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    roots.iter().any(|root| is_directory(&root.join(name)))
}
