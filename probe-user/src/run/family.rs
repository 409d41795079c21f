//! The descendants of this process, which is their subreaper: a descendant that loses its parent
//! becomes a child of this process, unless a subreaper between them takes it.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use rustix::{
    io::Errno,
    process::{Pid, WaitOptions, WaitStatus, getpid, set_child_subreaper, wait},
};

use crate::{
    model::{Backend, ProcessState, ScannedProcess},
    proc::{
        directory::ProcessDirectory,
        pinned::{PinProcessError, PinnedProcess},
        scan::{Found, scan},
        send::send,
        stat::Stat,
        tasks::process_state,
    },
};

/// A process of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Thread group id; 0 if the process is not visible in this pid namespace.
    pub pid: u32,
    /// Start in clock ticks since boot; 0 if it is unknown.
    start_ticks: u64,
    /// Name; `?` if `/proc` does not show it.
    pub comm: String,
}

impl Member {
    /// The member of a cgroup with this pid; `None` if it is gone, or if every task of it has begun
    /// to exit.
    #[must_use]
    pub fn living(pid: u32) -> Option<Self> {
        if pid == 0 {
            return Some(Self::unknown(pid));
        }
        let directory = ProcessDirectory::open(pid).ok()?;
        let mut buffer = Vec::new();
        if process_state(&directory, &mut buffer)
            .ok()?
            .has_begun_exit()
        {
            return None;
        }
        let file = directory.content("stat").ok()?;
        let stat = Stat::parse(&file)?;
        Some(Self {
            pid,
            start_ticks: stat.start_ticks,
            comm: String::from_utf8_lossy(stat.comm).into_owned(),
        })
    }

    /// Whether both are the same process, which may execute another program meanwhile.
    #[must_use]
    pub const fn is_same_as(&self, other: &Self) -> bool {
        self.pid == other.pid && self.start_ticks == other.start_ticks
    }

    fn unknown(pid: u32) -> Self {
        Self {
            pid,
            start_ticks: 0,
            comm: "?".to_owned(),
        }
    }

    fn of(process: &ScannedProcess) -> Self {
        Self {
            pid: process.tgid,
            start_ticks: process.start_ticks,
            comm: process.comm.to_str().into_owned(),
        }
    }

    /// Sends a signal to this process and to no later one with its pid.
    pub fn signal(&self, signal: crate::model::Signal) -> Result<(), Errno> {
        match PinnedProcess::open_at_tick(self.pid, self.start_ticks, Backend::Pidfd) {
            Ok(process) => send(&process, signal),
            Err(PinProcessError::NotFound { .. }) => Err(Errno::SRCH),
            Err(error) => Err(error.errno()),
        }
    }
}

/// The descendants of this process, without those that it had before.
#[derive(Debug)]
pub struct Family {
    own: u32,
    /// The descendants that this process had before it became a subreaper, by pid and start. The
    /// program that this process was before an exec has started them.
    before: HashSet<(u32, u64)>,
}

impl Family {
    /// Makes this process the subreaper of its descendants.
    pub fn begin() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let mut family = Self {
            own: std::process::id(),
            before: HashSet::new(),
        };
        if reap_all(&mut |_, _| {})? {
            let members = family.members()?.into_iter();
            family.before = members.map(|it| (it.pid, it.start_ticks)).collect();
        }
        Ok(family)
    }

    /// Reaps the children that have ended, and reports every child that has ended or stopped.
    /// Returns whether a child is left.
    pub fn reap(&self, mut report: impl FnMut(u32, WaitStatus)) -> io::Result<bool> {
        let has_children = reap_all(&mut report)?;
        if has_children && !self.before.is_empty() {
            let is_left = !self.members()?.is_empty();
            // A child that ended before the scan is no member any more.
            reap_all(&mut report)?;
            return Ok(is_left);
        }
        Ok(has_children)
    }

    /// The living descendants. Each generation is found among the processes of one scan. A process
    /// that loses its parent during the scan becomes a child of this process, and the next scan
    /// finds it.
    pub fn members(&self) -> io::Result<Vec<Member>> {
        let all: Vec<_> = scan(false)?.collect::<Result<_, _>>()?;
        let mut children: HashMap<u32, Vec<&ScannedProcess>> = HashMap::new();
        for Found { process, .. } in &all {
            children.entry(process.ppid).or_default().push(process);
        }
        let mut members = Vec::new();
        let mut parents = vec![self.own];
        while let Some(parent) = parents.pop() {
            for process in children.remove(&parent).into_iter().flatten() {
                if self.before.contains(&(process.tgid, process.start_ticks)) {
                    continue;
                }
                parents.push(process.tgid);
                if process.state != ProcessState::Exited {
                    members.push(Member::of(process));
                }
            }
        }
        Ok(members)
    }
}

/// Reaps every child that has ended. Returns whether a child is left.
fn reap_all(report: &mut dyn FnMut(u32, WaitStatus)) -> io::Result<bool> {
    loop {
        match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(Some((pid, status))) => report(Pid::as_raw(Some(pid)).cast_unsigned(), status),
            Ok(None) => return Ok(true),
            Err(Errno::CHILD) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
