//! The targets of `wait` and `kill`, pinned: cgroups, containers, units and processes.

mod container;
mod missing;
mod pids;
mod pin;
mod traced;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;

use self::pids::{PidArg, pid_arg};
pub(super) use self::{
    container::find,
    missing::{Missing, MissingArg},
    pids::ProcessArg,
    pin::{PROC_HINT, pin_cgroup, unit_cgroups, unit_paths},
    traced::TracedTargets,
};
use probe_daemon::api::json::SubjectObject;
use probe_user::{
    model::{Backend, Until},
    unstable::{
        cgroup::mounts::Mounts,
        container::{Resolver, StateRoots},
        wait,
    },
};

use super::{
    ExitCode, Failure,
    target::{self, CgroupTarget},
    terminal,
    until::UntilArg,
};

/// The targets of a command. `wait` and `kill` require one ([`TargetArgs::GROUP`]).
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct TargetArgs {
    /// Processes: PID,... or PID:INODE with the inode number of a pidfd; - reads stdin
    ///
    /// The inode number (Linux 6.9) identifies the process even if another process
    /// has its pid now. Pids on stdin are separated by blanks, line ends or commas, as
    /// pgrep and pidof print them.
    #[arg(value_name = "PID", value_delimiter = ',', value_parser = pid_arg)]
    processes: Vec<PidArg>,

    /// Same as PID
    #[arg(long, value_name = "PID", value_delimiter = ',', value_parser = pid_arg)]
    pid: Vec<PidArg>,

    /// Cgroup with its descendants
    ///
    /// PATH is a path on a cgroup mount (/sys/fs/cgroup/build), or a path below the
    /// root of a hierarchy as in /proc/PID/cgroup (/build or build).
    #[arg(long, value_name = "PATH")]
    pub(super) cgroup: Vec<PathBuf>,

    /// Container: id, unique prefix of an id, or name
    ///
    /// A Kubernetes pod is named pod:NAMESPACE/NAME.
    #[arg(long, value_name = "ID|NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) container: Vec<String>,

    /// systemd unit, found by its cgroup
    ///
    /// A name without a suffix is that of a service: nginx means nginx.service.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) unit: Vec<String>,

    /// Hierarchy of --cgroup: v2, or the name of a v1 controller
    ///
    /// The default is v2 if the cgroup exists there, otherwise the v1 hierarchy that
    /// has it.
    #[arg(long, value_name = "NAME")]
    pub(super) hierarchy: Option<String>,

    /// State directory of a container runtime that was started with --root
    #[arg(long, value_name = "DIR")]
    pub(super) runtime_root: Vec<PathBuf>,
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

impl TargetArgs {
    /// The arguments of which a command that needs a target requires one.
    pub(super) const GROUP: [&'static str; 5] = ["processes", "pid", "cgroup", "container", "unit"];

    /// Whether there is a target.
    pub(super) fn are_any(&self) -> bool {
        let has_processes = !self.processes.is_empty() || !self.pid.is_empty();
        has_processes
            || !self.cgroup.is_empty()
            || !self.container.is_empty()
            || !self.unit.is_empty()
    }

    /// The processes, each once. Pids on stdin are read now.
    pub(super) fn processes(&self) -> Result<Vec<ProcessArg>, Failure> {
        pids::processes(self.processes.iter().chain(&self.pid))
    }

    /// Pins all targets, or fails at the first that cannot be pinned. A target that is named
    /// twice counts once.
    pub(super) fn pin(
        &self,
        mounts: &Mounts,
        resolver: &mut Resolver,
        tier: Backend,
        missing: Missing,
    ) -> Result<Vec<PinnedTarget>, Failure> {
        let mut named = Vec::new();
        for name in &self.cgroup {
            let target = target::cgroup(mounts, name, self.hierarchy.as_deref())?;
            named.push(pin::cgroup(&target, missing)?);
        }
        for name in &self.unit {
            named.push(pin::unit(name, mounts, missing)?);
        }
        for name in &self.container {
            named.push(container::container(name, mounts, resolver, tier, missing)?);
        }
        for name in self.processes()? {
            named.push(pin::one_process(name, tier, missing)?);
        }
        let is_same = |one: &PinnedTarget, other: &PinnedTarget| {
            one.subject == other.subject && one.pinned.is_some() == other.pinned.is_some()
        };
        Ok(unique(named, is_same))
    }

    /// Pins all targets of a command that may accept a target which does not exist.
    pub(super) fn pin_or_hint(
        &self,
        mounts: &Mounts,
        resolver: &mut Resolver,
        tier: Backend,
        missing: Missing,
    ) -> Result<Vec<PinnedTarget>, Failure> {
        let pinned = self.pin(mounts, resolver, tier, missing);
        pinned.map_err(|failure| match (failure.code, &failure.hint) {
            (ExitCode::NoSuchTarget, None) => failure.hint("--missing ok treats it as gone"),
            _ => failure,
        })
    }

    pub(super) fn resolver(&self) -> Resolver {
        Resolver::unwatched(self.state_roots())
    }

    /// The directories in which runtimes keep their state.
    pub(super) fn state_roots(&self) -> StateRoots {
        StateRoots::system(terminal::runtime_dir(), self.runtime_root.clone())
    }
}

/// Keeps the first of the items that are the same.
fn unique<T>(items: Vec<T>, is_same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for item in items {
        if !kept.iter().any(|it| is_same(it, &item)) {
            kept.push(item);
        }
    }
    kept
}
