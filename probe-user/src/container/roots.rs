//! The directories in which runtimes keep their state.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    evidence::Evidence,
    runtime::{containerd::namespaces, docker},
    state_file,
};
use crate::cgroup::mounts::Mounts;

/// The directories in which runtimes keep their state, and the facts that decide whether the
/// state is trusted.
#[derive(Clone, Debug)]
pub struct StateRoots {
    pub(super) evidence: Evidence,
    /// Roots of runc and crun, with one directory for each container.
    pub(super) oci: Vec<PathBuf>,
    /// Roots that the user named. They decide between containers of the same name.
    pub(super) chosen: Vec<PathBuf>,
    /// Directories of such roots, one root for each containerd namespace.
    pub(super) oci_by_namespace: Vec<PathBuf>,
    /// The directory of every user's `XDG_RUNTIME_DIR`: `run/user`.
    pub(super) users: PathBuf,
    /// Docker's data roots.
    pub(super) docker: Vec<PathBuf>,
    /// containerd's bundles: a directory for each namespace, in it one for each task.
    pub(super) tasks: Vec<PathBuf>,
    /// Stores of the storage library of podman and CRI-O.
    pub(super) stores: Vec<PathBuf>,
    /// LXC's containers.
    pub(super) lxc: Vec<PathBuf>,
    /// LXD's containers.
    pub(super) lxd: Vec<PathBuf>,
    /// Incus's containers.
    pub(super) incus: Vec<PathBuf>,
    /// machined's files.
    pub(super) machines: PathBuf,
}

impl StateRoots {
    /// The directories of this machine. `runtime_dir` is `XDG_RUNTIME_DIR`, `runtime_roots`
    /// are the values of the runtimes' option `--root`; if a name fits several containers,
    /// those in `runtime_roots` are meant.
    #[must_use]
    pub fn system(runtime_dir: Option<PathBuf>, runtime_roots: Vec<PathBuf>) -> Self {
        let mounts = Mounts::read().unwrap_or_else(|error| {
            tracing::debug!(%error, "no cgroup mounts: ignoring the state of all users but root");
            Mounts::default()
        });
        let mut roots = Self::below(Path::new("/"), mounts);
        roots.oci.extend(runtime_roots.iter().cloned());
        roots.chosen = runtime_roots;
        if let Some(directory) = runtime_dir {
            roots.oci.extend(rootless(&directory));
            roots.stores.push(directory.join("containers"));
        }
        roots.oci.sort();
        roots.oci.dedup();
        roots
    }

    /// The directories of a machine with the root directory `root` and the cgroup mounts
    /// `mounts`.
    #[must_use]
    pub fn below(root: &Path, mounts: Mounts) -> Self {
        let all = |paths: &[&str]| paths.iter().map(|path| root.join(path)).collect();
        Self {
            evidence: Evidence {
                mounts,
                proc: root.join("proc"),
            },
            oci: all(&["run/runc", "run/crun"]),
            chosen: Vec::new(),
            oci_by_namespace: all(&["run/containerd/runc", "run/docker/runtime-runc"]),
            users: root.join("run/user"),
            docker: docker::data_roots(root),
            tasks: all(&[
                "run/containerd/io.containerd.runtime.v2.task",
                "run/k3s/containerd/io.containerd.runtime.v2.task",
            ]),
            stores: all(&["var/lib/containers/storage", "run/containers/storage"]),
            lxc: all(&["var/lib/lxc"]),
            lxd: all(&[
                "var/lib/lxd/containers",
                "var/snap/lxd/common/lxd/containers",
            ]),
            incus: all(&["var/lib/incus/containers"]),
            machines: root.join("run/systemd/machines"),
        }
    }

    /// Every directory that may be read, existing or not, except those below another one of
    /// them.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let mut all = vec![self.users.clone(), self.machines.clone()];
        all.extend_from_slice(&self.oci);
        all.extend_from_slice(&self.oci_by_namespace);
        all.extend_from_slice(&self.docker);
        all.extend_from_slice(&self.tasks);
        all.extend_from_slice(&self.stores);
        all.extend_from_slice(&self.lxc);
        all.extend_from_slice(&self.lxd);
        all.extend_from_slice(&self.incus);
        // A path sorts before what lies below it.
        all.sort();
        all.dedup_by(|lower, upper| lower.starts_with(upper));
        all
    }

    /// Every root of runc and crun that may exist now. A namespace appears with its first
    /// container, a user's directory with the first login.
    pub(super) fn oci_roots(&self) -> Vec<PathBuf> {
        let by_namespace = self.oci_by_namespace.iter().flat_map(|it| namespaces(it));
        let by_user = state_file::entries(&self.users).flat_map(|it| rootless(&it.path()));
        let mut roots: Vec<_> = by_namespace.chain(by_user).collect();
        roots.extend_from_slice(&self.oci);
        roots.sort();
        roots.dedup();
        roots
    }

    /// The policy by which Docker starts the container with this id again when it ends; `None`
    /// if it does not, or if its state cannot be read.
    #[must_use]
    pub fn restart_policy(&self, id: &str) -> Option<String> {
        let mut roots = self.docker.iter();
        roots.find_map(|root| docker::restart_policy(root, id))
    }

    /// The Unix sockets of the network namespace of pid 1, one a line.
    pub(super) fn unix_sockets(&self) -> Option<String> {
        fs::read_to_string(self.evidence.proc.join("1/net/unix")).ok()
    }

    /// The stores that may have the names of this user's containers.
    pub(super) fn stores_of(&self, owner: u32) -> Vec<PathBuf> {
        if owner == 0 {
            return self.stores.clone();
        }
        vec![self.users.join(owner.to_string()).join("containers")]
    }
}

fn rootless(runtime_dir: &Path) -> [PathBuf; 2] {
    [runtime_dir.join("runc"), runtime_dir.join("crun")]
}
