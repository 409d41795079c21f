//! Finds the container in a cgroup path, by the names that runtimes give their cgroups.
//!
//! The functions do no I/O and accept any input. The resolver adds facts that only state on
//! disk has, such as the cgroup names that runc chooses freely and the names of containers.
//! The innermost container wins, for example with docker in docker or a pod of kind. A
//! cgroup that a container makes inside its own belongs to the container.

use std::borrow::Cow;

use super::runtime::{
    containerd, crio, docker, ecs, garden, kubernetes, lxc, nomad, nspawn, oci, podman, slurm,
};
use crate::model::Runtime;

/// The container that a path identifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    /// The runtime that made the cgroup.
    pub runtime: Runtime,
    /// Id, or name for LXC and systemd-nspawn.
    pub id: Cow<'a, str>,
    /// Uid of the pod that the path lies in.
    pub pod_uid: Option<String>,
    /// The container's own cgroup: the path itself or an ancestor.
    pub top: &'a str,
    /// Whether the name proves which runtime it is. A bare id does not, so state on disk may
    /// correct the runtime.
    pub is_certain: bool,
}

/// A component of a path with its neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathComponent<'p, 'a> {
    pub(super) name: &'a str,
    pub(super) above: &'p [&'a str],
    pub(super) below: Option<&'a str>,
}

impl<'a> PathComponent<'_, 'a> {
    pub(super) fn parent(&self) -> Option<&'a str> {
        self.above.last().copied()
    }
}

/// The container that one component identifies.
#[derive(Clone, Debug)]
pub(super) struct Recognized<'a> {
    pub(super) runtime: Runtime,
    pub(super) id: Cow<'a, str>,
    pub(super) is_certain: bool,
    /// Whether the container's own cgroup is the next component, because this component also
    /// holds processes of the runtime.
    pub(super) is_below: bool,
}

impl<'a> Recognized<'a> {
    pub(super) fn certain(runtime: Runtime, id: impl Into<Cow<'a, str>>) -> Self {
        Self {
            runtime,
            id: id.into(),
            is_certain: true,
            is_below: false,
        }
    }

    pub(super) fn likely(runtime: Runtime, id: impl Into<Cow<'a, str>>) -> Self {
        Self {
            is_certain: false,
            ..Self::certain(runtime, id)
        }
    }
}

type Recognizer = for<'a> fn(&PathComponent<'_, 'a>) -> Option<Recognized<'a>>;

/// The functions that recognize the cgroup names of the runtimes. Bare ids come last, because
/// they match names that other runtimes define.
const RECOGNIZERS: [Recognizer; 13] = [
    docker::recognize,
    podman::recognize,
    crio::recognize,
    containerd::recognize,
    oci::recognize,
    lxc::recognize,
    nspawn::recognize,
    nomad::recognize,
    slurm::recognize,
    garden::recognize,
    ecs::recognize,
    kubernetes::recognize,
    docker::recognize_bare_id,
];

/// The container that a cgroup belongs to, if its path identifies one.
#[must_use]
pub fn identify(path: &str) -> Option<Layout<'_>> {
    let components: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    for (depth, &name) in components.iter().enumerate().rev() {
        let component = PathComponent {
            name,
            above: &components[..depth],
            below: components.get(depth + 1).copied(),
        };
        let Some(recognized) = RECOGNIZERS
            .iter()
            .find_map(|recognize| recognize(&component))
        else {
            continue;
        };
        let last = if recognized.is_below {
            components.get(depth + 1).unwrap_or(&name)
        } else {
            &name
        };
        return Some(Layout {
            runtime: recognized.runtime,
            id: recognized.id,
            pod_uid: kubernetes::pod_uid(&components[..=depth]),
            top: up_to(path, last),
            is_certain: recognized.is_certain,
        });
    }
    None
}

/// The part of `path` up to the end of `component`, which is a slice of it.
fn up_to<'a>(path: &'a str, component: &str) -> &'a str {
    let end = component.as_ptr().addr() - path.as_ptr().addr() + component.len();
    &path[..end]
}

/// The user to which the subtree of a path is delegated. That user chooses the names in it.
pub(super) fn delegated_to(path: &str) -> Option<u32> {
    path.split('/').find_map(|component| {
        let uid = component.strip_prefix("user@")?.strip_suffix(".service")?;
        uid.parse().ok()
    })
}

/// Whether this can be the random id of a container engine, or a prefix of such an id that is
/// long enough to be recognized: 12 to 64 hexadecimal digits.
pub(super) fn is_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && is_hex(text)
}

/// Whether this can be a whole id of a container engine: 64 hexadecimal digits.
pub(super) fn is_full_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

/// Whether this is a UUID in its usual form, with lower-case digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && is_hex(&text.replace('-', ""))
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The id in `PREFIX-ID.scope` (systemd driver) or `PREFIX-ID` (cgroupfs).
pub(super) fn prefixed_id<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let id = name.strip_prefix(prefix)?;
    let id = id.strip_suffix(".scope").unwrap_or(id);
    is_id(id).then_some(id)
}
