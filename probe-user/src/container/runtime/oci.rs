//! Recognizes containers of runc and crun, and reads their state.
//!
//! systemd driver: `runc-ID.scope`, `crun-ID.scope`. cgroupfs driver: the path in the
//! configuration, or else a bare `/ID`; only the state identifies such a container.
//! <https://github.com/opencontainers/runc/blob/76d9cf5da5683ff449ae967db58fa8c5927ca54b/libcontainer/specconv/spec_linux.go#L801-L830>
//! <https://github.com/containers/crun/blob/ba38286f7d232be8087dbd393315bb05018da68c/src/libcrun/cgroup-cgroupfs.c#L40-L53>
//!
//! State: `ROOT/ID/state.json` of runc (replaced by rename, written before the
//! container's program starts), `ROOT/ID/status` of crun.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    cgroup::mounts::Mounts,
    container::{
        layout::{PathComponent, Recognized},
        record::{Claim, Init},
        state_file,
    },
    model::Runtime,
};

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let scope = component.name.strip_suffix(".scope")?;
    let runc = scope.strip_prefix("runc-").map(|id| (Runtime::Runc, id));
    let crun = || scope.strip_prefix("crun-").map(|id| (Runtime::Crun, id));
    let (runtime, id) = runc.or_else(crun)?;
    (!id.is_empty()).then(|| Recognized::certain(runtime, id))
}

/// The state of a container as the runtime wrote it, not yet checked.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::container) struct State {
    pub(in crate::container) runtime: Runtime,
    pub(in crate::container) owner: u32,
    pub(in crate::container) cgroups: Vec<Claim>,
    pub(in crate::container) init: Option<Init>,
    pub(in crate::container) bundle: Option<PathBuf>,
    /// Docker's data root, if the container's files lie in it.
    pub(in crate::container) docker_root: Option<PathBuf>,
}

/// <https://github.com/opencontainers/runc/blob/76d9cf5da5683ff449ae967db58fa8c5927ca54b/libcontainer/container_linux.go#L51-L80>
#[derive(Deserialize, Default)]
#[serde(default)]
struct RuncState {
    init_process_pid: i64,
    init_process_start: u64,
    /// Directories on the mounts by controller; the empty controller is v2.
    cgroup_paths: Option<BTreeMap<String, PathBuf>>,
    config: RuncConfig,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RuncConfig {
    /// One of them is `bundle=PATH`.
    labels: Option<Vec<String>>,
    mounts: Option<Vec<RuncMount>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RuncMount {
    source: PathBuf,
}

/// <https://github.com/containers/crun/blob/ba38286f7d232be8087dbd393315bb05018da68c/src/libcrun/status.c#L262-L305>
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct CrunStatus {
    pid: i64,
    process_start_time: u64,
    /// Path below the root of an unnamed hierarchy.
    cgroup_path: String,
    bundle: PathBuf,
}

/// Reads the state in `ROOT/ID`.
pub(in crate::container) fn state(directory: &Path, mounts: &Mounts) -> Option<State> {
    runc_state(directory, mounts).or_else(|| crun_status(directory))
}

fn runc_state(directory: &Path, mounts: &Mounts) -> Option<State> {
    let file = state_file::read_in(directory, "state.json")?;
    let state: RuncState = file.json()?;
    let mut cgroups = Vec::new();
    for directory in state.cgroup_paths.unwrap_or_default().values() {
        cgroups.extend(claim(directory, mounts).filter(|claim| !cgroups.contains(claim)));
    }
    let labels = state.config.labels.unwrap_or_default();
    let own_mounts = state.config.mounts.unwrap_or_default();
    let bundle = labels.iter().find_map(|it| it.strip_prefix("bundle="));
    Some(State {
        runtime: Runtime::Runc,
        owner: file.owner,
        cgroups,
        init: init(state.init_process_pid, state.init_process_start),
        bundle: bundle.map(PathBuf::from),
        docker_root: docker_root(directory, &own_mounts),
    })
}

fn crun_status(directory: &Path) -> Option<State> {
    let file = state_file::read_in(directory, "status")?;
    let status: CrunStatus = file.json()?;
    let path = status.cgroup_path.trim_matches('/');
    let claim = (!path.is_empty()).then(|| Claim {
        hierarchy: None,
        path: format!("/{path}"),
    });
    Some(State {
        runtime: Runtime::Crun,
        owner: file.owner,
        cgroups: claim.into_iter().collect(),
        init: init(status.pid, status.process_start_time),
        bundle: Some(status.bundle).filter(|it| it.is_absolute()),
        docker_root: None,
    })
}

/// Docker's data root by the source of a mount: Docker mounts `ROOT/containers/ID/hostname` at
/// `/etc/hostname`.
fn docker_root(state: &Path, mounts: &[RuncMount]) -> Option<PathBuf> {
    let below = Path::new("containers").join(state.file_name()?);
    let sources = mounts.iter().map(|it| it.source.as_path());
    let roots = sources
        .filter(|it| it.is_absolute() && it.ends_with(below.join("hostname")))
        .filter_map(|it| it.ancestors().nth(3));
    roots.map(Path::to_owned).next()
}

/// The cgroup with this directory. The root of a hierarchy is ignored, because it holds all
/// processes without a cgroup of their own.
fn claim(directory: &Path, mounts: &Mounts) -> Option<Claim> {
    let (mount, path) = mounts.of_path(directory)?;
    (directory != mount.mount_point).then_some(Claim {
        hierarchy: Some(mount.hierarchy),
        path,
    })
}

fn init(pid: i64, start_ticks: u64) -> Option<Init> {
    let pid = u32::try_from(pid).ok().filter(|&pid| pid > 0)?;
    Some(Init { pid, start_ticks })
}
