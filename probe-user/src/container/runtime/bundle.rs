//! Reads OCI bundles: the annotations in a container's `config.json` describe the engine
//! above runc or crun.

use std::{collections::HashMap, path::Path};

use serde::Deserialize;

use crate::{container::state_file, model::Runtime};

/// The description of a container in its bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::container) struct Described {
    /// The engine that made the bundle.
    pub(in crate::container) runtime: Option<Runtime>,
    pub(in crate::container) name: Option<String>,
    /// Uid of the Kubernetes pod.
    pub(in crate::container) pod_uid: Option<String>,
    /// `NAMESPACE/NAME` of the Kubernetes pod.
    pub(in crate::container) pod: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Config {
    annotations: Option<HashMap<String, String>>,
}

/// Reads `BUNDLE/config.json` in a directory that only the runtime writes.
pub(in crate::container) fn describe(bundle: &Path) -> Option<Described> {
    read(bundle, |_owner| true)
}

/// Reads `BUNDLE/config.json` in any directory, if root or `user` wrote the file. Root may run
/// a container from the bundle of another user, which could give it any name.
pub(in crate::container) fn describe_for(bundle: &Path, user: u32) -> Option<Described> {
    read(bundle, |owner| owner == 0 || owner == user)
}

fn read(bundle: &Path, is_trusted: impl Fn(u32) -> bool) -> Option<Described> {
    let file = state_file::read_in(bundle, "config.json")?;
    if !is_trusted(file.owner) {
        tracing::debug!(bundle = %bundle.display(), owner = file.owner, "ignoring untrusted bundle");
        return None;
    }
    let config: Config = file.json()?;
    let annotations = config.annotations.unwrap_or_default();
    Some(described(bundle, &annotations))
}

/// Reads the annotations of containerd's CRI plugin
/// <https://github.com/containerd/containerd/blob/301026e58c619e63d09c0ec411012e54c0124b03/internal/cri/annotations/annotations.go#L28-L79>,
/// the kubelet's labels, which CRI-O copies into annotations, and nerdctl
/// <https://github.com/containerd/nerdctl/blob/8da504083f1543446a003f5870dec1bc12a75b85/pkg/labels/labels.go#L23-L30>.
fn described(bundle: &Path, annotations: &HashMap<String, String>) -> Described {
    let first = |keys: &[&str]| {
        keys.iter()
            .find_map(|&key| annotations.get(key))
            .filter(|value| !value.is_empty())
            .cloned()
    };
    let pod_name = first(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]);
    let namespace = first(&[
        "io.kubernetes.cri.sandbox-namespace",
        "io.kubernetes.pod.namespace",
    ]);
    // A sandbox has no name of its own and gets that of its pod. CRI-O and cri-dockerd call every
    // sandbox `POD`, a name that Kubernetes allows for no container.
    let name = first(&[
        "io.kubernetes.cri.container-name",
        "io.kubernetes.container.name",
        "nerdctl/name",
    ])
    .filter(|name| name != "POD")
    .or_else(|| pod_name.clone());
    Described {
        runtime: runtime(bundle, annotations),
        name,
        pod_uid: first(&["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]),
        pod: pod_name.map(|name| format!("{}/{name}", namespace.unwrap_or_default())),
    }
}

fn runtime(bundle: &Path, annotations: &HashMap<String, String>) -> Option<Runtime> {
    // https://github.com/containers/podman/blob/c6580b4a5219c9efb9ab79a540637d8a58b736f8/pkg/annotations/annotations.go#L9-L23
    match annotations.get("io.container.manager").map(String::as_str) {
        Some("libpod") => return Some(Runtime::Podman),
        Some("cri-o") => return Some(Runtime::CriO),
        _ => {}
    }
    runtime_by_path(bundle)
}

/// The engine that keeps bundles at this path; `None` if the path belongs to no engine.
pub(in crate::container) fn runtime_by_path(bundle: &Path) -> Option<Runtime> {
    let mut above = bundle.iter().rev().skip(1).filter_map(|it| it.to_str());
    let (namespace, tasks) = (above.next()?, above.next()?);
    match (namespace, tasks) {
        // `moby` is Docker's namespace in containerd.
        ("moby", "io.containerd.runtime.v2.task") => Some(Runtime::Docker),
        (_, "io.containerd.runtime.v2.task") => Some(Runtime::Containerd),
        (_, driver) if driver.ends_with("-containers") && bundle.ends_with("userdata") => {
            Some(Runtime::Podman)
        }
        _ => None,
    }
}
