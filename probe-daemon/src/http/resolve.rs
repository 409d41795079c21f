//! Resolution of paths, identities and container names to cgroup directories.

use probe_user::{
    model::CgroupId,
    unstable::{
        cgroup::mounts::Mounts,
        container::{FindError, Found},
        trace::lookup::CgroupLookup,
    },
};

use crate::{
    access::{
        directory::{self, CgroupDirectory},
        peer::Peer,
        refusal::Refusal,
    },
    state::state::{State, Tables},
};

/// Hint for a peer in other namespaces than the daemon, where pids and paths differ.
const BY_IDENTITY: &str = "name a cgroup by its identity: {\"cgroup\": {\"hierarchy\", \"id\"}}";

/// The cgroup directory at a peer's path.
pub(crate) fn directory(
    state: &mut State,
    peer: Peer,
    path: &str,
) -> Result<CgroupDirectory, Refusal> {
    refuse_foreign(peer, "a path")?;
    let directory = directory::parse(&state.tables.lookup.mounts, path)?;
    if state.visibility.includes(peer, &directory) {
        return Ok(directory);
    }
    let detail = format!("path '{path}' leads to another directory in the client's namespaces");
    Err(Refusal::bad(detail).hint(BY_IDENTITY))
}

/// The directory of the cgroup with this identity, if the daemon knows its path.
pub(crate) fn identity(state: &State, id: CgroupId) -> Result<CgroupDirectory, Refusal> {
    let path = state.tables.tracker.path(id);
    let mounts = &state.tables.lookup.mounts;
    let found = path.and_then(|path| directory::at(mounts, id.hierarchy, &path));
    found.ok_or_else(|| {
        let CgroupId { hierarchy, id } = id;
        Refusal::not_found(format!("no cgroup {id} in hierarchy {hierarchy}"))
    })
}

/// A container and the directories of its cgroups. A container that the peer may not see is not
/// found.
pub(crate) fn container(
    state: &mut State,
    peer: Peer,
    name: &str,
) -> Result<(Found, Vec<CgroupDirectory>), Refusal> {
    let found = find(state, peer, name).map_err(|error| not_found(name, &error))?;
    let directories = directories(&state.tables.lookup.mounts, &found.cgroups).collect();
    Ok((found, directories))
}

/// A container that exists and that the peer may see.
pub(crate) fn find(state: &mut State, peer: Peer, name: &str) -> Result<Found, FindError> {
    let Tables {
        tracker, lookup, ..
    } = &mut state.tables;
    let CgroupLookup {
        mounts, resolver, ..
    } = lookup;
    let is_seen = |cgroups: &[(u32, String)]| {
        let mut directories = directories(mounts, cgroups);
        peer.sees_all() || directories.any(|it| peer.sees_uid(None, it.owner()))
    };
    if let Some(found) = resolver.find_by_state(name, is_seen) {
        return Ok(found);
    }
    let known = tracker.known_cgroups();
    let known: Vec<_> = known
        .map(|(id, path)| (id.hierarchy, path.to_string()))
        .collect();
    resolver.find_visible(name, &known, is_seen)
}

/// The refusal for a name that means no container, or several.
pub(crate) fn not_found(name: &str, error: &FindError) -> Refusal {
    match error {
        FindError::Unknown { .. } => no_container(name),
        FindError::Ambiguous { .. } => {
            Refusal::bad(error.to_string()).hint("use the full id, NAMESPACE/ID or RUNTIME/ID")
        }
    }
}

pub(crate) fn no_container(name: &str) -> Refusal {
    Refusal::not_found(format!("no container '{}'", name.escape_debug()))
}

fn directories(
    mounts: &Mounts,
    cgroups: &[(u32, String)],
) -> impl Iterator<Item = CgroupDirectory> {
    let cgroups = cgroups.iter();
    cgroups.filter_map(|(hierarchy, path)| directory::at(mounts, *hierarchy, path))
}

/// Refuses pids and paths of a peer in another pid namespace, because they differ from
/// the daemon's.
pub(crate) fn refuse_foreign(peer: Peer, what: &str) -> Result<(), Refusal> {
    if !peer.is_foreign() {
        return Ok(());
    }
    let detail = format!("cannot resolve {what} of another pid namespace");
    Err(Refusal::bad(detail).hint(BY_IDENTITY))
}
