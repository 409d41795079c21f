//! Finds the init process of a container among the members of its cgroups, for runtimes
//! that do not record the start of the process.

use std::path::Path;

use super::{
    Init, StateRoots,
    evidence::Evidence,
    runtime::{containerd::namespaces, docker, podman::drivers},
    state_file,
};
use crate::proc::{directory::ProcessDirectory, status::Status};

/// The init process: the recorded one, or else pid 1 of the container's pid namespace.
///
/// The runtime may record a pid without a start time. A later process may have that pid by
/// now, so the pid must be that of a member of the container. After this check it does not
/// matter which user wrote the state file.
pub(super) fn find(roots: &StateRoots, id: &str, cgroups: &[(u32, String)]) -> Option<Init> {
    let members = roots.evidence.members(cgroups);
    if members.is_empty() {
        return None;
    }
    let recorded = recorded_pids(roots, id)
        .into_iter()
        .find(|it| members.contains(it));
    let pid = recorded.or_else(|| namespace_init(&roots.evidence, &members))?;
    roots.evidence.init(pid)
}

/// The pids that containerd's shim, conmon and Docker recorded.
fn recorded_pids(roots: &StateRoots, id: &str) -> Vec<u32> {
    let is_name = !id.is_empty() && id != "." && id != ".." && !id.contains('/');
    if !is_name {
        return Vec::new();
    }
    let tasks = roots.tasks.iter().flat_map(|it| namespaces(it));
    let tasks = tasks.filter_map(|namespace| pid_in(&namespace.join(id), "init.pid"));
    let bundles = roots.stores.iter().flat_map(|it| drivers(it));
    let conmons = bundles.filter_map(|driver| conmon_pid(&driver.join(id)));
    let dockers = roots.docker.iter().filter_map(|it| docker::pid(it, id));
    tasks.chain(conmons).chain(dockers).collect()
}

/// The pid that conmon recorded in `DRIVER-containers/ID` of a store.
pub(super) fn conmon_pid(container: &Path) -> Option<u32> {
    pid_in(&container.join("userdata"), "pidfile")
}

fn pid_in(directory: &Path, name: &str) -> Option<u32> {
    let file = state_file::read_in(directory, name)?;
    file.text().trim().parse().ok()
}

/// Pid 1 of the outermost pid namespace that begins in the container; deeper namespaces are
/// containers in the container. `None` if several begin at the same depth, or if none
/// begins, because the container shares a namespace.
fn namespace_init(evidence: &Evidence, members: &[u32]) -> Option<u32> {
    let mut firsts: Vec<(usize, u32)> = members
        .iter()
        .filter_map(|&pid| Some((evidence.namespace_depth_of_init(pid)?, pid)))
        .collect();
    firsts.sort_unstable();
    match firsts.as_slice() {
        [(_, pid)] => Some(*pid),
        [(depth, pid), (next, _), ..] if depth < next => Some(*pid),
        _ => None,
    }
}

impl Evidence {
    /// The number of pid namespaces that a process is in, if it is pid 1 of the innermost and
    /// that is not our namespace.
    pub(super) fn namespace_depth_of_init(&self, pid: u32) -> Option<usize> {
        let directory = ProcessDirectory::open_path(self.proc.join(pid.to_string())).ok()?;
        let status = directory.content("status").ok()?;
        let pids = Status::new(&status).ns_pids();
        let (depth, innermost) = pids.fold((0, 0), |(depth, _), pid| (depth + 1, pid));
        (depth > 1 && innermost == 1).then_some(depth)
    }
}
