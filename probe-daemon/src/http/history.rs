//! The containers in the history that a name means.
//!
//! A name passes from one container to the next, and a container may be renamed. The records
//! have the name at the time of the exit, and the engine's state has the present name; both
//! lead to the identity of a container, and that to all its records.

use std::{collections::HashMap, sync::Arc};

use probe_user::{
    model::{Container, Exit, Placed},
    unstable::container::FindError,
};

use super::resolve;
use crate::{
    access::{peer::Peer, refusal::Refusal},
    state::state::State,
};

/// The containers that a name means.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// The newest container, or all of them.
    pub(crate) containers: Vec<Arc<Container>>,
    /// Hierarchy id and path of each cgroup of the newest container, if it exists.
    pub(crate) cgroups: Vec<(u32, String)>,
    /// Number of older containers with the name that are left out.
    pub(crate) others: usize,
}

/// A container in the history.
struct Past {
    /// The container as its newest record has it.
    container: Arc<Container>,
    /// Whether one of its records has the wanted name.
    is_named: bool,
}

/// Finds the newest container with this id or name, or all of them. An existing container
/// precedes those that are gone. If there are none, the name is the unique prefix of an id.
/// `is_seen` tells which exits the peer may see.
pub(crate) fn find(
    state: &mut State,
    peer: Peer,
    name: &str,
    all: bool,
    is_seen: impl Fn(&Placed<Exit>) -> bool,
) -> Result<Named, Refusal> {
    let (existing, cgroups) = match resolve::find(state, peer, name) {
        Ok(found) => (vec![found.container], found.cgroups),
        Err(FindError::Unknown { .. }) => (Vec::new(), Vec::new()),
        Err(FindError::Ambiguous { matches, .. }) if all => {
            let containers = matches.into_iter().map(|it| it.container);
            (containers.collect(), Vec::new())
        }
        Err(error) => return Err(resolve::not_found(name, &error)),
    };
    let past = past(state, name, is_seen);
    if let Some(pod) = name.strip_prefix("pod:") {
        let uid = existing.first().and_then(|it| it.pod_uid.clone());
        return of_pod(name, pod, uid.as_deref(), &past, cgroups);
    }
    // A name in the history precedes an existing container that has only an id with this prefix.
    let is_by_prefix = |it: &Arc<Container>| !it.is_named(name) && it.has_id_prefix(name);
    let mut named = existing.clone();
    if past.iter().any(|it| it.is_named) {
        named.retain(|it| !is_by_prefix(it));
    }
    for it in past.iter().filter(|it| it.is_named) {
        if !named.iter().any(|known| known.is_same(&it.container)) {
            named.push(Arc::clone(&it.container));
        }
    }
    if named.is_empty() {
        named.extend(by_prefix(name, &past)?);
    }
    let is_existing = named
        .first()
        .is_some_and(|it| existing.first().is_some_and(|first| first.is_same(it)));
    let others = if all {
        0
    } else {
        named.len().saturating_sub(1)
    };
    named.truncate(named.len() - others);
    Ok(Named {
        containers: named,
        cgroups: if is_existing { cgroups } else { Vec::new() },
        others,
    })
}

/// The containers of all exits that the peer may see, the newest first.
fn past(state: &State, name: &str, is_seen: impl Fn(&Placed<Exit>) -> bool) -> Vec<Past> {
    let mut past: Vec<Past> = Vec::new();
    // The records of a container share the description, so it is compared once.
    let mut known: HashMap<*const Container, usize> = HashMap::new();
    let exits = state.tables.history.iter().rev().map(|it| it.exit);
    for exit in exits.filter(|exit| is_seen(exit)) {
        let Some(container) = &exit.container else {
            continue;
        };
        known.entry(Arc::as_ptr(container)).or_insert_with(|| {
            let same = past.iter().position(|it| it.container.is_same(container));
            let index = same.unwrap_or_else(|| {
                past.push(Past {
                    container: Arc::clone(container),
                    is_named: false,
                });
                past.len() - 1
            });
            past[index].is_named |= container.is_named(name);
            index
        });
    }
    past
}

/// The only container with this prefix of an id.
fn by_prefix(name: &str, past: &[Past]) -> Result<Option<Arc<Container>>, Refusal> {
    let has_prefix = |it: &&Past| it.container.has_id_prefix(name);
    let mut found = past.iter().filter(has_prefix);
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => {
            let detail = format!("several container ids begin with '{}'", name.escape_debug());
            Err(Refusal::bad(detail).hint("use a longer prefix of the id"))
        }
        (Some(it), None) => Ok(Some(Arc::clone(&it.container))),
        (None, _) => Err(resolve::no_container(name)),
    }
}

/// All containers of the pod `NAMESPACE/NAME`, which may be gone.
fn of_pod(
    name: &str,
    pod: &str,
    uid: Option<&str>,
    past: &[Past],
    cgroups: Vec<(u32, String)>,
) -> Result<Named, Refusal> {
    let is_of_pod = |it: &Container| {
        let is_one_uid = uid.is_some() && it.pod_uid.as_deref() == uid;
        is_one_uid || it.pod.as_deref() == Some(pod)
    };
    let containers = past.iter().map(|it| Arc::clone(&it.container));
    let containers: Vec<_> = containers.filter(|it| is_of_pod(it)).collect();
    if containers.is_empty() && cgroups.is_empty() {
        return Err(resolve::no_container(name));
    }
    Ok(Named {
        containers,
        cgroups,
        others: 0,
    })
}
