//! OCI bundles: what the annotations of a container's `config.json` say about
//! the layer above runc or crun.

use std::{collections::HashMap, path::Path};

use serde::Deserialize;

use crate::{container::state_file, model::Runtime};

/// What a bundle says about its container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::container) struct Described {
    /// Who made the bundle.
    pub(in crate::container) runtime: Option<Runtime>,
    pub(in crate::container) name: Option<String>,
    pub(in crate::container) pod: Option<Pod>,
}

/// A Kubernetes pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::container) struct Pod {
    pub(in crate::container) namespace: String,
    pub(in crate::container) name: String,
    pub(in crate::container) uid: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Config {
    annotations: Option<HashMap<String, String>>,
}

/// Reads `BUNDLE/config.json` in a directory that is the runtime's alone.
pub(in crate::container) fn describe(bundle: &Path) -> Option<Described> {
    read(bundle, |_owner| true)
}

/// The same wherever the bundle is, if root or this user wrote it: root may run
/// a container from a user's bundle, who could then name it as he likes.
pub(in crate::container) fn describe_for(bundle: &Path, user: u32) -> Option<Described> {
    read(bundle, |owner| owner == 0 || owner == user)
}

fn read(bundle: &Path, is_believed: impl Fn(u32) -> bool) -> Option<Described> {
    let file = state_file::read_in(bundle, "config.json")?;
    if !is_believed(file.owner) {
        tracing::debug!(bundle = %bundle.display(), owner = file.owner, "bundle not believed");
        return None;
    }
    let config: Config = file.json()?;
    let annotations = config.annotations.unwrap_or_default();
    Some(described(bundle, &annotations))
}

/// Names of the annotations: containerd's CRI plugin
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
    let pod = pod_name.map(|name| Pod {
        name,
        namespace: first(&[
            "io.kubernetes.cri.sandbox-namespace",
            "io.kubernetes.pod.namespace",
        ])
        .unwrap_or_default(),
        uid: first(&["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]),
    });
    // A sandbox has no name of its own: it goes by its pod's.
    let name = first(&[
        "io.kubernetes.cri.container-name",
        "io.kubernetes.container.name",
        "nerdctl/name",
    ])
    .or_else(|| pod.as_ref().map(|pod| pod.name.clone()));
    Described {
        runtime: maker(bundle, annotations),
        name,
        pod,
    }
}

fn maker(bundle: &Path, annotations: &HashMap<String, String>) -> Option<Runtime> {
    // https://github.com/containers/podman/blob/c6580b4a5219c9efb9ab79a540637d8a58b736f8/pkg/annotations/annotations.go#L9-L23
    match annotations.get("io.container.manager").map(String::as_str) {
        Some("libpod") => return Some(Runtime::Podman),
        Some("cri-o") => return Some(Runtime::CriO),
        _ => {}
    }
    maker_by_place(bundle)
}

/// Who makes bundles there; `None` if anybody may.
pub(in crate::container) fn maker_by_place(bundle: &Path) -> Option<Runtime> {
    let mut places = bundle.iter().rev().skip(1).filter_map(|it| it.to_str());
    let (namespace, tasks) = (places.next()?, places.next()?);
    match (namespace, tasks) {
        // Docker's own namespace in containerd.
        ("moby", "io.containerd.runtime.v2.task") => Some(Runtime::Docker),
        (_, "io.containerd.runtime.v2.task") => Some(Runtime::Containerd),
        (_, driver) if driver.ends_with("-containers") && bundle.ends_with("userdata") => {
            Some(Runtime::Podman)
        }
        _ => None,
    }
}
