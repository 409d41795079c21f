//! A process pinned by its pidfd, or by its start time where there is none: what
//! it is now, and a descriptor that tells when that changes.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use procfs::{ProcError, process::Process};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::pidfd_info;
use crate::{
    clock::tick_ns,
    model::{Backend, ProcessId, ProcessState},
};

/// A process that stays the same one however often its pid is used again.
#[derive(Debug)]
pub struct PinnedProcess {
    /// Thread group id.
    pub tgid: u32,
    /// Name when it was pinned.
    pub comm: String,
    /// Start in clock ticks since boot, as `/proc/PID/stat` has it.
    start_ticks: u64,
    /// Linux 5.3, and nobody forbids it.
    pidfd: Option<OwnedFd>,
    /// `/proc/PID/stat` where there is no pidfd. An open one stays this
    /// process's: once that is reaped reading it fails.
    stat: Option<File>,
}

/// Why a process cannot be waited for.
#[derive(Debug, thiserror::Error)]
pub enum PinProcessError {
    /// There is none with this pid (any more).
    #[error("no process {pid}")]
    NotFound {
        /// Which pid.
        pid: u32,
    },
    /// The number is a thread's.
    #[error("{tid} is a thread of process {tgid}")]
    Thread {
        /// Which number.
        tid: u32,
        /// Its thread group.
        tgid: u32,
    },
    /// `/proc` did not answer.
    #[error("cannot look at process {pid}")]
    Look {
        /// Which pid.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl PinnedProcess {
    /// Pins a running process or a zombie; [`Backend::Poll`] without a pidfd.
    pub fn open(pid: u32, tier: Backend) -> Result<Self, PinProcessError> {
        let not_found = PinProcessError::NotFound { pid };
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(number) = number else {
            return Err(not_found);
        };
        // The pidfd first: what is read of /proc afterwards is this process's if
        // the pidfd says afterwards that it still has the pid.
        let pidfd = match tier {
            Backend::Poll => None,
            _ => match pidfd_open(number, PidfdFlags::empty()) {
                Ok(pidfd) => Some(pidfd),
                Err(Errno::SRCH) => return Err(not_found),
                // A thread (ENOENT from 6.15 on), or no such call, or forbidden.
                Err(_) => None,
            },
        };
        let stat = Process::new(number.as_raw_nonzero().get())
            .and_then(|process| Ok((process.stat()?, process.status()?)));
        let (stat, status) = match stat {
            Ok(read) => read,
            Err(ProcError::NotFound(_)) => return Err(not_found),
            Err(error) => {
                let source = io::Error::other(error);
                return Err(PinProcessError::Look { pid, source });
            }
        };
        let tgid = u32::try_from(status.tgid).unwrap_or(pid);
        if tgid != pid {
            return Err(PinProcessError::Thread { tid: pid, tgid });
        }
        let pinned = Self {
            tgid: pid,
            comm: stat.comm,
            start_ticks: stat.starttime,
            stat: match pidfd {
                Some(_) => None,
                None => Some(
                    File::open(format!("/proc/{pid}/stat"))
                        .map_err(|source| PinProcessError::Look { pid, source })?,
                ),
            },
            pidfd,
        };
        match pinned.state() {
            Ok(ProcessState::Reaped) => Err(not_found),
            _ => Ok(pinned),
        }
    }

    /// The same of one that started at a moment, in `CLOCK_BOOTTIME` nanoseconds,
    /// and of nobody who has the pid by now.
    pub fn open_started(
        pid: u32,
        start_boottime_ns: u64,
        tier: Backend,
    ) -> Result<Self, PinProcessError> {
        let key = ProcessId {
            tgid: pid,
            start_boottime_ns,
        };
        let pinned = Self::open(pid, tier)?;
        if pinned.is(key) {
            Ok(pinned)
        } else {
            Err(PinProcessError::NotFound { pid })
        }
    }

    /// The same pin by what this tier may use.
    pub fn with_tier(mut self, tier: Backend) -> io::Result<Self> {
        if tier == Backend::Poll && self.pidfd.is_some() {
            self.stat = match File::open(format!("/proc/{}/stat", self.tgid)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                stat => Some(stat?),
            };
            // If it still has the pid, the file is its own.
            if self.state()? == ProcessState::Reaped {
                self.stat = None;
            }
            self.pidfd = None;
        }
        Ok(self)
    }

    /// Another pin of the same process.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            tgid: self.tgid,
            comm: self.comm.clone(),
            start_ticks: self.start_ticks,
            pidfd: self.pidfd.as_ref().map(OwnedFd::try_clone).transpose()?,
            stat: self.stat.as_ref().map(File::try_clone).transpose()?,
        })
    }

    /// Another pin of the same process, by a pidfd if one is to be had: a signal
    /// sent by that cannot reach a stranger.
    pub fn with_pidfd(&self) -> io::Result<Self> {
        if self.pidfd.is_none()
            && let Ok(other) = Self::open(self.tgid, Backend::Pidfd)
            // Who still has the pid now had it when the other was pinned.
            && self.state()? != ProcessState::Reaped
        {
            return Ok(other);
        }
        self.try_clone()
    }

    /// Start in clock ticks since boot, as `/proc/PID/stat` has it.
    #[must_use]
    pub const fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// Its real uid now; `None` if it is gone.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        let number = i32::try_from(self.tgid).ok()?;
        let uid = Process::new(number).ok()?.status().ok()?.ruid;
        // The pid was this one's when it was read if it still is.
        matches!(
            self.state(),
            Ok(ProcessState::Running | ProcessState::Exited)
        )
        .then_some(uid)
    }

    /// What it is at this moment.
    pub fn state(&self) -> io::Result<ProcessState> {
        let Some(pidfd) = &self.pidfd else {
            return self.state_by_proc();
        };
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default()))?;
        let seen = fds[0].revents();
        if !seen.intersects(PollFlags::IN | PollFlags::HUP) {
            return Ok(ProcessState::Running);
        }
        if seen.contains(PollFlags::HUP) {
            return Ok(ProcessState::Reaped);
        }
        // Before Linux 6.9 the pidfd does not tell a zombie from one that is
        // reaped.
        Ok(self
            .stat()?
            .map_or(ProcessState::Reaped, |_zombie| ProcessState::Exited))
    }

    /// A descriptor that is readable once the whole thread group has exited,
    /// and hangs up (Linux 6.9) when it is reaped.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Whether a record is about this process. Records count nanoseconds,
    /// `/proc` clock ticks.
    #[must_use]
    pub fn is(&self, key: ProcessId) -> bool {
        key.tgid == self.tgid && key.start_boottime_ns / tick_ns() == self.start_ticks
    }

    /// Raw wait status, kept by the pidfd beyond the reap (Linux 6.15), or shown
    /// for a zombie to who may trace it.
    #[must_use]
    pub fn wait_status(&self) -> Option<u32> {
        let kept = self
            .pidfd()
            .and_then(|pidfd| pidfd_info::exit_status(pidfd).ok().flatten());
        kept.or_else(|| {
            let stat = self.stat().ok()??;
            let status = stat.exit_code?.cast_unsigned();
            // 0 is also what somebody without the privilege is shown.
            (stat.state == 'Z' && status != 0).then_some(status)
        })
    }

    /// `None`: the pid is another's, or nobody's.
    fn stat(&self) -> io::Result<Option<procfs::process::Stat>> {
        let number = i32::try_from(self.tgid).map_err(io::Error::other)?;
        match Process::new(number).and_then(|process| process.stat()) {
            Ok(stat) => Ok(Some(stat).filter(|stat| stat.starttime == self.start_ticks)),
            Err(ProcError::NotFound(_)) => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn state_by_proc(&self) -> io::Result<ProcessState> {
        let mut bytes = [0; 1024];
        let read = self.stat.as_ref().map(|stat| stat.read_at(&mut bytes, 0));
        let length = match read {
            Some(Ok(length)) => length,
            Some(Err(error)) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {
                return Ok(ProcessState::Reaped);
            }
            Some(Err(error)) => return Err(error),
            None => return Ok(ProcessState::Reaped),
        };
        parse_state(&bytes[..length], self.start_ticks)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no state in /proc/PID/stat"))
    }
}

/// The name may hold anything, so what stands behind its last parenthesis counts:
/// state first, `num_threads` 18th, `starttime` 20th.
pub(crate) fn parse_state(stat: &[u8], start_ticks: u64) -> Option<ProcessState> {
    let stat = std::str::from_utf8(&stat[stat.iter().rposition(|&it| it == b')')? + 1..]).ok()?;
    let mut fields = stat.split_ascii_whitespace();
    let state = fields.next()?;
    let threads: u64 = fields.nth(16)?.parse().ok()?;
    let start: u64 = fields.nth(1)?.parse().ok()?;
    Some(match state {
        _ if start != start_ticks => ProcessState::Reaped,
        // The state is the leader's: it may be a zombie while others live.
        "Z" | "X" if threads <= 1 => ProcessState::Exited,
        _ => ProcessState::Running,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(name: &str, state: char, threads: u32, start: u64) -> Option<ProcessState> {
        let stat = format!(
            "7 ({name}) {state} 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 {threads} 0 {start} 9\n"
        );
        parse_state(stat.as_bytes(), 500)
    }

    #[test]
    fn a_zombie_leader_is_no_death_of_its_group() {
        assert_eq!(life("a", 'Z', 3, 500), Some(ProcessState::Running));
        assert_eq!(life("a", 'Z', 1, 500), Some(ProcessState::Exited));
        assert_eq!(life("a", 'S', 1, 500), Some(ProcessState::Running));
    }

    #[test]
    fn a_name_cannot_pretend_a_state() {
        assert_eq!(life(") Z 1 (", 'S', 1, 500), Some(ProcessState::Running));
    }

    #[test]
    fn another_with_the_same_pid_is_not_it() {
        assert_eq!(life("a", 'S', 1, 501), Some(ProcessState::Reaped));
        assert_eq!(parse_state(b"7 (a) S", 500), None);
    }
}
