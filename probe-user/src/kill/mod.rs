//! Sends a signal to every process of a cgroup, or to one process, and to no other.
//!
//! A cgroup is identified by its open directory, a process by its pidfd. SIGKILL on v2
//! is `cgroup.kill` (Linux 5.14), followed by a signal to each process that is still
//! listed, because `cgroup.kill` skips a process with an exited leader. Any
//! other signal, and SIGKILL without `cgroup.kill`, reads the members and signals them
//! until no new member appears. A cgroup that forks faster than that is frozen
//! meanwhile, and thawed on every return path. If SIGKILL ends this process before it
//! thaws the cgroup, the cgroup stays frozen; [`SignalRequest::before_freeze`] has
//! printed the command that thaws it. On v1 only the freezer hierarchy can freeze. In
//! the other hierarchies, and for a child that its parent forks while the list is read,
//! the list has to be read again later: see [`Report::may_have_missed`].
//!
//! [`crate::wait`] waits until the processes are gone.

mod freeze;
mod priority;
mod rounds;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use self::rounds::Rounds;
use crate::{
    cgroup::control::CgroupControl,
    model::Signal,
    proc::{directory::ProcessDirectory, pinned::PinnedProcess, send::is_sendable, stat::Stat},
    wait,
};

/// Cgroups and processes to signal, each held open.
#[derive(Debug)]
pub struct KillTarget {
    cgroups: Vec<CgroupControl>,
    processes: Vec<PinnedProcess>,
    /// Whether SIGKILL also thaws the cgroups.
    thaws: bool,
}

/// Default number of rounds before a cgroup is frozen. A cgroup that has new members
/// after this many rounds is a fork bomb.
pub const FREEZE_AFTER: u32 = 10;

/// The signal to send, and when to freeze or stop.
pub struct SignalRequest<'a> {
    /// The signal to send.
    pub signal: Signal,
    /// Number of rounds, each with new members, after which a cgroup is frozen; see
    /// [`FREEZE_AFTER`].
    pub freeze_after: u32,
    /// Whether to stop looking for new members, because the time limit has passed.
    pub should_stop: &'a dyn Fn() -> bool,
    /// Called before a cgroup is frozen, with its path and a shell command that thaws it.
    pub before_freeze: &'a mut dyn FnMut(&Path, &str),
}

/// Which processes received the signal, and which did not.
#[derive(Debug, Default)]
pub struct Report {
    /// Whether `cgroup.kill` was written.
    pub used_cgroup_kill: bool,
    /// Pids of the processes that got the signal: those that were signalled one by one, and those
    /// that were listed right before `cgroup.kill`. The latter reaches processes too that fork
    /// meanwhile, or that are not listed here because they have no pid in our pid namespace.
    pub signalled: BTreeSet<u32>,
    /// Processes that could not be signalled.
    pub unreached: Vec<Unreached>,
    /// Cgroups that another program has frozen in a way that delays even SIGKILL.
    pub frozen: Vec<PathBuf>,
    /// Cgroups in which new members appeared until the last round.
    pub unsettled: Vec<PathBuf>,
    /// Whether a new child may have been on no list: SIGKILL without `cgroup.kill`. The
    /// caller signals again while processes are left.
    pub may_have_missed: bool,
}

/// A process that could not be signalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Thread group id; 0 if the process is not visible in our pid namespace.
    pub pid: u32,
    /// Name; empty if unknown.
    pub comm: String,
    /// The error of the signal.
    pub errno: Errno,
}

impl Report {
    /// Processes that we were not permitted to signal.
    pub fn forbidden(&self) -> impl Iterator<Item = &Unreached> {
        let is_forbidden = |it: &&Unreached| matches!(it.errno, Errno::PERM | Errno::ACCESS);
        self.unreached.iter().filter(is_forbidden)
    }
}

/// Why a target was not signalled, or not completely.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// The C library reserves the signal for itself.
    #[error("{} cannot be sent", signal.name())]
    Signal {
        /// The reserved signal.
        signal: Signal,
    },
    /// The cgroup holds threads of processes that belong to another cgroup.
    #[error("{} is a threaded cgroup", path.display())]
    Threaded {
        /// The threaded cgroup.
        path: PathBuf,
        /// The cgroup to which the processes belong.
        root: PathBuf,
    },
    /// Pid 1 or this process is in the subtree of the cgroup.
    #[error("refusing to kill {}: it contains {}", path.display(), protected_name(*pid))]
    ProtectedMember {
        /// The refused cgroup.
        path: PathBuf,
        /// The protected member.
        pid: u32,
    },
    /// The target is pid 1 or this process.
    #[error("refusing to kill {}", protected_name(*pid))]
    ProtectedProcess {
        /// The protected process.
        pid: u32,
    },
    /// The target is a thread of the kernel, which ignores signals.
    #[error("refusing to kill {comm} (pid {pid}): it is a kernel thread, which ignores signals")]
    KernelThread {
        /// The thread.
        pid: u32,
        /// Its name.
        comm: String,
    },
    /// The list of members cannot be read.
    #[error("cannot read the members of {}", path.display())]
    Members {
        /// The cgroup.
        path: PathBuf,
        /// The error of the read.
        #[source]
        source: io::Error,
    },
}

fn protected_name(pid: u32) -> String {
    if pid == 1 {
        "pid 1".to_owned()
    } else {
        format!("probe itself (pid {pid})")
    }
}

impl KillTarget {
    /// The cgroups and processes of a wait. The processes are opened by pidfd, even if
    /// the wait uses none.
    pub fn of(target: &wait::Target) -> io::Result<Self> {
        let cgroups = target.cgroups.iter();
        let processes = target.processes.iter();
        Ok(Self {
            cgroups: cgroups.map(CgroupControl::of).collect::<io::Result<_>>()?,
            processes: processes
                .map(PinnedProcess::with_pidfd)
                .collect::<io::Result<_>>()?,
            thaws: false,
        })
    }

    /// Lets SIGKILL also thaw the cgroups. In a frozen v1 cgroup no process dies before that,
    /// and a runtime refuses to delete a container in a frozen v2 cgroup, because the
    /// container is paused.
    #[must_use]
    pub fn with_thaw(self) -> Self {
        Self {
            thaws: true,
            ..self
        }
    }

    /// The cgroups of the target, which the caller may remove when they are empty.
    #[must_use]
    pub fn cgroups(&self) -> &[CgroupControl] {
        &self.cgroups
    }

    /// Refuses a target that may not be killed. With `force` pid 1 and this process may
    /// be killed, too. The caller checks all targets before it signals the first.
    pub fn check(&self, signal: Signal, force: bool) -> Result<(), KillError> {
        if !is_sendable(signal) {
            return Err(KillError::Signal { signal });
        }
        for cgroup in &self.cgroups {
            let path = cgroup.path().to_owned();
            if let Some(root) = cgroup.domain_root() {
                return Err(KillError::Threaded { path, root });
            }
            if force {
                continue;
            }
            if let Some(pid) = protected(&members(
                cgroup,
                signal == Signal::KILL && cgroup.has_kill(),
            )?) {
                return Err(KillError::ProtectedMember { path, pid });
            }
        }
        if let Some(thread) = self.processes.iter().find(|it| is_kernel_thread(it)) {
            return Err(KillError::KernelThread {
                pid: thread.tgid,
                comm: thread.comm.clone().unwrap_or_default(),
            });
        }
        let pids: Vec<u32> = self.processes.iter().map(|it| it.tgid).collect();
        match protected(&pids) {
            Some(pid) if !force => Err(KillError::ProtectedProcess { pid }),
            _ => Ok(()),
        }
    }

    /// Signals every process of the target. Call [`KillTarget::check`] before.
    pub fn signal(&self, request: &mut SignalRequest<'_>) -> Result<Report, KillError> {
        let mut rounds = Rounds::new(request.signal);
        for process in &self.processes {
            rounds.signal_process(process);
        }
        for cgroup in &self.cgroups {
            rounds.signal_cgroup(cgroup, request)?;
        }
        let mut report = rounds.report;
        if self.thaws && request.signal == Signal::KILL {
            for cgroup in &self.cgroups {
                match cgroup.thaw_all() {
                    Ok(()) => report.frozen.retain(|it| it != cgroup.path()),
                    Err(error) => {
                        let path = cgroup.path().display();
                        tracing::warn!(%error, "cannot thaw {path}");
                    }
                }
            }
        }
        Ok(report)
    }
}

/// The processes to signal. A mount may hide descendants, which only `cgroup.kill` reaches.
fn members(cgroup: &CgroupControl, reaches_hidden: bool) -> Result<Vec<u32>, KillError> {
    let members = if reaches_hidden {
        cgroup.visible_members()
    } else {
        cgroup.members()
    };
    members.map_err(|source| KillError::Members {
        path: cgroup.path().to_owned(),
        source,
    })
}

fn is_kernel_thread(process: &PinnedProcess) -> bool {
    let stat = ProcessDirectory::open(process.tgid).and_then(|it| it.content("stat"));
    stat.is_ok_and(|stat| {
        Stat::parse(&stat).is_some_and(|stat| {
            process.start_ticks() == Some(stat.start_ticks) && stat.is_kernel_thread()
        })
    })
}

/// A pid that is killed with `--force` only: pid 1 or our own.
fn protected(pids: &[u32]) -> Option<u32> {
    let own = std::process::id();
    pids.iter().copied().find(|&pid| pid == 1 || pid == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_1_and_our_own_pid_are_protected_and_other_pids_are_not() {
        let own = std::process::id();
        assert_eq!(protected(&[own + 1, 1]), Some(1));
        assert_eq!(protected(&[own + 1, own]), Some(own));
        assert_eq!(protected(&[own + 1, 0, 2]), None);
    }
}
