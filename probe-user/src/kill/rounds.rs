//! Reading who is there and signalling whoever is new, until nobody is.

use std::collections::HashSet;

use rustix::io::Errno;

use super::{KillError, Order, Report, Unreached, freeze::Frozen, members, priority::Priority};
use crate::{
    cgroup::control::CgroupControl,
    model::{Backend, Signal, TaskState},
    proc::{
        directory::ProcessDirectory,
        pinned::{PinProcessError, PinnedProcess},
        send::send,
        stat::Stat,
    },
};

/// A frozen cgroup gets nobody new by forking, so this is not reached unless
/// others are moved in all the time.
const AT_MOST: u32 = 200;
/// So many pidfds are open at a time; the usual limit is 1024.
const BATCH: usize = 256;

/// One signal, sent once to each.
pub(super) struct Rounds {
    signal: Signal,
    /// Those that are settled, by pid and start: another with the pid is new.
    seen: HashSet<(u32, u64)>,
    pub(super) report: Report,
}

impl Rounds {
    pub(super) fn new(signal: Signal) -> Self {
        Self {
            signal,
            seen: HashSet::new(),
            report: Report::default(),
        }
    }

    pub(super) fn one(&mut self, process: &PinnedProcess) {
        if !self.seen.insert((process.tgid, process.start_ticks())) {
            return;
        }
        match send(process, self.signal) {
            Ok(()) => self.report.signalled.push(process.tgid),
            Err(Errno::SRCH) => {}
            // cgroup.kill asks for no right to signal. It has reached all but
            // those whose leader has exited.
            Err(_) if self.report.by_cgroup && !leader_has_exited(process.tgid) => {}
            Err(errno) => self.report.unreached.push(Unreached {
                pid: process.tgid,
                comm: process.comm.clone(),
                errno,
            }),
        }
    }

    pub(super) fn cgroup(
        &mut self,
        cgroup: &CgroupControl,
        order: &mut Order<'_>,
    ) -> Result<(), KillError> {
        if self.signal == Signal::KILL {
            match cgroup.kill() {
                Ok(()) => self.report.by_cgroup = true,
                // v1, an older kernel, or no right to: one by one.
                Err(error) => {
                    tracing::debug!(%error, "without cgroup.kill");
                    self.report.may_have_missed = true;
                }
            }
        }
        let _first = Priority::first();
        let mut frozen = None;
        let mut is_settled = false;
        for round in 0..AT_MOST {
            if round > 0 && (order.is_over)() {
                break;
            }
            if round == order.freeze_after && cgroup.has_freezer() && !cgroup.is_frozen() {
                (order.announce)(cgroup.path(), &cgroup.thaw_command());
                frozen = Frozen::freeze(cgroup).unwrap_or_else(|error| {
                    tracing::warn!(%error, "cannot freeze {}", cgroup.path().display());
                    None
                });
            }
            if self.round(cgroup)? == 0 {
                is_settled = true;
                break;
            }
        }
        drop(frozen);
        if !is_settled {
            self.report.unsettled.push(cgroup.path().to_owned());
        }
        if self.signal == Signal::KILL && cgroup.delays_sigkill() {
            self.report.frozen.push(cgroup.path().to_owned());
        }
        Ok(())
    }

    /// How many were new.
    fn round(&mut self, cgroup: &CgroupControl) -> Result<usize, KillError> {
        let listed = members(cgroup)?;
        let before = self.seen.len();
        for pids in listed.chunks(BATCH) {
            let mut pinned = Vec::new();
            for &pid in pids {
                if pid == 0 {
                    self.unseen();
                    continue;
                }
                match PinnedProcess::open(pid, Backend::Pidfd) {
                    Ok(process) => pinned.push(process),
                    Err(PinProcessError::NotFound { .. } | PinProcessError::Thread { .. }) => {}
                    Err(error) => tracing::debug!(%error, "cannot pin a member"),
                }
            }
            pinned.retain(|it| !self.seen.contains(&(it.tgid, it.start_ticks())));
            if pinned.is_empty() {
                continue;
            }
            // Between the list and the pidfd the pid may have become another's.
            // Who is pinned now and listed now is a member.
            let listed: HashSet<u32> = members(cgroup)?.into_iter().collect();
            for process in pinned.iter().filter(|it| listed.contains(&it.tgid)) {
                self.one(process);
            }
        }
        Ok(self.seen.len() - before)
    }

    /// One in a pid namespace that is not below ours.
    fn unseen(&mut self) {
        if self.report.by_cgroup || !self.seen.insert((0, 0)) {
            return;
        }
        self.report.unreached.push(Unreached {
            pid: 0,
            comm: String::new(),
            errno: Errno::SRCH,
        });
    }
}

fn leader_has_exited(tgid: u32) -> bool {
    let stat = ProcessDirectory::open(tgid).and_then(|it| it.content("stat"));
    let leader = stat
        .ok()
        .and_then(|it| Some(Stat::parse(&it)?.task_state()));
    leader == Some(TaskState::Zombie)
}
