//! Which records a request is about, and which of them the peer may see.

use std::{collections::HashMap, sync::Arc};

use probe_user::model::{Container, Exit, ExitStatus, Placed, Runtime, is_within};

use super::resolve;
use crate::{
    access::{ownership::CgroupOwners, peer::Peer, refusal::Refusal},
    api::query::Records,
    state::{
        state::State,
        topics::{Mailbox, Topic},
    },
};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    peer: Peer,
    owners: CgroupOwners,
    topic: Topic,
    /// Also what was this container's: while it is removed its cgroups go one by
    /// one, and the one that the records name may be the first.
    container: Option<Key>,
    /// Of these containers only.
    containers: Option<Vec<Key>>,
    pid: Option<u32>,
    failed: bool,
}

/// Which container.
type Key = (Runtime, String);

impl Selection {
    pub(crate) fn new(state: &mut State, peer: Peer, asked: &Records) -> Result<Self, Refusal> {
        let mut container = None;
        let mut containers = None;
        let place = match (&asked.cgroup, &asked.container) {
            (Some(path), name) => {
                let place = resolve::directory(state, peer, path)?;
                if let Some(name) = name {
                    let (found, _) = resolve::container(state, peer, name)?;
                    containers = Some(vec![key(&found.container)]);
                }
                Some(place)
            }
            (None, Some(name)) => {
                let (found, places) = resolve::container(state, peer, name)?;
                container = Some(key(&found.container));
                let place = places.into_iter().next();
                Some(place.ok_or_else(|| {
                    Refusal::not_found(format!("container '{name}' has no cgroup"))
                })?)
            }
            (None, None) => None,
        };
        if asked.pid == Some(0) {
            return Err(Refusal::bad("pid: 0 is no process"));
        }
        if asked.pid.is_some() {
            resolve::refuse_foreign(peer, "a pid")?;
        }
        let topic = match (place, asked.pid) {
            (Some(place), _) => Topic::Cgroup(place.mount.hierarchy, place.path.into()),
            (None, Some(pid)) => Topic::Pid(pid),
            (None, None) => Topic::Everything,
        };
        Ok(Self {
            peer,
            owners: state.owners.clone(),
            topic,
            container,
            containers,
            pid: asked.pid,
            failed: asked.failed,
        })
    }

    /// The same, of what has ended: a container that is gone is remembered by it.
    pub(crate) fn of_the_past(
        state: &mut State,
        peer: Peer,
        asked: &Records,
    ) -> Result<Self, Refusal> {
        let refusal = match Self::new(state, peer, asked) {
            Err(refusal) if refusal.is_not_found() => refusal,
            result => return result,
        };
        let name = asked.container.as_deref().ok_or_else(|| refusal.clone())?;
        let without = Records {
            container: None,
            ..asked.clone()
        };
        let mut selection = Self::new(state, peer, &without)?;
        let exits = state.history.iter().map(|past| past.exit);
        let seen = exits.filter(|exit| selection.is_seen(exit));
        let containers: HashMap<_, _> = seen
            .filter_map(|exit| exit.container.clone())
            .map(|it| (key(&it), it))
            .collect();
        let keys = remembered(&containers, name)?.ok_or(refusal)?;
        selection.containers = Some(keys);
        Ok(selection)
    }

    /// All that the peer may see: what it is about is decided by who fills the
    /// mailbox.
    pub(crate) fn all(state: &State, peer: Peer) -> Self {
        Self {
            peer,
            owners: state.owners.clone(),
            topic: Topic::Everything,
            container: None,
            containers: None,
            pid: None,
            failed: false,
        }
    }

    /// From now on.
    pub(crate) fn subscribe(&self, state: &mut State) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        state.topics.subscribe(self.topic.clone(), &mailbox);
        mailbox
    }

    /// Whether a record is asked for and the peer's business.
    pub(crate) fn admits(&self, exit: &Placed<Exit>) -> bool {
        let is_failed = || exit.what.status != Some(ExitStatus::Exited { code: 0 });
        self.pid.is_none_or(|pid| exit.what.process.tgid == pid)
            && (!self.failed || is_failed())
            && self.is_in_topic(exit)
            && self.is_in_container(exit)
            && self.is_seen(exit)
    }

    fn is_in_container(&self, exit: &Placed<Exit>) -> bool {
        self.containers.as_ref().is_none_or(|wanted| {
            let container = exit.container.as_deref();
            container.is_some_and(|it| wanted.contains(&key(it)))
        })
    }

    fn is_seen(&self, exit: &Placed<Exit>) -> bool {
        let owner = || self.owners.of(exit.cgroup.as_ref());
        self.peer.sees_all() || self.peer.sees(&exit.what.process, owner())
    }

    fn is_in_topic(&self, exit: &Placed<Exit>) -> bool {
        let Topic::Cgroup(hierarchy, subtree) = &self.topic else {
            return true;
        };
        let is_within_it = exit.cgroup.as_ref().is_some_and(|cgroup| {
            let path = cgroup.path.as_deref();
            cgroup.id.hierarchy == *hierarchy && path.is_some_and(|it| is_within(it, subtree))
        });
        is_within_it
            || self.container.is_some() && exit.container.as_deref().map(key) == self.container
    }
}

fn key(container: &Container) -> Key {
    (container.runtime, container.id.clone())
}

/// All that were called so, or else the one whose id begins so.
fn remembered(
    containers: &HashMap<Key, Arc<Container>>,
    name: &str,
) -> Result<Option<Vec<Key>>, Refusal> {
    let is_called = |it: &Container| it.id == name || it.name.as_deref() == Some(name);
    let begins = |it: &Container| !name.is_empty() && it.id.starts_with(name);
    let keys = |is_it: &dyn Fn(&Container) -> bool| -> Vec<Key> {
        let found = containers.iter().filter(|(_, container)| is_it(container));
        found.map(|(key, _)| key.clone()).collect()
    };
    let called = keys(&is_called);
    if !called.is_empty() {
        return Ok(Some(called));
    }
    let begun = keys(&begins);
    if begun.len() > 1 {
        let detail = format!("'{}' begins several ids", name.escape_debug());
        return Err(Refusal::bad(detail).hint("give more of the id"));
    }
    Ok((!begun.is_empty()).then_some(begun))
}
