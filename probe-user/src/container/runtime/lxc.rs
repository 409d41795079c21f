//! Recognizes containers of LXC, LXD and Incus.
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
    container::layout::{PathComponent, Recognized},
    model::Runtime,
};

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    if let Some(name) = component.name.strip_prefix("lxc.payload.") {
        return (!name.is_empty()).then(|| Recognized::certain(Runtime::Lxc, name));
    }
    let mut recognized = Recognized::certain(Runtime::Lxc, component.name);
    match (component.parent()?, component.below) {
        ("lxc.payload", _) => Some(recognized),
        ("lxc", Some(below)) if below == "monitor" || below.starts_with("lxc.monitor") => None,
        ("lxc", below) => {
            recognized.is_below = below == Some("payload");
            Some(recognized)
        }
        _ => None,
    }
}

/// Removes the `-1` that LXC appends while the cgroup of an earlier run still exists. The
/// name of the container is the one with a directory in LXC's state.
pub(in crate::container) fn without_retry_suffix<'a>(roots: &[PathBuf], name: &'a str) -> &'a str {
    let Some((base, number)) = name.rsplit_once('-') else {
        return name;
    };
    let is_retry = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_retry && !has_container(roots, name) && has_container(roots, base) {
        return base;
    }
    name
}

/// The names of the containers that LXC has configured and that do not run. `sockets` is the
/// content of `/proc/1/net/unix`: the monitor of a running container listens on an abstract
/// socket (`lxc_make_abstract_socket_name` of LXC), which has a hash as its name if the path is
/// too long for a socket.
pub(in crate::container) fn stopped(root: &Path, sockets: &str) -> Vec<String> {
    /// Size of `sun_path` in `struct sockaddr_un`.
    const MAX_SOCKET_NAME: usize = 108;
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| {
            let socket = format!("@{}/{name}/command", root.display());
            let is_configured = root.join(name).join("config").is_file();
            let is_running = sockets.lines().any(|line| line.ends_with(&socket));
            is_configured && !is_running && socket.len() < MAX_SOCKET_NAME
        })
        .collect()
}

fn has_container(roots: &[PathBuf], name: &str) -> bool {
    let is_directory = |path: &Path| fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    roots.iter().any(|root| is_directory(&root.join(name)))
}
