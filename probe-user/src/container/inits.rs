//! The init process of a container whose runtime recorded none that can be
//! checked: who in the container's cgroups can only be it.

use std::path::{Path, PathBuf};

use super::{
    Init, StateRoots,
    evidence::Evidence,
    runtime::{containerd::namespaces, docker, podman::drivers},
    state_file,
};
use crate::proc::{directory::ProcessDirectory, status::Status};

/// A file with nothing but a pid is as good as no file once the pid is
/// another's. So whoever it names must be in the container, and then it does
/// not matter who wrote it. Without one it is the process that is pid 1 of the
/// namespace of the container.
pub(super) fn among(roots: &StateRoots, id: &str, cgroups: &[(u32, String)]) -> Option<Init> {
    let members = roots.evidence.members(cgroups);
    if members.is_empty() {
        return None;
    }
    let written = pids(roots, id).into_iter().find(|it| members.contains(it));
    let pid = written.or_else(|| first(&roots.evidence, &members))?;
    roots.evidence.init(pid)
}

/// What containerd's shim, conmon and Docker wrote.
fn pids(roots: &StateRoots, id: &str) -> Vec<u32> {
    let is_name = !id.is_empty() && id != "." && id != ".." && !id.contains('/');
    if !is_name {
        return Vec::new();
    }
    let tasks = roots.tasks.iter().flat_map(|it| namespaces(it));
    let tasks = tasks.filter_map(|namespace| pid_in(&namespace.join(id), "init.pid"));
    let bundles = roots.stores.iter().flat_map(|it| drivers(it));
    let conmons = bundles.filter_map(|driver: PathBuf| {
        let bundle = driver.join(id).join("userdata");
        pid_in(&bundle, "pidfile")
    });
    let dockers = roots.docker.iter().filter_map(|it| docker::pid(it, id));
    tasks.chain(conmons).chain(dockers).collect()
}

fn pid_in(directory: &Path, name: &str) -> Option<u32> {
    let file = state_file::read_in(directory, name)?;
    file.text().trim().parse().ok()
}

/// Pid 1 of the outermost namespace that begins in the container: what is
/// deeper is a container in the container. `None` if several begin side by
/// side, or none does: it shares the namespace of somebody else.
fn first(evidence: &Evidence, members: &[u32]) -> Option<u32> {
    let mut firsts: Vec<(usize, u32)> = members
        .iter()
        .filter_map(|&pid| Some((evidence.depth_of_first(pid)?, pid)))
        .collect();
    firsts.sort_unstable();
    match firsts.as_slice() {
        [(_, pid)] => Some(*pid),
        [(depth, pid), (next, _), ..] if depth < next => Some(*pid),
        _ => None,
    }
}

impl Evidence {
    /// How many pid namespaces a process is in, if it is the first of the
    /// innermost and that is not ours.
    fn depth_of_first(&self, pid: u32) -> Option<usize> {
        let directory = ProcessDirectory::open_path(self.proc.join(pid.to_string())).ok()?;
        let status = directory.content("status").ok()?;
        let pids = Status::new(&status).ns_pids();
        let (depth, innermost) = pids.fold((0, 0), |(depth, _), pid| (depth + 1, pid));
        (depth > 1 && innermost == 1).then_some(depth)
    }
}
