//! Resolution of a target of a wait: the pinned cgroups and processes, and the topics of
//! their exits.

use std::io;

use axum::http::StatusCode;
use probe_user::{
    model::{Backend, CgroupId, Until},
    unstable::{
        cgroup::pinned::PinnedCgroup,
        clock::initial_tick,
        proc::{
            init_tree::InitTree,
            pinned::{PinProcessError, PinnedProcess},
        },
        wait::{Target, TargetError},
    },
};

use super::resolve::{self, refuse_foreign};
use crate::{
    access::{directory::CgroupDirectory, peer::Peer, refusal::Refusal},
    api::wait,
    state::{state::State, topics::Topic},
};

/// A target of a request, pinned.
pub(crate) struct ResolvedTarget {
    pub(crate) target: Target,
    pub(crate) topics: Vec<Topic>,
    /// Whether every exit in the target is published under one of the topics.
    pub(crate) has_exits: bool,
    pub(crate) default_until: Until,
    /// Whether the peer may know which processes are in the target.
    pub(crate) is_seen: bool,
}

impl ResolvedTarget {
    /// Refuses a condition that this kind of target never meets.
    pub(crate) fn check(&self, until: Until) -> Result<(), Refusal> {
        let is_process = self.target.cgroups.is_empty();
        if is_process && !until.is_about_processes() {
            let detail = format!("a process is never '{}'", until.as_str());
            return Err(Refusal::bad(detail).hint("use the condition 'exited' or 'reaped'"));
        }
        Ok(())
    }
}

/// Pins the target that a request names.
pub(crate) fn resolve(
    state: &mut State,
    peer: Peer,
    target: &wait::Target,
) -> Result<ResolvedTarget, Refusal> {
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
            let directory = resolve::identity(state, id)?;
            cgroup_at(state, &directory, id, peer)
        }
        (None, Some(process), None, None, None) => {
            process_of(peer, process.pid, Some(process.start_ticks))
        }
        (None, None, Some(path), None, None) => {
            let directory = resolve::directory(state, peer, path)?;
            let id = directory.resolve()?;
            cgroup_at(state, &directory, id, peer)
        }
        (None, None, None, Some(pid), None) => process_of(peer, *pid, None),
        (None, None, None, None, Some(name)) => container_of(state, peer, name),
        _ => Err(Refusal::bad(
            "a target needs exactly one of cgroup, process, path, pid and container",
        )),
    }
}

fn cgroup_at(
    state: &State,
    directory: &CgroupDirectory,
    id: CgroupId,
    peer: Peer,
) -> Result<ResolvedTarget, Refusal> {
    let pinned = pin(directory, id)?;
    Ok(ResolvedTarget {
        target: Target {
            cgroups: vec![pinned],
            ..Target::default()
        },
        topics: vec![topic(directory)],
        has_exits: state.tables.records_name(id.hierarchy),
        default_until: Until::Empty,
        is_seen: peer.sees_uid(None, directory.owner()),
    })
}

fn pin(directory: &CgroupDirectory, id: CgroupId) -> Result<PinnedCgroup, Refusal> {
    let pinned = PinnedCgroup::open(&directory.mount, &directory.location)
        .map_err(|error| cannot_pin(error.into()))?;
    // Another cgroup may have this path by now.
    if pinned.id != id {
        return Err(Refusal::not_found(format!("no cgroup {}", id.id)));
    }
    Ok(pinned)
}

fn process_of(peer: Peer, pid: u32, start_ticks: Option<u64>) -> Result<ResolvedTarget, Refusal> {
    let pinned = pin_process(peer, pid)?;
    // Without the start in `/proc` it is unknown whether this is the process.
    let own_ticks = pinned.start_ticks().map(initial_tick);
    if start_ticks.is_some() && start_ticks != own_ticks {
        let detail = format!("no process {pid} with this start time");
        return Err(Refusal::not_found(detail));
    }
    Ok(ResolvedTarget {
        is_seen: peer.sees_uid(pinned.uid(), None),
        target: Target {
            processes: vec![pinned],
            ..Target::default()
        },
        topics: vec![Topic::Pid(pid)],
        has_exits: true,
        default_until: Until::Exited,
    })
}

/// The process that has this pid now.
pub(crate) fn pin_process(peer: Peer, pid: u32) -> Result<PinnedProcess, Refusal> {
    refuse_foreign(peer, "a pid")?;
    if pid == 0 {
        return Err(Refusal::bad("invalid pid 0 (expected a positive number)"));
    }
    PinnedProcess::open(pid, Backend::Pidfd).map_err(|error| cannot_pin(error.into()))
}

fn container_of(state: &mut State, peer: Peer, name: &str) -> Result<ResolvedTarget, Refusal> {
    let (found, directories) = resolve::container(state, peer, name)?;
    let mut target = Target {
        may_have_others: found.may_have_others,
        ..Target::default()
    };
    for directory in &directories {
        let id = directory.resolve()?;
        target.cgroups.push(pin(directory, id)?);
    }
    for init in &found.inits {
        match PinnedProcess::open_at_tick(init.pid, init.start_ticks, Backend::Pidfd) {
            Ok(pinned) => {
                if found.may_have_others {
                    target.tree = Some(InitTree::of(init.pid, init.start_ticks, found.owner));
                }
                target.processes.push(pinned);
            }
            // An init process that is gone has met every condition.
            Err(PinProcessError::NotFound { .. }) => {}
            Err(error) => return Err(cannot_pin(error.into())),
        }
    }
    if target.cgroups.is_empty() && target.processes.is_empty() {
        return Err(Refusal::not_found(format!("container '{name}' is gone")));
    }
    // The cgroups of a container have the same processes, and records name one or two of them.
    let has_exits = |it: &CgroupDirectory| state.tables.records_name(it.mount.hierarchy);
    Ok(ResolvedTarget {
        has_exits: target.cgroups.is_empty() || directories.iter().any(has_exits),
        target,
        topics: directories.iter().map(topic).collect(),
        default_until: Until::Stopped,
        is_seen: true,
    })
}

fn topic(directory: &CgroupDirectory) -> Topic {
    Topic::Cgroup(directory.mount.hierarchy, directory.path.as_str().into())
}

/// The refusal for a target that cannot be pinned.
fn cannot_pin(error: TargetError) -> Refusal {
    use probe_user::unstable::cgroup::pinned::PinError;
    let detail = chain(&error);
    match error {
        TargetError::Cgroup(PinError::Root { .. } | PinError::Hidden { .. })
        | TargetError::Process(PinProcessError::Thread { .. })
        | TargetError::NoCgroup { .. } => Refusal::bad(detail),
        TargetError::Cgroup(PinError::Open { source, .. })
        | TargetError::Process(PinProcessError::Look { source, .. })
            if is_exhausted(&source) =>
        {
            exhausted(&detail)
        }
        TargetError::Process(PinProcessError::Hidden { .. } | PinProcessError::Foreign { .. }) => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
        _ => Refusal::not_found(detail),
    }
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// The refusal for a pinned target that cannot be armed.
pub(crate) fn cannot_arm(error: &io::Error) -> Refusal {
    if is_exhausted(error) {
        return exhausted(&error.to_string());
    }
    Refusal::not_found(format!("the target is gone: {error}"))
}

/// Whether the daemon is out of file descriptors or memory.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
    )
}

fn exhausted(detail: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        .hint("raise the daemon's limit of file descriptors (LimitNOFILE=)")
}
