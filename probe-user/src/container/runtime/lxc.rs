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
    container::{
        layout::{PathComponent, Recognized},
        roots::StateRoots,
    },
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

/// The manager and the name of the container that has the cgroup `lxc.payload.CGROUP`. LXC
/// appends `-1` to the name while the cgroup of an earlier run still exists. LXD and Incus put
/// the name of a project that is not the default one before the name (`project_box`).
pub(in crate::container) fn by_cgroup<'a>(
    roots: &StateRoots,
    cgroup: &'a str,
) -> (Runtime, &'a str) {
    let without_suffix = cgroup.rsplit_once('-').and_then(|(base, number)| {
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !has_monitor(roots, cgroup)).then_some(base)
    });
    let managers = [
        (Runtime::Lxc, &roots.lxc),
        (Runtime::Lxd, &roots.lxd),
        (Runtime::Incus, &roots.incus),
    ];
    [Some(cgroup), without_suffix]
        .into_iter()
        .flatten()
        .find_map(|name| {
            let manager = managers.iter().find(|(_, it)| has_container(it, name))?;
            Some((manager.0, name))
        })
        .unwrap_or((Runtime::Lxc, cgroup))
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

/// Whether a container of LXC with a name that begins like this may run, in any directory of
/// LXC and for any user. `sockets` as for [`stopped`].
pub(in crate::container) fn may_run(name: &str, sockets: &str) -> bool {
    sockets.lines().any(|line| {
        let socket = line
            .strip_suffix("/command")
            .and_then(|it| it.rsplit_once('@'));
        socket.is_some_and(|(_, path)| {
            let is_hash = path.starts_with("lxc/");
            is_hash
                || path
                    .rsplit('/')
                    .next()
                    .is_some_and(|it| it.starts_with(name))
        })
    })
}

/// Whether a container with this whole name runs, in any directory of LXC.
fn has_monitor(roots: &StateRoots, name: &str) -> bool {
    let socket = format!("/{name}/command");
    let sockets = roots.unix_sockets().unwrap_or_default();
    sockets.lines().any(|line| line.ends_with(&socket))
}

fn has_container(roots: &[PathBuf], name: &str) -> bool {
    // In LXD and Incus a symbolic link leads to the container's storage pool.
    let exists =
        |path: &Path| fs::symlink_metadata(path).is_ok_and(|it| it.is_dir() || it.is_symlink());
    roots.iter().any(|root| exists(&root.join(name)))
}
