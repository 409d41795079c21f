//! Recognizes containers of Docker.
//!
//! cgroupfs driver: `PARENT/ID`, the parent being `/docker` unless
//! `--cgroup-parent` says otherwise; systemd driver: `docker-ID.scope`.
//! <https://github.com/moby/moby/blob/b985e2313a8676e18072b442911fc8f64f17d440/daemon/oci_linux.go#L777-L805>

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{
    container::{
        layout::{PathComponent, Recognized, is_full_id, is_id, prefixed_id},
        state_file,
    },
    model::Runtime,
};

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let id = prefixed_id(component.name, "docker-").or_else(|| {
        (component.parent() == Some("docker") && is_id(component.name)).then_some(component.name)
    })?;
    Some(Recognized::certain(Runtime::Docker, id))
}

/// A whole id below a parent that no other runtime uses: `docker run --cgroup-parent`, ECS, or a
/// rootless podman. Without other facts the engine is unknown. An id at the root of the
/// hierarchy is not a container's, and one below `libpod_parent` is a pod of podman.
pub(in crate::container) fn recognize_bare_id<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let parent = component.parent()?;
    let runtime = if component.above.contains(&"ecs") {
        Runtime::Docker
    } else {
        Runtime::Unknown
    };
    (is_full_id(component.name) && parent != "libpod_parent")
        .then(|| Recognized::likely(runtime, component.name))
}

#[derive(Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[derive(Default)]
struct Config {
    name: String,
    state: Running,
    has_been_manually_stopped: bool,
    restart_count: u32,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Running {
    pid: u32,
}

impl Config {
    fn name(&self) -> Option<String> {
        let name = self.name.trim_start_matches('/');
        (!name.is_empty()).then(|| name.to_owned())
    }
}

/// Docker's data roots on the machine with this root directory: the default one, and that in
/// `/etc/docker/daemon.json`. That of an option `--data-root` is known by the mounts of running
/// containers.
pub(in crate::container) fn data_roots(machine: &Path) -> Vec<PathBuf> {
    #[derive(Deserialize, Default)]
    #[serde(default, rename_all = "kebab-case")]
    struct Configured {
        data_root: Option<PathBuf>,
    }
    let file = state_file::read_in(&machine.join("etc/docker"), "daemon.json");
    let file = file.filter(|it| it.owner == 0 || it.owner == rustix::process::geteuid().as_raw());
    let configured = file.and_then(|it| it.json::<Configured>()?.data_root);
    let mut roots = vec![machine.join("var/lib/docker")];
    roots.extend(configured.filter(|it| it.is_absolute()));
    roots
}

/// The name of a container, from `ROOT/containers/ID/config.v2.json`.
pub(in crate::container) fn name(root: &Path, id: &str) -> Option<String> {
    config(root, id)?.name()
}

/// The pid of a running container's init process, from `ROOT/containers/ID/config.v2.json`.
pub(in crate::container) fn pid(root: &Path, id: &str) -> Option<u32> {
    config(root, id)
        .map(|it| it.state.pid)
        .filter(|&pid| pid > 0)
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    restart_policy: RestartPolicy,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct RestartPolicy {
    name: String,
    /// 0 for no limit.
    maximum_retry_count: u32,
}

/// The policy by which Docker starts the container again when it ends, from
/// `ROOT/containers/ID/hostconfig.json`; `None` if Docker does not start it again.
pub(in crate::container) fn restart_policy(root: &Path, id: &str) -> Option<String> {
    let state = config(root, id)?;
    let file = state_file::read_in(&root.join("containers").join(id), "hostconfig.json")?;
    let config: HostConfig = file.json()?;
    let policy = config.restart_policy;
    let is_used_up = policy.name == "on-failure"
        && policy.maximum_retry_count > 0
        && state.restart_count >= policy.maximum_retry_count;
    // `docker stop` and `docker kill` switch the policy off.
    let is_off = state.state.pid == 0 || state.has_been_manually_stopped || is_used_up;
    let is_set = !policy.name.is_empty() && policy.name != "no";
    (is_set && !is_off).then_some(policy.name)
}

/// A container that Docker knows.
pub(in crate::container) struct Known {
    pub(in crate::container) id: String,
    pub(in crate::container) name: Option<String>,
    /// Whether, according to Docker, the container has a process.
    pub(in crate::container) is_running: bool,
}

/// The containers that Docker knows.
pub(in crate::container) fn containers(root: &Path) -> impl Iterator<Item = Known> {
    let entries = state_file::entries(&root.join("containers"));
    let ids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|id| is_full_id(id)).filter_map(|id| {
        let config = config(root, &id)?;
        Some(Known {
            name: config.name(),
            is_running: config.state.pid > 0,
            id,
        })
    })
}

fn config(root: &Path, id: &str) -> Option<Config> {
    state_file::read_in(&root.join("containers").join(id), "config.v2.json")?.json()
}
