//! All processes of a run: those of its cgroup, and descendants outside of it.

use std::{collections::HashSet, io, path::Path};

use probe_user::{
    model::{CgroupState, Signal},
    unstable::{
        cgroup::{control::CgroupControl, pinned::PinnedCgroup},
        kill::{FREEZE_AFTER, KillTarget, SignalRequest},
        run::{Family, Member, RunCgroup},
    },
};
use rustix::{
    io::Errno,
    process::{Pid, WaitStatus},
};

use crate::cli::{Failure, terminal::Messages};

/// Most rounds in which new descendants are signalled. A process that forks faster is signalled
/// again later.
const MAX_ROUNDS: usize = 100;

/// Most members that are looked up by name. To name all processes of a fork bomb would delay its
/// kill by seconds.
const MAX_NAMED: usize = 1000;

/// The command and all processes that come from it.
pub(super) struct Everything {
    cgroup: Option<Grouped>,
    family: Family,
    pub(super) child: Pid,
}

struct Grouped {
    run: RunCgroup,
    control: CgroupControl,
    target: KillTarget,
}

impl Everything {
    pub(super) fn new(cgroup: Option<RunCgroup>, family: Family, child: Pid) -> io::Result<Self> {
        let cgroup = cgroup.map(|run| {
            Ok::<_, io::Error>(Grouped {
                control: run.control()?,
                target: KillTarget::of(run.target())?,
                run,
            })
        });
        Ok(Self {
            cgroup: cgroup.transpose()?,
            family,
            child,
        })
    }

    pub(super) fn pinned(&self) -> Option<&PinnedCgroup> {
        self.cgroup.as_ref().map(|it| it.run.pinned())
    }

    pub(super) fn control(&self) -> Option<&CgroupControl> {
        self.cgroup.as_ref().map(|it| &it.control)
    }

    /// Reaps the children that have ended. Returns whether a child is left.
    pub(super) fn reap(&self, report: impl FnMut(u32, WaitStatus)) -> io::Result<bool> {
        self.family.reap(report)
    }

    /// Whether a process is in the cgroup.
    pub(super) fn is_populated(&self) -> io::Result<bool> {
        let state = self.pinned().map(PinnedCgroup::state).transpose()?;
        Ok(state == Some(CgroupState::Populated))
    }

    /// The living processes: the first [`MAX_NAMED`] of the cgroup, or if there are none, the
    /// descendants.
    pub(super) fn living(&self) -> io::Result<Vec<Member>> {
        if let Some(cgroup) = &self.cgroup {
            let pids = cgroup.control.members()?;
            let members = pids.into_iter().filter_map(Member::living);
            let members: Vec<_> = members.take(MAX_NAMED).collect();
            if !members.is_empty() {
                return Ok(members);
            }
        }
        self.family.members()
    }

    /// Sends a signal to every process. Returns those that refuse it.
    pub(super) fn signal(&self, signal: Signal) -> Result<Vec<Member>, Failure> {
        let mut refusing = Vec::new();
        let mut done = HashSet::new();
        if let Some(cgroup) = &self.cgroup {
            // SIGKILL may reach a process twice, other signals may not.
            if signal != Signal::KILL {
                done.extend(cgroup.control.members()?);
            }
            let mut before_freeze = |path: &Path, thaw: &str| {
                Messages::print_always(&format!(
                    "probe: freezing {}: it forks faster than it can be signalled\n\
                     hint: if probe is killed before it thaws the cgroup, run: {thaw}",
                    path.display()
                ));
            };
            let report = cgroup.target.signal(&mut SignalRequest {
                signal,
                freeze_after: FREEZE_AFTER,
                should_stop: &|| false,
                before_freeze: &mut before_freeze,
            })?;
            let unreached = report.forbidden().map(|it| it.pid);
            refusing.extend(unreached.filter_map(Member::living));
            if signal == Signal::KILL && self.is_populated()? {
                return Ok(refusing);
            }
        }
        for _ in 0..MAX_ROUNDS {
            let members = self.family.members()?;
            let before = done.len();
            for member in members {
                if done.insert(member.pid)
                    && let Err(Errno::PERM | Errno::ACCESS) = member.signal(signal)
                {
                    refusing.push(member);
                }
            }
            if done.len() == before {
                break;
            }
        }
        Ok(refusing)
    }

    /// Removes the cgroup.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        let Some(cgroup) = &self.cgroup else {
            return Ok(());
        };
        cgroup.control.remove().map_err(|error| {
            let context = format!("cannot remove {}", cgroup.control.path().display());
            Failure::from(anyhow::Error::new(error).context(context))
                .hint("probe run --clean removes it later")
        })
    }
}
