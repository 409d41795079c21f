//! Finds the name of a container in the state that its runtime keeps on disk.

use super::{
    index::Index,
    layout::{Layout, delegated_to},
    locate::{Located, Source},
    monitor,
    record::Record,
    runtime::{bundle::Described, containerd, crio, docker, lxc},
};
use crate::model::{Container, Runtime};

/// The located container with its name and its pod.
pub(super) fn describe(index: &mut Index, located: &Located<'_>) -> Container {
    let (layout, record) = match &located.source {
        Source::Recorded(record) => return record.container.clone(),
        Source::Path(layout, record) => (layout, record.as_deref()),
    };
    let described = described(index, layout, record);
    let runtime = match described.runtime {
        Some(runtime) if !layout.is_certain => runtime,
        _ => layout.runtime,
    };
    let (runtime, id) = match runtime {
        Runtime::Lxc => lxc::by_cgroup(&index.roots, &layout.id),
        _ => (runtime, layout.id.as_ref()),
    };
    let is_named_by_id = runtime.is_of_lxc() || runtime == Runtime::Nspawn;
    Container {
        runtime,
        id: id.to_owned(),
        name: described
            .name
            .or_else(|| is_named_by_id.then(|| id.to_owned())),
        pod_uid: layout.pod_uid.clone().or(described.pod_uid),
        pod: described.pod,
        location: record.map(|it| it.location.clone()),
    }
}

fn described(index: &mut Index, layout: &Layout<'_>, record: Option<&Record>) -> Described {
    let runtime = record.map(|it| it.container.runtime);
    if let Some(record) = record
        && record.container.name.is_some()
    {
        let Container {
            name, pod_uid, pod, ..
        } = record.container.clone();
        return Described {
            runtime,
            name,
            pod_uid,
            pod,
        };
    }
    let mut described = looked_up(index, layout).unwrap_or_default();
    described.runtime = described.runtime.or(runtime);
    let is_monitored = !layout.is_certain || layout.runtime == Runtime::Podman;
    if is_monitored
        && described.name.is_none()
        && let Some(found) = monitor::describe(&index.roots.evidence, &layout.id, layout.top)
    {
        return found;
    }
    described
}

/// The description in the runtime's state. Root's state is not used for a cgroup below a
/// delegated one, because a user may give such a cgroup the id of root's container.
fn looked_up(index: &mut Index, layout: &Layout<'_>) -> Option<Described> {
    let id = layout.id.as_ref();
    let Index { roots, names, .. } = index;
    let user = delegated_to(layout.top);
    if layout.runtime == Runtime::Podman {
        let name = names.get(&roots.stores_of(user.unwrap_or(0)), id);
        return Some(named(layout.runtime, name?));
    }
    if user.is_some() {
        return None;
    }
    let of_docker = || {
        let name = roots.docker.iter().find_map(|root| docker::name(root, id));
        Some(named(Runtime::Docker, name?))
    };
    let of_containerd = || containerd::describe(&roots.tasks, id);
    match (layout.runtime, layout.is_certain) {
        (Runtime::Docker, true) => of_docker(),
        (Runtime::Docker | Runtime::Unknown, false) => of_docker().or_else(of_containerd),
        (Runtime::Containerd, true) => of_containerd(),
        (Runtime::Containerd, false) => of_containerd().or_else(of_docker),
        (Runtime::CriO, _) => crio::describe(&roots.stores, id),
        _ => None,
    }
}

fn named(runtime: Runtime, name: String) -> Described {
    Described {
        runtime: Some(runtime),
        name: Some(name),
        ..Described::default()
    }
}
