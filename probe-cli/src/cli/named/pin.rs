//! Holds cgroups, units and processes open.

use std::path::{Path, PathBuf};

use probe_daemon::api::json::{NamedCgroup, NamedProcess, SubjectObject};
use probe_user::{
    model::{Backend, Until},
    unstable::{
        cgroup::{
            mounts::{self, Mount, Mounts},
            pinned::{PinError, PinnedCgroup},
        },
        container::layout,
        proc::{
            pidfd_info,
            pinned::{PinProcessError, PinnedProcess},
        },
        wait,
    },
};
use rustix::io::Errno;

use super::{Missing, PinnedTarget, ProcessArg};
use crate::cli::{ExitCode, Failure, target::CgroupTarget};

pub(super) fn cgroup(target: &CgroupTarget, missing: Missing) -> Result<PinnedTarget, Failure> {
    let pinned = pin_cgroup(target, missing)?;
    let subject = SubjectObject {
        cgroup: Some(cgroup_name(target, pinned.as_ref().ok())),
        ..SubjectObject::default()
    };
    let (pinned, missing) = match pinned {
        Ok(pinned) => (Some(pinned), None),
        Err(missing) => (None, Some(missing)),
    };
    Ok(PinnedTarget {
        subject,
        pinned: pinned.map(|pinned| wait::Target {
            cgroups: vec![pinned],
            ..wait::Target::default()
        }),
        missing,
        cgroups: vec![target.clone()],
        default_until: Until::Empty,
        note: None,
    })
}

pub(super) fn cgroup_name(target: &CgroupTarget, pinned: Option<&PinnedCgroup>) -> NamedCgroup {
    NamedCgroup {
        hierarchy: pinned.map(|pinned| pinned.id.hierarchy),
        id: pinned.map(|pinned| pinned.id.id),
        path: target.path.clone(),
    }
}

/// Opens a cgroup. If it is gone already, returns the first directory of its path that does not
/// exist.
pub(in crate::cli) fn pin_cgroup(
    target: &CgroupTarget,
    missing: Missing,
) -> Result<Result<PinnedCgroup, PathBuf>, Failure> {
    let error = match target.open() {
        Ok(pinned) => return Ok(Ok(pinned)),
        Err(error) => error,
    };
    if let Some(first) = error.missing() {
        return match missing {
            Missing::Ok => Ok(Err(first.to_owned())),
            Missing::Error => Err(target.missing(first)),
        };
    }
    Err(match &error {
        PinError::Root { .. } => {
            Failure::new(ExitCode::Usage, error).hint("name a cgroup below it")
        }
        PinError::Hidden { .. } => Failure::new(ExitCode::Failure, error)
            .hint("unmount it, or name the cgroup by another mount of its hierarchy"),
        PinError::Open { source, .. } => match Errno::from_io_error(source) {
            Some(Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::LOOP) => {
                Failure::new(ExitCode::NoSuchTarget, error)
            }
            Some(Errno::ACCESS | Errno::PERM) => Failure::new(ExitCode::NotAvailable, error)
                .hint("run probe as a user that may open the directory"),
            _ => Failure::new(ExitCode::Failure, error),
        },
    })
}

/// Returns the full name of a unit, and the cgroups with this name.
pub(in crate::cli) fn unit_paths(
    name: &str,
    mounts: &Mounts,
) -> Result<(String, Vec<CgroupTarget>), Failure> {
    let wanted = if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}.service")
    };
    let by_systemd = |mount: &&Mount| {
        mount.hierarchy == 0 || mount.controllers.iter().any(|it| it == "name=systemd")
    };
    let mut found = Vec::new();
    for mount in mounts.iter().filter(by_systemd) {
        if !found.is_empty() {
            break;
        }
        mounts::walk(mount, &mut |_, path| {
            let name = Path::new(&path).file_name();
            if name.is_some_and(|it| it == wanted.as_str()) {
                found.extend(CgroupTarget::on(mount, &path));
            }
        })?;
    }
    let is_systems = |it: &CgroupTarget| is_of_system_manager(&it.path);
    if found.iter().any(is_systems) {
        found.retain(is_systems);
    }
    Ok((wanted, found))
}

/// Whether the unit with this cgroup belongs to the machine's own systemd. The systemd of a user
/// and that of a container have units of the same names, such as `init.scope`.
fn is_of_system_manager(path: &str) -> bool {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    let is_users = above
        .split('/')
        .any(|it| it.starts_with("user@") && it.ends_with(".service"));
    !is_users && layout::identify(above).is_none()
}

pub(super) fn unit(name: &str, mounts: &Mounts, missing: Missing) -> Result<PinnedTarget, Failure> {
    let (wanted, found) = unit_paths(name, mounts)?;
    match found.as_slice() {
        [] if missing == Missing::Ok => Ok(gone(of_unit(wanted), Until::Empty)),
        [] => Err(no_unit(&wanted)),
        [target] => {
            let mut named = cgroup(target, missing)?;
            named.subject.unit = Some(wanted);
            Ok(named)
        }
        several => {
            let paths: Vec<_> = several.iter().map(|it| it.path.as_str()).collect();
            let message = format!("unit '{wanted}' has several cgroups: {}", paths.join(" "));
            Err(Failure::message(ExitCode::Usage, message).hint("choose one with --cgroup PATH"))
        }
    }
}

/// The cgroups of a unit, of which there is at least one.
pub(in crate::cli) fn unit_cgroups(
    name: &str,
    mounts: &Mounts,
) -> Result<Vec<CgroupTarget>, Failure> {
    let (wanted, found) = unit_paths(name, mounts)?;
    if found.is_empty() {
        return Err(no_unit(&wanted));
    }
    Ok(found)
}

/// The failure if a unit has no cgroup.
fn no_unit(name: &str) -> Failure {
    let message = format!("unit '{name}' has no cgroup");
    Failure::message(ExitCode::NoSuchTarget, message)
        .hint("a unit that does not run has none; `systemctl list-units` lists the units")
}

fn of_unit(name: String) -> SubjectObject {
    SubjectObject {
        unit: Some(name),
        ..SubjectObject::default()
    }
}

pub(super) fn gone(subject: SubjectObject, default_until: Until) -> PinnedTarget {
    PinnedTarget {
        subject,
        pinned: None,
        missing: None,
        cgroups: Vec::new(),
        default_until,
        note: None,
    }
}

/// The hint for a `/proc` of another pid namespace.
pub(in crate::cli) const PROC_HINT: &str =
    "mount the /proc of this pid namespace: mount -t proc proc /proc";

pub(super) fn one_process(
    name: ProcessArg,
    tier: Backend,
    missing: Missing,
) -> Result<PinnedTarget, Failure> {
    let subject = |comm| SubjectObject {
        process: Some(NamedProcess {
            pid: name.pid,
            comm,
        }),
        ..SubjectObject::default()
    };
    let Some(process) = open(name, tier, missing)? else {
        return Ok(gone(subject(None), Until::Exited));
    };
    Ok(PinnedTarget {
        subject: subject(process.comm.clone()),
        pinned: Some(wait::Target {
            processes: vec![process],
            ..wait::Target::default()
        }),
        missing: None,
        cgroups: Vec::new(),
        default_until: Until::Exited,
        note: None,
    })
}

/// Pins a process; `None` if it is gone and need not exist.
pub(super) fn open(
    name: ProcessArg,
    tier: Backend,
    missing: Missing,
) -> Result<Option<PinnedProcess>, Failure> {
    let process = match PinnedProcess::open(name.pid, tier) {
        Ok(process) => process,
        Err(error @ PinProcessError::NotFound { .. }) if missing == Missing::Error => {
            return Err(Failure::new(ExitCode::NoSuchTarget, error));
        }
        Err(PinProcessError::NotFound { .. }) => return Ok(None),
        Err(error @ PinProcessError::Thread { tgid, .. }) => {
            let hint = tgid.map_or_else(
                || "use the pid of the process".to_owned(),
                |tgid| format!("use the pid of the process: {tgid}"),
            );
            return Err(Failure::new(ExitCode::NoSuchTarget, error).hint(hint));
        }
        Err(error @ PinProcessError::Hidden { .. }) => {
            return Err(Failure::new(ExitCode::NotAvailable, error)
                .hint("run probe as root, or with --backend pidfd (Linux 5.3)"));
        }
        Err(error @ PinProcessError::Foreign { .. }) => {
            return Err(Failure::new(ExitCode::NotAvailable, error).hint(PROC_HINT));
        }
        Err(error) => return Err(error.into()),
    };
    let Some(inode) = name.inode else {
        return Ok(Some(process));
    };
    match process.pidfd().and_then(pidfd_info::inode) {
        Some(actual) if actual == inode => Ok(Some(process)),
        // Another process has the pid now, so the process of this inode is gone.
        Some(_) if missing == Missing::Error => {
            let message = format!("process {}:{inode} is gone", name.pid);
            Err(Failure::message(ExitCode::NoSuchTarget, message))
        }
        Some(_) => Ok(None),
        None => {
            let message = "pidfds have no inode numbers on this kernel";
            let failure = Failure::message(ExitCode::NotAvailable, message);
            Err(failure.hint("PID:INODE needs Linux 6.9; use the pid alone"))
        }
    }
}
