//! Finds a container by its name, and holds its cgroups and processes open.

use std::io;

use probe_daemon::api::json::{NamedContainer, SubjectObject};
use probe_user::{
    model::{Backend, Until},
    unstable::{
        cgroup::mounts::{self, Mounts},
        container::{EngineState, FindError, Found, Resolver},
        proc::{
            init_tree::InitTree,
            pinned::{PinProcessError, PinnedProcess},
        },
        wait,
    },
};

use super::{
    Missing, PinnedTarget,
    pin::{cgroup_name, gone, pin_cgroup},
};
use crate::cli::{ExitCode, Failure, target::CgroupTarget};

/// Finds a container by id or name. All cgroups are read only if the state of the runtimes
/// does not decide.
pub(in crate::cli) fn find(
    name: &str,
    mounts: &Mounts,
    resolver: &mut Resolver,
) -> Result<Found, Failure> {
    if let Some(found) = resolver.find_by_state(name, |_| true) {
        return Ok(found);
    }
    let mut cgroups = Vec::new();
    for mount in mounts.iter() {
        mounts::walk(mount, &mut |id, path| cgroups.push((id.hierarchy, path)))?;
    }
    resolver.find(name, &cgroups).map_err(|error| {
        let (code, hint) = match &error {
            FindError::Unknown { .. } => {
                if let Some(failure) = unreadable_state(name, resolver) {
                    return failure;
                }
                let hint = "use an id, a unique prefix of an id, or a name; a runtime that was \
                    started with --root needs --runtime-root DIR";
                (ExitCode::NoSuchTarget, hint)
            }
            // As a daemon answers, and as for a cgroup in several hierarchies.
            FindError::Ambiguous { .. } => {
                let hint = "use the full id, NAMESPACE/ID or RUNTIME/ID, or name the container by \
                    --runtime-root DIR or --cgroup PATH";
                (ExitCode::Usage, hint)
            }
        };
        Failure::new(code, error).hint(hint)
    })
}

/// The notes for a container that may have processes that nothing finds.
const SHARES_PIDS: &str = "has no cgroup of its own and shares its pids: probe follows the \
    processes that descend from its init process or are in its mount namespace, and cannot know \
    whether there are others";
const HAS_NO_INIT: &str = "has no cgroup of its own, and its init process has exited: probe cannot \
    know whether it has other processes";

/// Opens a process; `None` if it is gone, even if another process has the pid.
fn pin_started(
    pid: u32,
    start_ticks: u64,
    tier: Backend,
) -> Result<Option<PinnedProcess>, Failure> {
    match PinnedProcess::open_at_tick(pid, start_ticks, tier) {
        Ok(process) => Ok(Some(process)),
        Err(PinProcessError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The failure if a container with this name may exist, because state cannot be read.
fn unreadable_state(name: &str, resolver: &Resolver) -> Option<Failure> {
    let id = name.rsplit('/').next().unwrap_or(name);
    if let Some(path) = resolver.unread_state(id) {
        let message = format!(
            "container '{name}' has no readable state in {}",
            path.display()
        );
        let failure = Failure::message(ExitCode::NoSuchTarget, message);
        return Some(failure.hint("name its cgroup with --cgroup PATH"));
    }
    let mut engines = resolver.roots().engines().into_iter();
    let is_refused = |it: &EngineState| {
        let error = it.containers.as_ref().err();
        error.is_some_and(|it| it.kind() == io::ErrorKind::PermissionDenied)
    };
    let state = engines.find(is_refused)?;
    let message = format!(
        "no container '{name}' that this user may see: cannot read {}",
        state.location.display()
    );
    let failure = Failure::message(ExitCode::NoSuchTarget, message);
    Some(failure.hint("run probe as root; `probe doctor` lists what it may read"))
}

pub(super) fn container(
    name: &str,
    mounts: &Mounts,
    resolver: &mut Resolver,
    tier: Backend,
    missing: Missing,
) -> Result<PinnedTarget, Failure> {
    let found = match find(name, mounts, resolver) {
        Ok(found) => found,
        Err(failure) if missing == Missing::Ok && failure.is_unknown_container() => {
            let subject = SubjectObject {
                container: Some(NamedContainer {
                    runtime: None,
                    id: None,
                    name: Some(name.to_owned()),
                }),
                ..SubjectObject::default()
            };
            return Ok(gone(subject, Until::Stopped));
        }
        Err(failure) => return Err(failure),
    };
    let mut target = wait::Target::default();
    let mut cgroups = Vec::new();
    let mut subject = SubjectObject::default();
    for (hierarchy, path) in &found.cgroups {
        let cgroup = CgroupTarget::at(mounts, *hierarchy, path)?;
        // The runtime may be removing the cgroups one by one.
        if let Ok(pinned) = pin_cgroup(&cgroup, Missing::Ok)? {
            subject
                .cgroup
                .get_or_insert(cgroup_name(&cgroup, Some(&pinned)));
            target.cgroups.push(pinned);
            cgroups.push(cgroup);
        }
    }
    for init in &found.inits {
        target
            .processes
            .extend(pin_started(init.pid, init.start_ticks, tier)?);
    }
    target.may_have_others = found.may_have_others;
    if found.cgroups.is_empty()
        && let Some(init) = target.processes.first()
        && let Some(start_ticks) = init.start_ticks()
    {
        let tree = InitTree::of(init.tgid, start_ticks, found.owner);
        let known = init.tgid;
        let members = tree.members().map_err(Failure::from)?.processes;
        for (pid, start_ticks) in members.into_iter().filter(|it| it.0 != known) {
            target
                .processes
                .extend(pin_started(pid, start_ticks, tier)?);
        }
        target.tree = Some(tree);
    }
    let note = match (found.may_have_others, target.tree) {
        (false, _) => None,
        (true, Some(_)) => Some(SHARES_PIDS),
        (true, None) => Some(HAS_NO_INIT),
    };
    let container = found.container;
    subject.container = Some(NamedContainer {
        runtime: Some(container.runtime.as_str()),
        id: Some(container.id.clone()),
        name: container.name.clone(),
    });
    Ok(PinnedTarget {
        subject,
        pinned: Some(target),
        missing: None,
        cgroups,
        default_until: Until::Stopped,
        note,
    })
}
