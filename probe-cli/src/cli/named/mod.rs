//! The targets of `wait` and `kill`, pinned: cgroups, containers, units and processes.

mod container;
mod pin;

use std::path::PathBuf;

pub(super) use self::{
    container::find,
    pin::{PROC_HINT, pin_cgroup, unit_paths},
};
use probe_daemon::api::json::SubjectObject;
use probe_user::{
    model::{Backend, Until},
    unstable::{
        cgroup::mounts::Mounts,
        container::{Resolver, StateRoots},
        proc::pinned::PinnedProcess,
        wait,
    },
};

use super::{
    ExitCode, Failure,
    target::{self, CgroupTarget},
    terminal,
    until::UntilArg,
};

/// The targets of `wait` and `kill`.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group(
    clap::ArgGroup::new("target")
        .args(["processes", "pid", "cgroup", "container", "unit"])
        .required(true)
        .multiple(true)
))]
pub(super) struct TargetArgs {
    /// Process: PID, or PID:INODE with the inode number of its pidfd
    ///
    /// The inode number (Linux 6.9) identifies the process even if another process
    /// has its pid now.
    #[arg(value_name = "PID", value_parser = process)]
    processes: Vec<ProcessArg>,

    /// Same as PID
    #[arg(long, value_name = "PID", value_parser = process)]
    pid: Vec<ProcessArg>,

    /// Cgroup with its descendants
    ///
    /// PATH is a path on a cgroup mount (/sys/fs/cgroup/build), or a path below the
    /// root of a hierarchy as in /proc/PID/cgroup (/build or build).
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<PathBuf>,

    /// Container: id, unique prefix of an id, or name
    ///
    /// A Kubernetes pod is named pod:NAMESPACE/NAME.
    #[arg(long, value_name = "ID|NAME")]
    container: Vec<String>,

    /// systemd unit, found by its cgroup
    ///
    /// A name without a suffix is that of a service: nginx means nginx.service.
    #[arg(long, value_name = "NAME")]
    unit: Vec<String>,

    /// Hierarchy of --cgroup: v2, or the name of a v1 controller
    ///
    /// The default is v2 if the cgroup exists there, otherwise the v1 hierarchy that
    /// has it.
    #[arg(long, value_name = "NAME")]
    hierarchy: Option<String>,

    /// State directory of a container runtime that was started with --root
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,
}

/// The target of `ps` and `last`: at most one.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct OneTarget {
    /// Process
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pid: Option<u32>,

    /// Cgroup with its descendants
    ///
    /// PATH is a path on a cgroup mount (/sys/fs/cgroup/build), or a path below the
    /// root of a hierarchy as in /proc/PID/cgroup (/build or build).
    #[arg(long, value_name = "PATH")]
    pub(super) cgroup: Option<PathBuf>,

    /// Container: id, unique prefix of an id, or name
    ///
    /// A Kubernetes pod is named pod:NAMESPACE/NAME.
    #[arg(long, value_name = "ID|NAME")]
    pub(super) container: Option<String>,

    /// systemd unit, found by its cgroup
    ///
    /// A name without a suffix is that of a service: nginx means nginx.service.
    #[arg(long, value_name = "NAME")]
    pub(super) unit: Option<String>,
}

/// A process by its pid, or by pid and inode number.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessArg {
    pid: u32,
    /// Inode number of the pidfd (Linux 6.9). A later process with the same pid has another
    /// number.
    inode: Option<u64>,
}

/// Parses PID or PID:INODE.
pub(super) fn process(text: &str) -> Result<ProcessArg, String> {
    let (pid, inode) = text
        .split_once(':')
        .map_or((text, None), |(pid, inode)| (pid, Some(inode)));
    let number = pid.parse::<i32>().ok().filter(|&pid| pid > 0);
    let pid = number.ok_or_else(|| format!("invalid pid '{pid}' (expected a positive number)"))?;
    let inode = inode
        .map(|inode| {
            inode.parse().map_err(|_not_a_number| {
                format!("invalid inode number '{inode}' (expected PID:INODE)")
            })
        })
        .transpose()?;
    Ok(ProcessArg {
        pid: pid.cast_unsigned(),
        inode,
    })
}

impl ProcessArg {
    /// Pins the process, which must exist.
    pub(super) fn pin(self) -> Result<PinnedProcess, Failure> {
        let must_exist = Absent {
            is_error: true,
            ..Absent::default()
        };
        let gone = || {
            let message = format!("no process {}", self.pid);
            Failure::message(ExitCode::NoSuchTarget, message)
        };
        pin::open(self, Backend::Pidfd, must_exist)?.ok_or_else(gone)
    }
}

/// A target that is pinned, or that was gone before it could be pinned.
pub(super) struct PinnedTarget {
    /// Its name in messages and in the verdict.
    pub(super) subject: SubjectObject,
    /// `None` if the target is gone already, so that its wait is done.
    pub(super) pinned: Option<wait::Target>,
    /// The first directory that does not exist, if a cgroup is gone with its parent. The path
    /// may also be a typo.
    pub(super) missing: Option<PathBuf>,
    /// The cgroups of the target, in which its exits are reported.
    pub(super) cgroups: Vec<CgroupTarget>,
    /// The condition without `--until`.
    pub(super) default_until: Until,
    /// What the user must know about the target before the verdict.
    pub(super) note: Option<&'static str>,
}

impl PinnedTarget {
    /// Refuses a condition that does not apply to this kind of target.
    pub(super) fn check(&self, until: Option<UntilArg>) -> Result<(), Failure> {
        let Some(UntilArg(until)) = until else {
            return Ok(());
        };
        let is_process = self.subject.process.is_some();
        let is_container = self.subject.container.is_some();
        let (targets, hint) = match until {
            Until::Empty | Until::Removed if is_process => (
                "cgroups, containers and units",
                "for a process, use --until exited or --until reaped",
            ),
            Until::Stopped if !is_container => (
                "containers",
                "use --until empty for a cgroup or unit, and --until exited for a process",
            ),
            _ => return Ok(()),
        };
        let message = format!("--until {} applies to {targets} only", until.as_str());
        Err(Failure::message(ExitCode::Usage, message).hint(hint))
    }
}

/// How a target is treated that does not exist.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Absent {
    /// Every target must exist.
    pub(super) is_error: bool,
    /// An unknown container or unit counts as gone.
    pub(super) unknown_is_gone: bool,
}

/// Pins the target of a verb that has at most one; `None` without a target.
pub(super) fn pin_one(
    target: &OneTarget,
    hierarchy: Option<&str>,
    mounts: &Mounts,
    resolver: &mut Resolver,
    absent: Absent,
) -> Result<Option<PinnedTarget>, Failure> {
    let tier = Backend::Pidfd;
    if let Some(pid) = target.pid {
        let name = ProcessArg { pid, inode: None };
        return pin::one_process(name, tier, absent).map(Some);
    }
    if let Some(name) = &target.cgroup {
        return pin::cgroup(&target::cgroup(mounts, name, hierarchy)?, absent).map(Some);
    }
    if let Some(name) = &target.unit {
        return pin::unit(name, mounts, absent).map(Some);
    }
    let container = target.container.as_deref();
    container
        .map(|name| container::container(name, mounts, resolver, tier, absent))
        .transpose()
}

impl TargetArgs {
    /// Pins all targets, or fails at the first that cannot be pinned.
    pub(super) fn pin(
        &self,
        mounts: &Mounts,
        resolver: &mut Resolver,
        tier: Backend,
        absent: Absent,
    ) -> Result<Vec<PinnedTarget>, Failure> {
        let mut named = Vec::new();
        for name in &self.cgroup {
            let target = target::cgroup(mounts, name, self.hierarchy.as_deref())?;
            named.push(pin::cgroup(&target, absent)?);
        }
        for name in &self.unit {
            named.push(pin::unit(name, mounts, absent)?);
        }
        for name in &self.container {
            named.push(container::container(name, mounts, resolver, tier, absent)?);
        }
        for name in self.processes.iter().chain(&self.pid) {
            named.push(pin::one_process(*name, tier, absent)?);
        }
        Ok(named)
    }

    pub(super) fn resolver(&self) -> Resolver {
        Resolver::unwatched(self.state_roots())
    }

    /// The directories in which runtimes keep their state.
    pub(super) fn state_roots(&self) -> StateRoots {
        StateRoots::system(terminal::runtime_dir(), self.runtime_root.clone())
    }
}
