//! Recognizes the cgroups that the kubelet makes for pods, and containers in them.
//!
//! `kubepods/[burstable|besteffort/]podUID` (cgroupfs driver), or
//! `kubepods-[burstable-|besteffort-]podUID.slice` with `_` for `-` (systemd
//! driver), both below `--cgroup-root`. The uid of a static pod is a hash: 32
//! hexadecimal digits without dashes.
//! <https://github.com/kubernetes/kubernetes/blob/00ac878efc72b054488300fe600d8a75283b6605/pkg/kubelet/cm/cgroup_manager_linux.go#L51-L87>

use crate::{
    container::layout::{PathComponent, Recognized, is_id},
    model::Runtime,
};

/// Recognizes a bare id in the cgroup of a pod, and `SLICE:PREFIX:ID` as the name of one
/// directory. The kubelet passes this path for the systemd driver, and a runtime that does
/// not use that driver makes a directory of it.
/// <https://github.com/kubernetes/kubernetes/issues/106514>
pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    if let Some((_slice, prefix, id)) = unexpanded(component.name) {
        let runtime = match prefix {
            "cri-containerd" | "nerdctl" => Runtime::Containerd,
            "crio" => Runtime::CriO,
            "docker" => Runtime::Docker,
            "libpod" => Runtime::Podman,
            _ => return None,
        };
        return Some(Recognized::certain(runtime, id));
    }
    let (_parent, above) = component.above.split_last()?;
    let is_in_pod = component
        .parent()
        .is_some_and(|parent| uid(parent, above).is_some());
    // containerd's CRI plugin, or cri-dockerd.
    (is_in_pod && is_id(component.name))
        .then(|| Recognized::likely(Runtime::Containerd, component.name))
}

fn unexpanded(name: &str) -> Option<(&str, &str, &str)> {
    let (slice, rest) = name.split_once(':')?;
    let (prefix, id) = rest.split_once(':')?;
    let is_slice = slice.strip_suffix(".slice").is_some();
    (is_slice && !id.is_empty() && !id.contains(':')).then_some((slice, prefix, id))
}

/// Uid of the innermost pod that `components` lie in.
pub(in crate::container) fn pod_uid(components: &[&str]) -> Option<String> {
    (0..components.len()).rev().find_map(|depth| {
        let name = components[depth];
        let name = unexpanded(name).map_or(name, |(slice, _, _)| slice);
        uid(name, &components[..depth])
    })
}

/// Whether a path is the cgroup of the pod with this uid.
pub(in crate::container) fn is_pod(path: &str, wanted: &str) -> bool {
    let components: Vec<&str> = path.split('/').collect();
    let name = components.split_last();
    name.is_some_and(|(name, above)| uid(name, above).as_deref() == Some(wanted))
}

fn uid(name: &str, above: &[&str]) -> Option<String> {
    if let Some(slice) = name.strip_suffix(".slice") {
        // The name of the kubelet's cgroup root may precede: `kubelet-kubepods-…`.
        let below = &slice[slice.find("kubepods")?..];
        let (_class, uid) = below.split_once("-pod")?;
        return is_valid_uid(uid).then(|| uid.replace('_', "-"));
    }
    let uid = name.strip_prefix("pod")?;
    let is_in_kubepods = above.iter().rev().take(2).any(|it| *it == "kubepods");
    (is_in_kubepods && is_valid_uid(uid)).then(|| uid.to_owned())
}

fn is_valid_uid(uid: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !uid.is_empty() && uid.bytes().all(is_allowed)
}
