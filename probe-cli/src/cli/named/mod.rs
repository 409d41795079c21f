//! The targets of `wait` and `kill`, pinned: cgroups, containers, units, processes.

mod pin;

use std::path::PathBuf;

pub(super) use self::pin::{find, unit_paths};
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
use crate::output::subject::Subject;

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
    /// A process: its pid, or PID:INODE with the inode number of its pidfd
    #[arg(value_name = "PID", value_parser = process)]
    processes: Vec<ProcessArg>,

    /// The same
    #[arg(long, value_name = "PID", value_parser = process)]
    pid: Vec<ProcessArg>,

    /// A cgroup and all below it: a path on a cgroup mount, or below the root of
    /// a hierarchy
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<PathBuf>,

    /// A container: id, unique beginning of an id, or name
    #[arg(long, value_name = "ID|NAME")]
    container: Vec<String>,

    /// A systemd unit, by its cgroup
    #[arg(long, value_name = "NAME")]
    unit: Vec<String>,

    /// Which hierarchy --cgroup means: v2, or the name of a v1 controller
    #[arg(long, value_name = "NAME")]
    hierarchy: Option<String>,

    /// State directory of a runtime started with --root
    #[arg(long, value_name = "DIR")]
    runtime_root: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct ProcessArg {
    pid: u32,
    /// Of the pidfd: tells the process from a later one with the same pid (Linux 6.9).
    inode: Option<u64>,
}

fn process(text: &str) -> Result<ProcessArg, String> {
    let (pid, inode) = text
        .split_once(':')
        .map_or((text, None), |(pid, inode)| (pid, Some(inode)));
    let number = pid.parse::<i32>().ok().filter(|&pid| pid > 0);
    let pid = number.ok_or_else(|| format!("'{pid}' is no pid: a number from 1 on"))?;
    let inode = inode
        .map(|inode| {
            inode
                .parse()
                .map_err(|_no_number| format!("'{inode}' is no inode number"))
        })
        .transpose()?;
    Ok(ProcessArg {
        pid: pid.cast_unsigned(),
        inode,
    })
}

/// A target that is pinned, or was gone before it could be.
pub(super) struct PinnedTarget {
    /// Its name in messages and in the verdict.
    pub(super) subject: Subject,
    /// `None`: it is gone already, which is what the wait is for.
    pub(super) pinned: Option<wait::Target>,
    /// Its cgroups, in which its exits happen.
    pub(super) cgroups: Vec<CgroupTarget>,
    /// The condition without `--until`.
    pub(super) default_until: Until,
}

impl PinnedTarget {
    /// Refuses a condition that does not fit such a target.
    pub(super) fn check(&self, until: Option<UntilArg>) -> Result<(), Failure> {
        let Some(UntilArg(until)) = until else {
            return Ok(());
        };
        let is_process = self.subject.process.is_some();
        let is_container =
            self.subject.container.is_some() || self.subject.unknown_container.is_some();
        let hint = match until {
            Until::Empty | Until::Removed if is_process => {
                "a process can be waited for until exited or reaped"
            }
            Until::Stopped if !is_container => {
                "stopped is for containers; a cgroup can be waited for until empty, a process until exited"
            }
            _ => return Ok(()),
        };
        let message = format!("--until {} does not fit a target", until.as_str());
        Err(Failure::message(ExitCode::Usage, message).hint(hint))
    }
}

/// What a target counts as that does not exist.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Absent {
    /// An error, for every kind of target.
    pub(super) is_error: bool,
    /// A container or unit that is unknown counts as gone.
    pub(super) unknown_is_gone: bool,
}

impl TargetArgs {
    /// Pins all targets. The first that cannot be pinned is an error.
    pub(super) fn pin(
        &self,
        mounts: &Mounts,
        tier: Backend,
        absent: Absent,
    ) -> Result<Vec<PinnedTarget>, Failure> {
        let mut named = Vec::new();
        for name in &self.cgroup {
            let target = target::cgroup(mounts, name, self.hierarchy.as_deref())?;
            named.push(pin::cgroup(&target, absent, Some(name))?);
        }
        for name in &self.unit {
            named.push(pin::unit(name, mounts, absent)?);
        }
        if !self.container.is_empty() {
            let mut resolver = self.resolver();
            for name in &self.container {
                named.push(pin::container(name, mounts, &mut resolver, tier, absent)?);
            }
        }
        for name in self.processes.iter().chain(&self.pid) {
            named.push(pin::one_process(*name, tier, absent)?);
        }
        Ok(named)
    }

    pub(super) fn resolver(&self) -> Resolver {
        let roots = StateRoots::system(terminal::runtime_dir(), self.runtime_root.clone());
        Resolver::unwatched(roots)
    }
}
