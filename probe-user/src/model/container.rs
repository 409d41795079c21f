//! Names of a container, and the runtime that it belongs to.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::words::words;

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The runtime: the highest layer that is known, so docker rather than the runc
    /// below it.
    pub runtime: Runtime,
    /// Id as the runtime spells it; for LXC and systemd-nspawn the name.
    pub id: String,
    /// Name for people; `None` if the container has none or the runtime's state cannot
    /// be read.
    pub name: Option<String>,
    /// Uid of the Kubernetes pod that the container belongs to.
    pub pod_uid: Option<String>,
    /// `NAMESPACE/NAME` of that pod; `None` if the runtime's state does not have it or cannot
    /// be read.
    pub pod: Option<String>,
    /// Directory with the state of the runtime, such as a root of runc or a namespace of
    /// containerd: an id is unique only there. `None` if it is not known.
    pub location: Option<PathBuf>,
}

impl Container {
    /// Whether both describe one container: runtime, place of the state and id are equal. An
    /// unknown runtime or place counts as equal to any.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let may_be_one_place = match (&self.location, &other.location) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let is_unknown = [self, other]
            .iter()
            .any(|it| it.runtime == Runtime::Unknown);
        let may_be_one_runtime = self.runtime == other.runtime || is_unknown;
        may_be_one_place && may_be_one_runtime && self.id == other.id
    }

    /// Whether this is its id, or its name.
    fn is_called(&self, name: &str) -> bool {
        self.id == name || self.name.as_deref() == Some(name)
    }

    /// Whether its id is random and begins like this. An id that a user chose is a name, and a
    /// name has no abbreviation: `web` does not mean the container `web2`.
    #[must_use]
    pub fn has_id_prefix(&self, prefix: &str) -> bool {
        let is_hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        let is_random = matches!(
            self.runtime,
            Runtime::Nomad | Runtime::Garden | Runtime::Ecs
        ) || self.id.len() == 64 && self.id.bytes().all(is_hex);
        is_random && !prefix.is_empty() && self.id.starts_with(prefix)
    }

    /// Whether this is its id or name, perhaps after one of its qualifiers and a slash.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let is_qualified = || {
            let (above, last) = name.rsplit_once('/')?;
            let has_qualifier = self.qualifiers().any(|it| it == above);
            (has_qualifier && self.is_called(last)).then_some(())
        };
        self.is_called(name) || is_qualified().is_some()
    }

    /// What may stand before the id, as in `default/web`: the namespace of containerd or the
    /// last directory of the runtime's root, the runtime, and the pod with or without its
    /// namespace.
    fn qualifiers(&self) -> impl Iterator<Item = &str> {
        let place = self.location.as_deref().and_then(Path::file_name);
        let place = place.and_then(OsStr::to_str);
        let pod = self.pod.as_deref();
        let pod_name = pod.and_then(|it| Some(it.split_once('/')?.1));
        let known = [place, pod, pod_name].into_iter().flatten();
        known.chain([self.runtime.as_str()])
    }
}

words! {
    /// A container runtime.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Runtime {
        /// runc by itself.
        Runc = "runc",
        /// crun by itself.
        Crun = "crun",
        /// podman, over runc or crun.
        Podman = "podman",
        /// Docker.
        Docker = "docker",
        /// containerd: ctr, nerdctl, or Kubernetes through its CRI plugin.
        Containerd = "containerd",
        /// CRI-O.
        CriO = "cri-o",
        /// LXC, and LXD or Incus if their state cannot be read.
        Lxc = "lxc",
        /// LXD.
        Lxd = "lxd",
        /// Incus.
        Incus = "incus",
        /// systemd-nspawn, and other programs that register containers with machined.
        Nspawn = "systemd-nspawn",
        /// Nomad's drivers that run a task without another engine (`exec`, `raw_exec`, `java`).
        Nomad = "nomad",
        /// Slurm: a job or a step of a job.
        Slurm = "slurm",
        /// Garden of Cloud Foundry.
        Garden = "garden",
        /// Amazon ECS, where its agent runs the task without Docker (Fargate).
        Ecs = "ecs",
        /// The engine is not known: it names its cgroups by a random id alone, and its state
        /// cannot be read.
        Unknown = "unknown",
    }
}

impl Runtime {
    /// Whether liblxc runs the container, which gives the cgroups their names.
    #[must_use]
    pub const fn is_of_lxc(self) -> bool {
        matches!(self, Self::Lxc | Self::Lxd | Self::Incus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_identifies_a_container_of_one_runtime_and_one_place() {
        let container = |runtime, id: &str, location: Option<&str>| Container {
            runtime,
            id: id.to_owned(),
            name: None,
            pod_uid: None,
            pod: None,
            location: location.map(PathBuf::from),
        };
        let one = container(Runtime::Runc, "web", Some("/run/runc"));
        for (other, is_same) in [
            (one.clone(), true),
            (container(Runtime::Runc, "web", None), true),
            (container(Runtime::Unknown, "web", None), true),
            (container(Runtime::Runc, "web", Some("/run/other")), false),
            (container(Runtime::Crun, "web", Some("/run/runc")), false),
            (container(Runtime::Runc, "db", Some("/run/runc")), false),
        ] {
            assert_eq!(one.is_same(&other), is_same, "{other:?}");
            assert_eq!(other.is_same(&one), is_same, "{other:?}");
        }
    }
}
