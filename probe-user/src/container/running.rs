//! Lists the containers that run according to their engine, whatever runtime runs them.

use std::path::Path;

use super::{
    StateRoots,
    inits::conmon_pid,
    runtime::{containerd::namespaces, docker, podman::drivers},
};

/// The ids of the tasks of containerd, of the containers of podman and CRI-O with a living
/// process, and of the running containers of Docker.
pub(super) fn ids(roots: &StateRoots) -> impl Iterator<Item = String> {
    let is_alive = |it: &Path| conmon_pid(it).is_some_and(|pid| roots.evidence.init(pid).is_some());
    let tasks = roots.tasks.iter().flat_map(|it| namespaces(it));
    let tasks = tasks.flat_map(|it| namespaces(&it));
    let bundles = roots.stores.iter().flat_map(|it| drivers(it));
    let bundles = bundles
        .flat_map(|it| namespaces(&it))
        .filter(move |it| is_alive(it));
    let name = |it: std::path::PathBuf| it.file_name()?.to_str().map(str::to_owned);
    let dockers = roots.docker.iter().flat_map(|it| docker::containers(it));
    let dockers = dockers.filter(|it| it.is_running).map(|it| it.id);
    tasks.chain(bundles).filter_map(name).chain(dockers)
}
