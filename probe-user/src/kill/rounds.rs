//! Reads the members of a cgroup and signals the new ones, until no new member appears.

use std::collections::HashSet;

use rustix::io::Errno;

use super::{
    KillError, Report, SignalRequest, Unreached, freeze::Frozen, members, priority::Priority,
};
use crate::{
    cgroup::control::CgroupControl,
    model::{Backend, Signal, TaskState},
    proc::{
        directory::ProcessDirectory,
        pinned::{Identity, PinProcessError, PinnedProcess},
        send::send,
        stat::Stat,
    },
};

/// Most rounds for one cgroup. No process forks in a frozen cgroup, so this many rounds
/// mean that processes are moved into it all the time.
const MAX_ROUNDS: u32 = 200;
/// Most pidfds that are open at a time; the usual limit of a process is 1024.
const BATCH: usize = 256;

/// The rounds of one signal, which each process gets once.
pub(super) struct Rounds {
    signal: Signal,
    /// The processes that were signalled.
    seen: HashSet<Identity>,
    /// Pids of members that could not be opened, and 0 for members of which the pid is not
    /// visible.
    unopened: HashSet<u32>,
    pub(super) report: Report,
}

impl Rounds {
    pub(super) fn new(signal: Signal) -> Self {
        Self {
            signal,
            seen: HashSet::new(),
            unopened: HashSet::new(),
            report: Report::default(),
        }
    }

    pub(super) fn signal_process(&mut self, process: &PinnedProcess) {
        if !self.seen.insert(process.identity()) {
            return;
        }
        match send(process, self.signal) {
            Ok(()) => {
                self.report.signalled.insert(process.tgid);
            }
            Err(Errno::SRCH) => {}
            // `cgroup.kill` needs no right to signal a process. It has reached all
            // processes but those of which the leader has exited.
            Err(_) if self.report.used_cgroup_kill && !leader_has_exited(process.tgid) => {}
            Err(errno) => self.report.unreached.push(Unreached {
                pid: process.tgid,
                comm: process.comm.clone().unwrap_or_default(),
                errno,
            }),
        }
    }

    pub(super) fn signal_cgroup(
        &mut self,
        cgroup: &CgroupControl,
        request: &mut SignalRequest<'_>,
    ) -> Result<(), KillError> {
        if self.signal == Signal::KILL {
            let listed = cgroup.visible_members();
            match cgroup.kill() {
                Ok(()) => {
                    self.report.used_cgroup_kill = true;
                    let listed = listed.into_iter().flatten().filter(|&pid| pid != 0);
                    self.report.signalled.extend(listed);
                }
                // A v1 cgroup, an older kernel, or no right to write the file.
                Err(error) => {
                    tracing::debug!(%error, "cannot use cgroup.kill: signalling each process");
                    self.report.may_have_missed = true;
                }
            }
        }
        let _raised = Priority::raise();
        let mut frozen = None;
        let mut is_settled = false;
        for round in 0..MAX_ROUNDS {
            if round > 0 && (request.should_stop)() {
                break;
            }
            if round == request.freeze_after && cgroup.has_freezer() && !cgroup.is_frozen() {
                (request.before_freeze)(cgroup.path(), &cgroup.thaw_command());
                frozen = Frozen::freeze(cgroup).unwrap_or_else(|error| {
                    tracing::warn!(%error, "cannot freeze {}", cgroup.path().display());
                    None
                });
            }
            if self.signal_new_members(cgroup)? == 0 {
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

    /// One round; returns the number of new members.
    fn signal_new_members(&mut self, cgroup: &CgroupControl) -> Result<usize, KillError> {
        let listed = members(cgroup, self.report.used_cgroup_kill)?;
        let before = self.seen.len();
        for pids in listed.chunks(BATCH) {
            let mut pinned = Vec::new();
            for &pid in pids {
                if pid == 0 {
                    self.note_unopened(0, Errno::SRCH);
                    continue;
                }
                match PinnedProcess::open(pid, Backend::Pidfd) {
                    Ok(process) => pinned.push(process),
                    Err(PinProcessError::NotFound { .. } | PinProcessError::Thread { .. }) => {}
                    Err(error) => {
                        tracing::debug!(%error, "cannot open a member");
                        self.note_unopened(pid, error.errno());
                    }
                }
            }
            pinned.retain(|it| !self.seen.contains(&it.identity()));
            if pinned.is_empty() {
                continue;
            }
            // Between the list and the pidfd the kernel may have given the pid to another
            // process. A process that is open and still listed is a member.
            let listed: HashSet<u32> = members(cgroup, self.report.used_cgroup_kill)?
                .into_iter()
                .collect();
            for process in pinned.iter().filter(|it| listed.contains(&it.tgid)) {
                self.signal_process(process);
            }
        }
        Ok(self.seen.len() - before)
    }

    /// Notes a member that cannot be opened, such as one in a pid namespace that is not below
    /// ours, for which the list shows pid 0.
    fn note_unopened(&mut self, pid: u32, errno: Errno) {
        if self.report.used_cgroup_kill || !self.unopened.insert(pid) {
            return;
        }
        self.report.unreached.push(Unreached {
            pid,
            comm: String::new(),
            errno,
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
