//! Recognizes containers of containerd: ctr, nerdctl and the CRI plugin.
//!
//! CRI: `cri-containerd-ID.scope` in the slice of the pod, or a bare id in its
//! cgroup (`kubernetes.rs`).
//! <https://github.com/containerd/containerd/blob/301026e58c619e63d09c0ec411012e54c0124b03/internal/cri/server/helpers.go#L446-L455>
//! ctr: `/NAMESPACE/ID`.
//! <https://github.com/containerd/containerd/blob/301026e58c619e63d09c0ec411012e54c0124b03/pkg/oci/spec.go#L209>
//! nerdctl: `/NAMESPACE/ID` or `nerdctl-ID.scope`.
//! <https://github.com/containerd/nerdctl/blob/8da504083f1543446a003f5870dec1bc12a75b85/pkg/cmd/container/run_cgroup_linux.go#L230-L266>
//! Kata: `kata_ID` in the cgroup of the pod for the virtual CPUs, and `/kata_overhead/ID` or
//! `kata_overhead-ID.scope` for the rest of the virtual machine, with the id of the sandbox.
//! Docker may run Kata, too; then its state has the id.
//! <https://github.com/kata-containers/kata-containers/blob/242f5d7f4b64de6bcff5b0b6e1423fb92f667521/docs/design/host-cgroups.md>

use std::{
    fs::DirEntry,
    path::{Path, PathBuf},
};

use super::bundle::{self, Described};
use crate::{
    container::{
        layout::{PathComponent, Recognized, is_full_id, is_id, prefixed_id},
        state_file,
    },
    model::Runtime,
};

/// Default namespaces of ctr and nerdctl, and of the CRI plugin.
const NAMESPACES: [&str; 2] = ["default", "k8s.io"];

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let prefixed = prefixed_id(component.name, "cri-containerd-")
        .or_else(|| prefixed_id(component.name, "nerdctl-"));
    if let Some(id) = prefixed {
        return Some(Recognized::certain(Runtime::Containerd, id));
    }
    let sandbox = prefixed_id(component.name, "kata_overhead-")
        .or_else(|| prefixed_id(component.name, "kata_"))
        .or_else(|| {
            let is_overhead = component.parent() == Some("kata_overhead");
            (is_overhead && is_id(component.name)).then_some(component.name)
        });
    if let Some(id) = sandbox {
        return Some(Recognized::likely(Runtime::Containerd, id));
    }
    let is_in_namespace = component
        .parent()
        .is_some_and(|it| NAMESPACES.contains(&it));
    (is_in_namespace && is_full_id(component.name))
        .then(|| Recognized::likely(Runtime::Containerd, component.name))
}

/// The description in the bundle of a task: `TASKS/NAMESPACE/ID`.
pub(in crate::container) fn describe(tasks: &[PathBuf], id: &str) -> Option<Described> {
    tasks
        .iter()
        .flat_map(|tasks| namespaces(tasks))
        .find_map(|namespace| bundle::describe(&namespace.join(id)))
}

/// Directories of the namespaces below a state directory.
pub(in crate::container) fn namespaces(directory: &Path) -> Vec<PathBuf> {
    let is_directory = |it: &DirEntry| it.file_type().is_ok_and(|kind| kind.is_dir());
    let directories = state_file::entries(directory).filter(is_directory);
    directories.map(|entry| entry.path()).collect()
}
