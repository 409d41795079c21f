//! Signals to everybody in a cgroup, or to one process, and to nobody else.
//!
//! A cgroup is known by its open directory, a process by its pidfd. SIGKILL on
//! v2 is `cgroup.kill` (Linux 5.14), and then a signal to whoever is still
//! listed: `cgroup.kill` spares a process whose leader has exited already.
//! Everything else reads and signals until nobody new shows up. Only if they
//! fork faster than that is the cgroup frozen, and thawed on every way out;
//! what SIGKILL leaves of us between the two is a frozen cgroup, which
//! [`Order::announce`] has told of before. v1 can freeze in its freezer hierarchy
//! alone. In the others, and against a child that its parent is forking just when
//! the list is read, only reading again helps: see [`Report::may_have_missed`].
//!
//! Waiting for the end is [`crate::wait`]'s.

mod freeze;
mod priority;
mod rounds;

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use self::rounds::Rounds;
use crate::{
    cgroup::control::CgroupControl,
    model::Signal,
    proc::{pinned::PinnedProcess, send::is_sendable},
    wait,
};

/// What is to be killed, pinned.
#[derive(Debug)]
pub struct KillTarget {
    cgroups: Vec<CgroupControl>,
    processes: Vec<PinnedProcess>,
}

/// Who forks faster than this is meant to.
pub const FREEZE_AFTER: u32 = 10;

/// Which signal, and how it may be sent.
pub struct Order<'a> {
    /// Which.
    pub signal: Signal,
    /// After so many rounds with somebody new in each a cgroup is frozen; see
    /// [`FREEZE_AFTER`].
    pub freeze_after: u32,
    /// Whether the time is up: nobody new is looked for then.
    pub is_over: &'a dyn Fn() -> bool,
    /// Is told of a cgroup before it is frozen, and how a shell thaws it.
    pub announce: &'a mut dyn FnMut(&Path, &str),
}

/// Who got the signal, and who did not.
#[derive(Debug, Default)]
pub struct Report {
    /// Thread group ids of those that were sent it one by one.
    pub signalled: Vec<u32>,
    /// Whether `cgroup.kill` has been written as well.
    pub by_cgroup: bool,
    /// Who could not be sent it.
    pub unreached: Vec<Unreached>,
    /// Cgroups that somebody else has frozen so that even SIGKILL has to wait.
    pub frozen: Vec<PathBuf>,
    /// Cgroups in which new ones showed up to the end.
    pub unsettled: Vec<PathBuf>,
    /// Whether there may be one that was on no list yet: SIGKILL without
    /// `cgroup.kill`. Signal again while somebody is left.
    pub may_have_missed: bool,
}

/// One that could not be signalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Thread group id; 0 if our pid namespace does not see it.
    pub pid: u32,
    /// Name; empty if unknown.
    pub comm: String,
    /// Why.
    pub errno: Errno,
}

impl Report {
    /// Those that we were not permitted to signal.
    pub fn forbidden(&self) -> impl Iterator<Item = &Unreached> {
        let is_forbidden = |it: &&Unreached| matches!(it.errno, Errno::PERM | Errno::ACCESS);
        self.unreached.iter().filter(is_forbidden)
    }
}

/// Why nobody was signalled, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// It cannot be sent, as the C library's own.
    #[error("{} cannot be sent", signal.name())]
    Signal {
        /// Which.
        signal: Signal,
    },
    /// Its tasks are threads of processes that have others elsewhere.
    #[error("{} is a threaded cgroup", path.display())]
    Threaded {
        /// Which.
        path: PathBuf,
        /// Where the processes are.
        root: PathBuf,
    },
    /// Its subtree has pid 1 or ourselves in it.
    #[error("{} contains {}", path.display(), whom(*pid))]
    Precious {
        /// Which.
        path: PathBuf,
        /// Who.
        pid: u32,
    },
    /// The process is pid 1, or we.
    #[error("that is {}", whom(*pid))]
    PreciousProcess {
        /// Who.
        pid: u32,
    },
    /// Its members cannot be read.
    #[error("cannot read the members of {}", path.display())]
    Members {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn whom(pid: u32) -> String {
    if pid == 1 {
        "pid 1".to_owned()
    } else {
        format!("probe itself (pid {pid})")
    }
}

impl KillTarget {
    /// The same cgroups and processes that are waited for, these by a pidfd even
    /// if the wait is without.
    pub fn of(target: &wait::Target) -> io::Result<Self> {
        let cgroups = target.cgroups.iter();
        let processes = target.processes.iter();
        Ok(Self {
            cgroups: cgroups
                .map(|(pinned, _)| CgroupControl::of(pinned))
                .collect::<io::Result<_>>()?,
            processes: processes
                .map(PinnedProcess::with_pidfd)
                .collect::<io::Result<_>>()?,
        })
    }

    /// Its cgroups, to be removed when they are empty.
    #[must_use]
    pub fn cgroups(&self) -> &[CgroupControl] {
        &self.cgroups
    }

    /// Whether it may be killed; with `force` also pid 1 and ourselves. Nothing is
    /// signalled before all that are named have been asked.
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
            if let Some(pid) = precious(&members(cgroup)?) {
                return Err(KillError::Precious { path, pid });
            }
        }
        let pids: Vec<u32> = self.processes.iter().map(|it| it.tgid).collect();
        match precious(&pids) {
            Some(pid) if !force => Err(KillError::PreciousProcess { pid }),
            _ => Ok(()),
        }
    }

    /// Signals every process. Call [`KillTarget::check`] before.
    pub fn signal(&self, order: &mut Order<'_>) -> Result<Report, KillError> {
        let mut rounds = Rounds::new(order.signal);
        for process in &self.processes {
            rounds.one(process);
        }
        for cgroup in &self.cgroups {
            rounds.cgroup(cgroup, order)?;
        }
        Ok(rounds.report)
    }
}

fn members(cgroup: &CgroupControl) -> Result<Vec<u32>, KillError> {
    cgroup.members().map_err(|source| KillError::Members {
        path: cgroup.path().to_owned(),
        source,
    })
}

/// Whom nobody means to kill.
fn precious(pids: &[u32]) -> Option<u32> {
    let own = std::process::id();
    pids.iter().copied().find(|&pid| pid == 1 || pid == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_1_and_ourselves_are_precious_and_others_are_not() {
        let own = std::process::id();
        assert_eq!(precious(&[own + 1, 1]), Some(1));
        assert_eq!(precious(&[own + 1, own]), Some(own));
        assert_eq!(precious(&[own + 1, 0, 2]), None);
    }
}
