//! The selection of records for a request: the records that meet the query and that the
//! peer may see.

use std::{collections::HashMap, sync::Arc};

use probe_user::{
    model::{Container, Exit, ExitStatus, Placed, Runtime},
    unstable::cgroup::mounts::Mount,
};

use super::resolve;
use crate::{
    access::{directory::CgroupDirectory, ownership::CgroupOwners, peer::Peer, refusal::Refusal},
    api::query::Records,
    state::{
        state::State,
        topics::{Mailbox, Topic},
    },
};

/// A condition on records, and the topic to subscribe to.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    peer: Peer,
    owners: CgroupOwners,
    topic: Topic,
    /// Exits of this container are selected even outside of the topic's cgroup: a runtime
    /// removes the cgroups of a container one by one, perhaps the topic's cgroup first.
    container: Option<ContainerKey>,
    /// Only exits of these containers are selected.
    containers: Option<Vec<ContainerKey>>,
    pid: Option<u32>,
    failed: bool,
}

/// Identity of a container.
type ContainerKey = (Runtime, String);

impl Selection {
    pub(crate) fn new(state: &mut State, peer: Peer, query: &Records) -> Result<Self, Refusal> {
        let mut container = None;
        let mut containers = None;
        let directory = match (&query.cgroup, &query.container) {
            (Some(path), name) => {
                let directory = resolve::directory(state, peer, path)?;
                refuse_unrecorded(state, &directory)?;
                if let Some(name) = name {
                    let (found, _) = resolve::container(state, peer, name)?;
                    containers = Some(vec![key(&found.container)]);
                }
                Some(directory)
            }
            (None, Some(name)) => {
                let (found, directories) = resolve::container(state, peer, name)?;
                container = Some(key(&found.container));
                let first = directories.first().ok_or_else(|| {
                    Refusal::not_found(format!("container '{name}' has no cgroup"))
                })?;
                let is_recorded =
                    |it: &&CgroupDirectory| state.tables.records_name(it.mount.hierarchy);
                let recorded = directories.iter().find(is_recorded).unwrap_or(first);
                refuse_unrecorded(state, recorded)?;
                Some(recorded.clone())
            }
            (None, None) => None,
        };
        if query.pid == Some(0) {
            return Err(Refusal::bad("invalid pid 0 (expected a positive number)"));
        }
        if query.pid.is_some() {
            resolve::refuse_foreign(peer, "a pid")?;
        }
        let topic = match (directory, query.pid) {
            // Every process is below the root of each hierarchy.
            (Some(it), _) if it.path == "/" => Topic::Everything,
            (Some(it), _) => Topic::Cgroup(it.mount.hierarchy, it.path.into()),
            (None, Some(pid)) => Topic::Pid(pid),
            (None, None) => Topic::Everything,
        };
        Ok(Self {
            peer,
            owners: state.tables.owners.clone(),
            topic,
            container,
            containers,
            pid: query.pid,
            failed: query.failed,
        })
    }

    /// A selection of exits in the history. A container that is gone is found by its exits.
    pub(crate) fn in_history(
        state: &mut State,
        peer: Peer,
        query: &Records,
    ) -> Result<Self, Refusal> {
        let refusal = match Self::new(state, peer, query) {
            Err(refusal) if refusal.is_not_found() => refusal,
            result => return result,
        };
        let name = query.container.as_deref().ok_or_else(|| refusal.clone())?;
        let any_container = Records {
            container: None,
            ..query.clone()
        };
        let mut selection = Self::new(state, peer, &any_container)?;
        let exits = state.tables.history.iter().map(|past| past.exit);
        let seen = exits.filter(|exit| selection.is_seen(exit));
        let containers: HashMap<_, _> = seen
            .filter_map(|exit| exit.container.clone())
            .map(|it| (key(&it), it))
            .collect();
        let keys = find_by_name(&containers, name)?.ok_or(refusal)?;
        selection.containers = Some(keys);
        Ok(selection)
    }

    /// All records that the peer may see, for a mailbox that only gets records of the
    /// request's targets.
    pub(crate) fn all(state: &State, peer: Peer) -> Self {
        Self {
            peer,
            owners: state.tables.owners.clone(),
            topic: Topic::Everything,
            container: None,
            containers: None,
            pid: None,
            failed: false,
        }
    }

    /// A mailbox that gets the records from now on.
    pub(crate) fn subscribe(&self, state: &mut State) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        state.tables.topics.subscribe(self.topic.clone(), &mailbox);
        mailbox
    }

    /// Whether a record is selected, and visible to the peer.
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
        self.peer.sees(exit, &self.owners)
    }

    fn is_in_topic(&self, exit: &Placed<Exit>) -> bool {
        let Topic::Cgroup(hierarchy, subtree) = &self.topic else {
            return true;
        };
        exit.is_within(*hierarchy, subtree)
            || self.container.is_some() && exit.container.as_deref().map(key) == self.container
    }
}

/// Refuses a cgroup of a hierarchy that records do not name: its exits are not known.
fn refuse_unrecorded(state: &State, directory: &CgroupDirectory) -> Result<(), Refusal> {
    let tables = &state.tables;
    let CgroupDirectory { mount, path, .. } = directory;
    if path == "/" || tables.records_name(mount.hierarchy) {
        return Ok(());
    }
    let v1 = tables
        .v1
        .and_then(|it| tables.lookup.mounts.of_hierarchy(it));
    let names = |mount: &Mount| mount.controllers.join(",");
    let detail = format!(
        "exits are not recorded by cgroup in the v1 hierarchy {}",
        names(mount)
    );
    let hint = match v1 {
        Some(v1) => format!("name the cgroup of the processes in v2 or in {}", names(v1)),
        None => "name the cgroup of the processes in v2".to_owned(),
    };
    Err(Refusal::bad(detail).hint(hint))
}

fn key(container: &Container) -> ContainerKey {
    (container.runtime, container.id.clone())
}

/// The containers with this id or name. If there are none, the only container with this
/// prefix of an id.
fn find_by_name(
    containers: &HashMap<ContainerKey, Arc<Container>>,
    name: &str,
) -> Result<Option<Vec<ContainerKey>>, Refusal> {
    let is_named = |it: &Container| it.id == name || it.name.as_deref() == Some(name);
    let has_prefix = |it: &Container| !name.is_empty() && it.id.starts_with(name);
    let keys = |is_it: &dyn Fn(&Container) -> bool| -> Vec<ContainerKey> {
        let found = containers.iter().filter(|(_, container)| is_it(container));
        found.map(|(key, _)| key.clone()).collect()
    };
    let named = keys(&is_named);
    if !named.is_empty() {
        return Ok(Some(named));
    }
    let matches = keys(&has_prefix);
    if matches.len() > 1 {
        let detail = format!("several container ids begin with '{}'", name.escape_debug());
        return Err(Refusal::bad(detail).hint("use a longer prefix of the id"));
    }
    Ok((!matches.is_empty()).then_some(matches))
}
