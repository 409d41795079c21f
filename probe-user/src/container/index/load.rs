//! Reads an entry of a state directory and keeps the trusted parts of it.

use std::{path::Path, sync::Arc};

use super::entry::{Entry, Known};
use crate::{
    container::{
        record::{Claim, Record},
        roots::StateRoots,
        runtime::{
            bundle::{self, Described},
            nspawn,
            oci::{self, State},
            podman,
        },
        trust::{self, InitVerdict, LivingInit},
    },
    model::{Container, Runtime},
};

/// The record of an id that has no state yet.
pub(super) fn pending(root: &Path, id: &str) -> Record {
    let runtime = if root.ends_with("crun") {
        Runtime::Crun
    } else {
        Runtime::Runc
    };
    Record {
        container: Container {
            runtime,
            id: id.to_owned(),
            name: None,
            pod_uid: None,
            pod: None,
            location: Some(root.to_owned()),
        },
        owner: 0,
        location: root.to_owned(),
        cgroups: Vec::new(),
        docker_root: None,
        unit: None,
        init: None,
    }
}

/// Reads an entry of a state directory.
pub(super) fn load(
    roots: &StateRoots,
    names: &mut podman::Names,
    path: &Path,
    name: &str,
) -> Entry {
    if path == roots.machines {
        return machine(roots, name);
    }
    match oci::state(&path.join(name), &roots.evidence.mounts) {
        Some(state) => container(roots, names, path, name, state),
        None => Entry::Pending,
    }
}

/// A container of runc or crun with the trusted parts of its state.
fn container(
    roots: &StateRoots,
    names: &mut podman::Names,
    location: &Path,
    id: &str,
    state: State,
) -> Entry {
    let State {
        runtime,
        owner,
        cgroups,
        init,
        bundle,
        docker_root,
    } = state;
    let living = init.and_then(|init| match owner {
        // The user of the process does not matter for state of root.
        0 => roots.evidence.init(init.pid).map(LivingInit::started),
        _ => roots.evidence.living(init.pid),
    });
    let start_ticks = init.map_or(0, |init| init.start_ticks);
    let verdict = trust::check_init(owner, start_ticks, living.as_ref());
    let owner_of = |claim: &Claim| roots.evidence.cgroup_owner(claim.hierarchy, &claim.path);
    let claims = cgroups
        .into_iter()
        .filter(|claim| owner == 0 || trust::accepts_claim(owner, verdict, owner_of(claim)));
    let cgroups: Vec<_> = claims.collect();
    let init = init.filter(|_| verdict == InitVerdict::Verified);
    if owner != 0 && cgroups.is_empty() && init.is_none() {
        tracing::debug!(id, owner, "ignoring untrusted container state");
        return Entry::Known(Known::Nothing);
    }
    let described = describe(names, roots, id, owner, bundle.as_deref());
    Entry::Known(Known::Container(Arc::new(Record {
        container: Container {
            runtime: described.runtime.unwrap_or(runtime),
            id: id.to_owned(),
            name: described.name,
            pod_uid: described.pod_uid,
            pod: described.pod,
            location: Some(location.to_owned()),
        },
        owner,
        location: location.to_owned(),
        cgroups,
        docker_root: docker_root.filter(|_| owner == 0),
        unit: None,
        init,
    })))
}

/// The description of the container by the engine above runc or crun, such as podman.
fn describe(
    names: &mut podman::Names,
    roots: &StateRoots,
    id: &str,
    owner: u32,
    bundle: Option<&Path>,
) -> Described {
    let Some(path) = bundle else {
        return Described::default();
    };
    let mut described = bundle::describe_for(path, owner).unwrap_or_default();
    described.runtime = described.runtime.or_else(|| bundle::runtime_by_path(path));
    if described.runtime == Some(Runtime::Podman) && described.name.is_none() {
        let stores = roots.stores_of(owner);
        // The bundle is `STORE/overlay-containers/ID/userdata` in a store at any path.
        described.name = path
            .ancestors()
            .nth(2)
            .and_then(|driver| names.get_in_driver(driver, id, owner))
            .or_else(|| names.get(&stores, id));
    }
    described
}

/// Reads a machine of machined. Only root writes machined's files.
fn machine(roots: &StateRoots, name: &str) -> Entry {
    let Some(machine) = nspawn::machine(&roots.machines, name) else {
        return Entry::Known(Known::Nothing);
    };
    if !machine.is_container {
        return Entry::Known(Known::VirtualMachine(machine.unit));
    }
    let leader = machine.leader;
    let init = leader.and_then(|pid| roots.evidence.leader(pid, &machine.unit));
    Entry::Known(Known::Container(Arc::new(Record {
        container: Container {
            runtime: Runtime::Nspawn,
            id: machine.name.clone(),
            name: Some(machine.name),
            pod_uid: None,
            pod: None,
            location: Some(roots.machines.clone()),
        },
        owner: machine.owner,
        location: roots.machines.clone(),
        cgroups: Vec::new(),
        docker_root: None,
        unit: Some(machine.unit),
        init,
    })))
}
