//! One target of a wait: pinned, and where its records come from.

use std::io;

use axum::http::StatusCode;
use probe_user::{
    model::{Backend, CgroupId, Until},
    unstable::{
        cgroup::pinned::PinnedCgroup,
        proc::pinned::PinnedProcess,
        wait::{Target, TargetError},
    },
};

use super::resolve;
use crate::{
    access::{peer::Peer, place::Place, refusal::Refusal},
    api::wait,
    state::{state::State, topics::Topic},
};

/// See the module.
pub(crate) struct Aimed {
    pub(crate) target: Target,
    pub(crate) topics: Vec<Topic>,
    pub(crate) default_until: Until,
    /// Whether the peer may know which processes it is about.
    pub(crate) is_seen: bool,
}

impl Aimed {
    /// Whether that can be asked of it.
    pub(crate) fn check(&self, until: Until) -> Result<(), Refusal> {
        let is_process = self.target.cgroups.is_empty();
        if is_process && !until.is_about_processes() {
            let detail = format!("a process is never {}", until.as_str());
            return Err(Refusal::bad(detail).hint("wait until it is exited or reaped"));
        }
        Ok(())
    }
}

/// What a request's target is.
pub(crate) fn aim(state: &mut State, peer: Peer, target: &wait::Target) -> Result<Aimed, Refusal> {
    let wait::Target {
        cgroup,
        process,
        path,
        pid,
        container,
        until: _,
    } = target;
    match (cgroup, process, path, pid, container) {
        (Some(cgroup), None, None, None, None) => {
            let id = CgroupId {
                hierarchy: cgroup.hierarchy,
                id: cgroup.id,
            };
            let place = resolve::identity(state, id)?;
            cgroup_at(&place, id, peer)
        }
        (None, Some(process), None, None, None) => {
            process_of(peer, process.pid, Some(process.start_ticks))
        }
        (None, None, Some(path), None, None) => {
            let place = resolve::directory(state, peer, path)?;
            let id = place.resolve()?;
            cgroup_at(&place, id, peer)
        }
        (None, None, None, Some(pid), None) => process_of(peer, *pid, None),
        (None, None, None, None, Some(name)) => container_of(state, peer, name),
        _ => Err(Refusal::bad(
            "exactly one of cgroup, process, path, pid and container must be there",
        )),
    }
}

fn cgroup_at(place: &Place, id: CgroupId, peer: Peer) -> Result<Aimed, Refusal> {
    let pinned = pin(place, id)?;
    Ok(Aimed {
        target: Target {
            cgroups: vec![(pinned, place.path.clone())],
            processes: Vec::new(),
        },
        topics: vec![Topic::Cgroup(id.hierarchy, place.path.as_str().into())],
        default_until: Until::Empty,
        is_seen: peer.sees_uid(None, place.owner()),
    })
}

fn pin(place: &Place, id: CgroupId) -> Result<PinnedCgroup, Refusal> {
    let pinned = PinnedCgroup::open(id.hierarchy, &place.directory)
        .map_err(|error| refused(error.into()))?;
    // Another one may have the name by now.
    if pinned.id != id {
        return Err(Refusal::not_found(format!("no cgroup {}", id.id)));
    }
    Ok(pinned)
}

fn process_of(peer: Peer, pid: u32, start_ticks: Option<u64>) -> Result<Aimed, Refusal> {
    resolve::refuse_foreign(peer, "a pid")?;
    if pid == 0 {
        return Err(Refusal::bad("pid: 0 is no process"));
    }
    let pinned = PinnedProcess::open(pid, Backend::Pidfd).map_err(|error| refused(error.into()))?;
    if start_ticks.is_some_and(|it| it != pinned.start_ticks()) {
        let detail = format!("no process {pid} that started then");
        return Err(Refusal::not_found(detail));
    }
    Ok(Aimed {
        is_seen: peer.sees_uid(pinned.uid(), None),
        target: Target {
            cgroups: Vec::new(),
            processes: vec![pinned],
        },
        topics: vec![Topic::Pid(pid)],
        default_until: Until::Exited,
    })
}

fn container_of(state: &mut State, peer: Peer, name: &str) -> Result<Aimed, Refusal> {
    let (found, places) = resolve::container(state, peer, name)?;
    let mut target = Target::default();
    for place in &places {
        let id = place.resolve()?;
        target.cgroups.push((pin(place, id)?, place.path.clone()));
    }
    for init in &found.inits {
        // One that is gone need not be waited for.
        if let Ok(pinned) = PinnedProcess::open(init.pid, Backend::Pidfd)
            && pinned.start_ticks() == init.start_ticks
        {
            target.processes.push(pinned);
        }
    }
    if target.cgroups.is_empty() && target.processes.is_empty() {
        return Err(Refusal::not_found(format!("container '{name}' is gone")));
    }
    // A record names one cgroup: the first that it has.
    let first = places.first();
    let topic = first.map(|it| Topic::Cgroup(it.mount.hierarchy, it.path.as_str().into()));
    Ok(Aimed {
        target,
        topics: topic.into_iter().collect(),
        default_until: Until::Stopped,
        is_seen: true,
    })
}

/// Why a target cannot be pinned.
fn refused(error: TargetError) -> Refusal {
    use probe_user::unstable::{cgroup::pinned::PinError, proc::pinned::PinProcessError};
    let detail = chain(&error);
    match error {
        TargetError::Cgroup(PinError::Root { .. })
        | TargetError::Process(PinProcessError::Thread { .. })
        | TargetError::NoCgroup { .. } => Refusal::bad(detail),
        TargetError::Cgroup(PinError::Open { source, .. }) if no_room(&source) => full(&detail),
        _ => Refusal::not_found(detail),
    }
}

/// The error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// Why a wait that was pinned cannot be armed.
pub(crate) fn unarmed(error: &io::Error) -> Refusal {
    if no_room(error) {
        return full(&error.to_string());
    }
    Refusal::not_found(format!("the target went away: {error}"))
}

fn no_room(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
    )
}

fn full(detail: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        .hint("give the daemon more file descriptors (LimitNOFILE=)")
}
