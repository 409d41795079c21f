//! Where runtimes keep their state on a machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{evidence::Evidence, runtime::containerd::namespaces};
use crate::cgroup::mounts::Mounts;

/// Directories that runtimes keep state in, and what is needed to judge it.
#[derive(Clone, Debug)]
pub struct StateRoots {
    pub(super) evidence: Evidence,
    /// Roots of runc and crun: one directory a container.
    pub(super) oci: Vec<PathBuf>,
    /// Directories of such roots: one a containerd namespace.
    pub(super) oci_by_namespace: Vec<PathBuf>,
    /// `XDG_RUNTIME_DIR` of every user: `run/user`.
    pub(super) users: PathBuf,
    /// Docker's data roots.
    pub(super) docker: Vec<PathBuf>,
    /// containerd's bundles: a directory a namespace, a directory a task.
    pub(super) tasks: Vec<PathBuf>,
    /// Stores of the storage library of podman and CRI-O.
    pub(super) stores: Vec<PathBuf>,
    /// LXC's containers.
    pub(super) lxc: Vec<PathBuf>,
    /// machined's files.
    pub(super) machines: PathBuf,
}

impl StateRoots {
    /// Those of this machine. `runtime_dir` is `XDG_RUNTIME_DIR`, `runtime_roots`
    /// what runtimes were given as `--root`.
    #[must_use]
    pub fn system(runtime_dir: Option<PathBuf>, runtime_roots: Vec<PathBuf>) -> Self {
        let mounts = Mounts::read().unwrap_or_else(|error| {
            tracing::debug!(%error, "no cgroup mounts: no user's state is believed");
            Mounts::default()
        });
        let mut roots = Self::below(Path::new("/"), mounts);
        roots.oci.extend(runtime_roots);
        if let Some(directory) = runtime_dir {
            roots.oci.extend(rootless(&directory));
            roots.stores.push(directory.join("containers"));
        }
        roots.oci.sort();
        roots.oci.dedup();
        roots
    }

    /// Those of a machine whose root directory is `root`, with `mounts` as its
    /// cgroup mounts.
    #[must_use]
    pub fn below(root: &Path, mounts: Mounts) -> Self {
        let all = |paths: &[&str]| paths.iter().map(|path| root.join(path)).collect();
        Self {
            evidence: Evidence {
                mounts,
                proc: root.join("proc"),
            },
            oci: all(&["run/runc", "run/crun"]),
            oci_by_namespace: all(&["run/containerd/runc", "run/docker/runtime-runc"]),
            users: root.join("run/user"),
            docker: all(&["var/lib/docker"]),
            tasks: all(&[
                "run/containerd/io.containerd.runtime.v2.task",
                "run/k3s/containerd/io.containerd.runtime.v2.task",
            ]),
            stores: all(&["var/lib/containers/storage", "run/containers/storage"]),
            lxc: all(&["var/lib/lxc"]),
            machines: root.join("run/systemd/machines"),
        }
    }

    /// Every directory that is looked into, there or not, without what lies below
    /// another one of them.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let several = [
            &self.oci,
            &self.oci_by_namespace,
            &self.docker,
            &self.tasks,
            &self.stores,
            &self.lxc,
        ];
        let single = [&self.users, &self.machines];
        let mut all: Vec<_> = several
            .into_iter()
            .flatten()
            .chain(single)
            .cloned()
            .collect();
        // A path sorts before what lies below it.
        all.sort();
        all.dedup_by(|lower, upper| lower.starts_with(upper));
        all
    }

    /// Every root of runc and crun that there may be now: namespaces come with
    /// their first container, users' directories with their first login.
    pub(super) fn oci_roots(&self) -> Vec<PathBuf> {
        let by_namespace = self.oci_by_namespace.iter().flat_map(|it| namespaces(it));
        let by_user = directories(&self.users)
            .into_iter()
            .flat_map(|it| rootless(&it));
        let mut roots: Vec<_> = self
            .oci
            .iter()
            .cloned()
            .chain(by_namespace)
            .chain(by_user)
            .collect();
        roots.sort();
        roots.dedup();
        roots
    }

    /// Stores whose lists may name a container of this user.
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

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
