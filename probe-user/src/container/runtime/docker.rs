//! Docker.
//!
//! cgroupfs driver: `PARENT/ID`, the parent being `/docker` unless
//! `--cgroup-parent` says otherwise; systemd driver: `docker-ID.scope`.
//! <https://github.com/moby/moby/blob/b985e2313a8676e18072b442911fc8f64f17d440/daemon/oci_linux.go#L777-L805>

use std::path::Path;

use serde::Deserialize;

use crate::{
    container::{
        layout::{Named, PathComponent, is_full_id, is_id, prefixed_id},
        state_file,
    },
    model::Runtime,
};

pub(in crate::container) fn named<'a>(place: &PathComponent<'_, 'a>) -> Option<Named<'a>> {
    let id = prefixed_id(place.name, "docker-").or_else(|| {
        (place.parent() == Some("docker") && is_id(place.name)).then_some(place.name)
    })?;
    Some(Named::certain(Runtime::Docker, id))
}

/// A full id below a parent that nobody else is known for: most likely
/// `docker run --cgroup-parent`. At the root of the hierarchy it is not
/// Docker's, and below `libpod_parent` it is a pod of podman.
pub(in crate::container) fn bare<'a>(place: &PathComponent<'_, 'a>) -> Option<Named<'a>> {
    let parent = place.parent()?;
    (is_full_id(place.name) && parent != "libpod_parent")
        .then(|| Named::likely(Runtime::Docker, place.name))
}

#[derive(Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[derive(Default)]
struct Config {
    name: String,
    state: Running,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Running {
    pid: u32,
}

/// Name of a container, of which `ROOT/containers/ID/config.v2.json` tells.
pub(in crate::container) fn name(root: &Path, id: &str) -> Option<String> {
    let config = config(root, id)?;
    let name = config.name.trim_start_matches('/');
    (!name.is_empty()).then(|| name.to_owned())
}

/// Pid of its init process while it runs, from the same file.
pub(in crate::container) fn pid(root: &Path, id: &str) -> Option<u32> {
    config(root, id)
        .map(|it| it.state.pid)
        .filter(|&pid| pid > 0)
}

fn config(root: &Path, id: &str) -> Option<Config> {
    state_file::read_in(&root.join("containers").join(id), "config.v2.json")?.json()
}
