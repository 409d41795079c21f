//! Which records a request is about, and which of them the peer may see.

use std::sync::Arc;

use super::{
    aim,
    engine::State,
    owners::CgroupOwners,
    peer::Peer,
    refusal::Refusal,
    topics::{Mailbox, Topic},
};
use crate::{
    api::query::Records, cgroup::is_within, event::Exit, exit_status::ExitStatus, record::Placed,
};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    peer: Peer,
    owners: CgroupOwners,
    topic: Topic,
    pid: Option<u32>,
    failed: bool,
}

impl Selection {
    pub(super) fn new(state: &mut State, peer: Peer, asked: &Records) -> Result<Self, Refusal> {
        let place = match (&asked.cgroup, &asked.container) {
            (Some(_), Some(_)) => {
                return Err(Refusal::bad(
                    "cgroup and container cannot both be asked for",
                ));
            }
            (Some(path), None) => Some(aim::directory(state, peer, path)?),
            (None, Some(name)) => {
                let (_, places) = aim::container(state, peer, name)?;
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
            aim::refuse_foreign(peer, "a pid")?;
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
            pid: asked.pid,
            failed: asked.failed,
        })
    }

    /// All that the peer may see: what it is about is decided by who fills the
    /// mailbox.
    pub(super) fn all(state: &State, peer: Peer) -> Self {
        Self {
            peer,
            owners: state.owners.clone(),
            topic: Topic::Everything,
            pid: None,
            failed: false,
        }
    }

    /// From now on.
    pub(super) fn subscribe(&self, state: &mut State) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        state.topics.subscribe(self.topic.clone(), &mailbox);
        mailbox
    }

    /// Whether a record is asked for and the peer's business.
    pub(super) fn admits(&self, exit: &Placed<Exit>) -> bool {
        let is_failed = || exit.what.status != Some(ExitStatus::Exited { code: 0 });
        self.pid.is_none_or(|pid| exit.what.process.tgid == pid)
            && (!self.failed || is_failed())
            && self.is_in_topic(exit)
            && self.is_seen(exit)
    }

    fn is_seen(&self, exit: &Placed<Exit>) -> bool {
        let owner = || self.owners.of(exit.cgroup.as_ref());
        self.peer.sees_all() || self.peer.sees(&exit.what.process, owner())
    }

    fn is_in_topic(&self, exit: &Placed<Exit>) -> bool {
        let Topic::Cgroup(hierarchy, subtree) = &self.topic else {
            return true;
        };
        exit.cgroup.as_ref().is_some_and(|cgroup| {
            let path = cgroup.path.as_deref();
            cgroup.id.hierarchy == *hierarchy && path.is_some_and(|it| is_within(it, subtree))
        })
    }
}
