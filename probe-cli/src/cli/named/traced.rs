//! The targets of `trace` and `top`, in which exits are shown.

use probe_daemon::api::query;
use probe_user::{
    model::Filter,
    unstable::{
        cgroup::mounts::Mounts, clock::initial_tick, container::Resolver,
        proc::pinned::PinnedProcess,
    },
};

use super::{ProcessArg, TargetArgs, unit_cgroups};
use crate::cli::{
    ExitCode, Failure,
    conditions::Conditions,
    target::{self, CgroupTarget},
};

/// Targets that exist.
#[derive(Debug, Default)]
pub(in crate::cli) struct TracedTargets {
    pub(in crate::cli) cgroups: Vec<CgroupTarget>,
    /// They are pinned, so that a later process with the pid of one is not traced.
    pub(in crate::cli) processes: Vec<PinnedProcess>,
}

impl TargetArgs {
    /// Finds all targets, which must exist.
    pub(in crate::cli) fn traced(
        &self,
        mounts: &Mounts,
        resolver: &mut Resolver,
    ) -> Result<TracedTargets, Failure> {
        let mut cgroups = Vec::new();
        for name in &self.cgroup {
            let target = target::cgroup(mounts, name, self.hierarchy.as_deref())?;
            cgroups.push(target.existing()?);
        }
        for name in &self.unit {
            cgroups.extend(unit_cgroups(name, mounts)?);
        }
        for name in &self.container {
            cgroups.push(target::container(mounts, name, resolver)?);
        }
        let processes = self.processes()?.into_iter().map(ProcessArg::pin);
        Ok(TracedTargets {
            cgroups: super::unique(cgroups, |one, other| one.directory == other.directory),
            processes: processes.collect::<Result<_, _>>()?,
        })
    }
}

impl TracedTargets {
    /// Number of targets; 0 stands for the whole machine.
    pub(in crate::cli) fn count(&self) -> usize {
        self.cgroups.len() + self.processes.len()
    }

    /// The query for the records of a daemon, and whether the reader must test the targets, because
    /// a query has one. `None` if a daemon has no record by which the reader could: it names the
    /// v2 cgroup only.
    pub(in crate::cli) fn query(
        &self,
        conditions: &Conditions,
    ) -> Result<Option<(query::Records, bool)>, Failure> {
        let query = conditions.query()?;
        Ok(match (&self.cgroups[..], &self.processes[..]) {
            ([], []) => Some((query, false)),
            ([cgroup], []) => {
                let directory = cgroup.directory.to_string_lossy();
                let cgroup = Some(directory.into_owned());
                Some((query::Records { cgroup, ..query }, false))
            }
            ([], [process]) => {
                let query = query::Records {
                    pid: Some(process.tgid),
                    start_ticks: process.start_ticks().map(initial_tick),
                    ..query
                };
                Some((query, false))
            }
            (cgroups, _) if cgroups.iter().any(|it| it.mount.hierarchy != 0) => None,
            _ => Some((query, true)),
        })
    }

    /// The filter for these targets and conditions.
    pub(in crate::cli) fn filter(&self, conditions: &Conditions) -> Result<Filter, Failure> {
        let subtrees: Vec<_> = self.cgroups.iter().map(CgroupTarget::subtree).collect();
        let mut hierarchies: Vec<_> = subtrees.iter().map(|it| it.hierarchy).collect();
        hierarchies.retain(|&hierarchy| hierarchy != 0);
        hierarchies.dedup();
        if hierarchies.len() > 1 {
            let message = "the targets are in different v1 hierarchies";
            let failure = Failure::message(ExitCode::Usage, message);
            return Err(
                failure.hint("use targets of one hierarchy; every process is in each of them")
            );
        }
        Ok(Filter {
            subtrees,
            processes: self
                .processes
                .iter()
                .map(PinnedProcess::as_target)
                .collect(),
            ..conditions.filter()
        })
    }
}
