//! The selection of records for a request: the records that meet the query and that the
//! peer may see.

use std::sync::Arc;

use probe_user::{
    model::{Cgroup, Container, Exit, Filter, Placed, TargetProcess},
    unstable::{cgroup::mounts::Mount, clock::tick_ns},
};

use super::{conditions, history, resolve};
use crate::{
    access::{directory::CgroupDirectory, ownership::CgroupOwners, peer::Peer, refusal::Refusal},
    api::query::{Exits, Records},
    state::{mailbox::Mailbox, state::State, topics::Topic},
};

/// A condition on records, and the topic to subscribe to.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    peer: Peer,
    owners: CgroupOwners,
    topic: Topic,
    /// Exits of this container are selected even outside of the topic's cgroup: a runtime
    /// removes the cgroups of a container one by one, perhaps the topic's cgroup first.
    container: Option<Arc<Container>>,
    /// Only exits of these containers are selected.
    containers: Option<Vec<Arc<Container>>>,
    /// Cgroups of the container in `containers`, if it exists: exits below them are selected too.
    cgroups: Vec<(u32, String)>,
    /// Only processes with one of these pids are selected, unless there are none.
    pids: Vec<u32>,
    /// Of the processes that had the pid, only this one.
    process: Option<TargetProcess>,
    /// Conditions on the process and its end.
    filter: Filter,
    /// `CLOCK_BOOTTIME` in nanoseconds of the last exit that is selected.
    until_ns: u64,
}

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
                    containers = Some(vec![found.container]);
                }
                Some(directory)
            }
            (None, Some(name)) => {
                let (found, directories) = resolve::container(state, peer, name)?;
                container = Some(found.container);
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
        if query.start_ticks.is_some() && query.pid.is_none() {
            return Err(Refusal::bad("start_ticks needs a pid"));
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
            cgroups: Vec::new(),
            pids: query.pid.into_iter().collect(),
            process: query
                .pid
                .zip(query.start_ticks)
                .map(|(pid, ticks)| TargetProcess {
                    pid,
                    starts_ns: ticks.saturating_mul(tick_ns()),
                    tick_ns: tick_ns(),
                }),
            filter: conditions::filter(query)?,
            until_ns: u64::MAX,
        })
    }

    /// A selection of exits in the history, and how many other containers have or had the name
    /// in the query. A container that is gone is found by its exits.
    pub(crate) fn in_history(
        state: &mut State,
        peer: Peer,
        query: &Exits,
    ) -> Result<(Self, usize), Refusal> {
        let mut selection = Self::new(state, peer, &conditions::of_history(query))?;
        selection.pids = conditions::pids(query.pid.as_deref())?;
        if !selection.pids.is_empty() {
            resolve::refuse_foreign(peer, "a pid")?;
        }
        let Some(name) = &query.container else {
            return Ok((selection, 0));
        };
        let named = history::find(state, peer, name, query.all, |exit| selection.is_seen(exit))?;
        selection.containers = Some(named.containers);
        selection.cgroups = named.cgroups;
        Ok((selection, named.others))
    }

    /// The container of which the exits are selected, if there is only one.
    pub(crate) fn only_container(&self) -> Option<&Container> {
        match self.containers.as_deref()? {
            [container] => Some(container),
            _ => None,
        }
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
            cgroups: Vec::new(),
            pids: Vec::new(),
            process: None,
            filter: Filter {
                threads: true,
                ..Filter::default()
            },
            until_ns: u64::MAX,
        }
    }

    /// Selects only exits until this time, in nanoseconds of `CLOCK_BOOTTIME`.
    pub(crate) const fn until(mut self, until_ns: u64) -> Self {
        self.until_ns = until_ns;
        self
    }

    /// A mailbox that gets the records from now on.
    pub(crate) fn subscribe(self, state: &mut State) -> Arc<Mailbox> {
        let topic = self.topic.clone();
        let mailbox = Arc::new(self.mailbox());
        state.tables.topics.subscribe(topic, &mailbox);
        mailbox
    }

    /// A mailbox that gets only selected records, of the topics that it is subscribed to: a
    /// topic follows its cgroup when that is renamed.
    pub(crate) fn mailbox(self) -> Mailbox {
        Mailbox::new(move |exit| self.admits_of_topic(exit))
    }

    /// Whether a record is selected, and visible to the peer.
    pub(crate) fn admits(&self, exit: &Placed<Exit>) -> bool {
        self.is_in_topic(exit) && self.admits_of_topic(exit)
    }

    /// [`Self::admits`] of a record of the topic.
    fn admits_of_topic(&self, exit: &Placed<Exit>) -> bool {
        (self.pids.is_empty() || self.pids.contains(&exit.what.process.tgid))
            && exit.boottime_ns <= self.until_ns
            && self.process.is_none_or(|it| it.is(&exit.what.process))
            && self.filter.admits_exit(exit)
            && self.is_in_container(exit)
            && self.is_seen(exit)
    }

    fn is_in_container(&self, exit: &Placed<Exit>) -> bool {
        let Some(wanted) = &self.containers else {
            return true;
        };
        let container = exit.container.as_deref();
        container.is_some_and(|it| wanted.iter().any(|wanted| wanted.is_same(it)))
            || self.cgroups.iter().any(|cgroup| is_nested(exit, cgroup))
    }

    fn is_seen(&self, exit: &Placed<Exit>) -> bool {
        self.peer.sees(exit, &self.owners)
    }

    fn is_in_topic(&self, exit: &Placed<Exit>) -> bool {
        let Topic::Cgroup(hierarchy, subtree) = &self.topic else {
            return true;
        };
        exit.is_within(*hierarchy, subtree)
            || self
                .container
                .as_ref()
                .zip(exit.container.as_ref())
                .is_some_and(|(wanted, it)| wanted.is_same(it))
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

/// Whether an exit in this cgroup or below it is one of the container that has the cgroup now: an
/// earlier container may have had the cgroup, and another container may be nested in this one.
fn is_nested(exit: &Placed<Exit>, (hierarchy, top): &(u32, String)) -> bool {
    let is_top = |it: &Cgroup| it.id.hierarchy == *hierarchy && it.path.as_deref() == Some(top);
    let is_of_another = exit.container.is_some() && exit.cgroups().any(is_top);
    exit.is_within(*hierarchy, top) && !is_of_another
}
