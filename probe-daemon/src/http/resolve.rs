//! From what a request names to what is meant: a cgroup or a process that is
//! there, by identity.
//!
//! The daemon is no deputy: it opens no path as a client wrote it. A path is
//! taken apart, resolved below a cgroup mount without following any link, and
//! what it leads to is opened by the daemon's own name for it.

use probe_user::{
    model::CgroupId,
    unstable::{
        cgroup::mounts::Mounts,
        container::{FindError, Found},
    },
};

use crate::{
    access::{
        peer::Peer,
        place::{Place, at, place},
        refusal::Refusal,
    },
    state::state::State,
};

/// For a peer whose names mean something else.
const BY_IDENTITY: &str = "ask by identity: {\"cgroup\": {\"hierarchy\", \"id\"}}";

/// The cgroup that a directory of a cgroup mount is.
pub(crate) fn directory(state: &mut State, peer: Peer, path: &str) -> Result<Place, Refusal> {
    refuse_foreign(peer, "a path")?;
    let place = place(state.places.mounts(), path)?;
    if state.views.lead_to(peer, &place) {
        return Ok(place);
    }
    let detail = format!("'{path}' leads to another place where you are");
    Err(Refusal::bad(detail).hint(BY_IDENTITY))
}

/// The cgroup that has this identity, if the daemon knows where it lies.
pub(crate) fn identity(state: &State, id: CgroupId) -> Result<Place, Refusal> {
    let path = state.tracker.path(id);
    let place = path.and_then(|path| at(state.places.mounts(), id.hierarchy, &path));
    place.ok_or_else(|| {
        let CgroupId { hierarchy, id } = id;
        Refusal::not_found(format!("no cgroup {id} in hierarchy {hierarchy}"))
    })
}

/// A container and its cgroups. One that is not the peer's is not there.
pub(crate) fn container(
    state: &mut State,
    peer: Peer,
    name: &str,
) -> Result<(Found, Vec<Place>), Refusal> {
    let known = state.tracker.places();
    let known: Vec<_> = known
        .map(|(id, path)| (id.hierarchy, path.to_string()))
        .collect();
    let unknown = || Refusal::not_found(format!("no container '{}'", name.escape_debug()));
    let mounts = state.places.mounts().clone();
    let is_seen = |cgroups: &[(u32, String)]| {
        let mut places = places(&mounts, cgroups);
        peer.sees_all() || places.any(|it| peer.sees_uid(None, it.owner()))
    };
    let found = state
        .places
        .find(name, &known, is_seen)
        .map_err(|error| match error {
            FindError::Unknown { .. } => unknown(),
            error @ FindError::Ambiguous { .. } => {
                Refusal::bad(error.to_string()).hint("give more of its id")
            }
        })?;
    let places = places(&mounts, &found.cgroups).collect();
    Ok((found, places))
}

fn places(mounts: &Mounts, cgroups: &[(u32, String)]) -> impl Iterator<Item = Place> {
    let cgroups = cgroups.iter();
    cgroups.filter_map(|(hierarchy, path)| at(mounts, *hierarchy, path))
}

/// Pids and paths of another namespace mean something else there.
pub(crate) fn refuse_foreign(peer: Peer, what: &str) -> Result<(), Refusal> {
    if !peer.is_foreign() {
        return Ok(());
    }
    let detail = format!("{what} of another pid namespace means nothing here");
    Err(Refusal::bad(detail).hint(BY_IDENTITY))
}
