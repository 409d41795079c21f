//! Cgroup path → container, by the names that runtimes give their cgroups.
//!
//! Pure: no I/O, any input. What only state on disk can tell (a bare name made
//! by runc, the name of a container) is the resolver's. The innermost container
//! wins, so what runs inside docker inside docker, or in a pod of kind, is the
//! inner one's; sub-cgroups that a container makes belong to it.

use std::borrow::Cow;

use super::runtime::{containerd, crio, docker, kubernetes, lxc, nspawn, oci, podman};
use crate::model::Runtime;

/// What a path says about its container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    /// Whose it is.
    pub runtime: Runtime,
    /// Id, or name for LXC and systemd-nspawn.
    pub id: Cow<'a, str>,
    /// Pod that the path lies in.
    pub pod_uid: Option<String>,
    /// The container's own cgroup: the path itself or an ancestor.
    pub top: &'a str,
    /// Whether the name says which runtime it is. A bare id does not: state on
    /// disk may know better.
    pub is_certain: bool,
}

/// One component of a path and what surrounds it.
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

/// What one component says.
#[derive(Clone, Debug)]
pub(super) struct Named<'a> {
    pub(super) runtime: Runtime,
    pub(super) id: Cow<'a, str>,
    pub(super) is_certain: bool,
    /// Whether the container has only the component below, and the one named
    /// also holds what is not the container's.
    pub(super) is_below: bool,
}

impl<'a> Named<'a> {
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

type Family = for<'a> fn(&PathComponent<'_, 'a>) -> Option<Named<'a>>;

/// Bare ids come last: what is known by a name of its own is no bare id.
const FAMILIES: [Family; 9] = [
    docker::named,
    podman::named,
    crio::named,
    containerd::named,
    oci::named,
    lxc::named,
    nspawn::named,
    kubernetes::named,
    docker::bare,
];

/// The container that a cgroup belongs to, as far as its path tells.
#[must_use]
pub fn identify(path: &str) -> Option<Layout<'_>> {
    let components: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    for (depth, &name) in components.iter().enumerate().rev() {
        let place = PathComponent {
            name,
            above: &components[..depth],
            below: components.get(depth + 1).copied(),
        };
        let Some(named) = FAMILIES.iter().find_map(|family| family(&place)) else {
            continue;
        };
        let last = if named.is_below {
            components.get(depth + 1).unwrap_or(&name)
        } else {
            &name
        };
        return Some(Layout {
            runtime: named.runtime,
            id: named.id,
            pod_uid: kubernetes::pod_uid(&components[..=depth]),
            top: up_to(path, last),
            is_certain: named.is_certain,
        });
    }
    None
}

/// `path` to the end of `component`, which is a slice of it.
fn up_to<'a>(path: &'a str, component: &str) -> &'a str {
    let end = component.as_ptr().addr() - path.as_ptr().addr() + component.len();
    &path[..end]
}

/// The user in whose delegated subtree a path lies, where names are that user's
/// to choose.
pub(super) fn delegated_to(path: &str) -> Option<u32> {
    path.split('/').find_map(|component| {
        let uid = component.strip_prefix("user@")?.strip_suffix(".service")?;
        uid.parse().ok()
    })
}

/// Whether this can be the random id of a container engine: 64 hexadecimal
/// digits, or a beginning of it long enough to be meant as one.
pub(super) fn is_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && is_hex(text)
}

/// Whether this is such an id in full.
pub(super) fn is_full_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
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
