//! Pins a process by its pidfd, or by its start time if there is no pidfd, and reads its
//! state. The pidfd becomes readable when the process exits.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    directory::{ProcessDirectory, is_gone, malformed},
    pidfd_info,
    stat::Stat,
    status::Status,
};
use crate::{
    clock::tick_ns,
    model::{Backend, ProcessId, ProcessState, TaskState},
};

/// A process that stays the same one even if a later process has its pid.
#[derive(Debug)]
pub struct PinnedProcess {
    /// Thread group id.
    pub tgid: u32,
    /// Name of the process when it was pinned.
    pub comm: String,
    /// Start in clock ticks since boot, as `/proc/PID/stat` has it.
    start_ticks: u64,
    /// `None` before Linux 5.3, where the call is forbidden, and for [`Backend::Poll`].
    pidfd: Option<OwnedFd>,
    /// `/proc/PID/stat` if there is no pidfd. The open file belongs to this process: once
    /// the process is reaped, reading the file fails.
    stat: Option<File>,
}

/// Why a process cannot be waited for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PinProcessError {
    /// No process has this pid (any more).
    #[error("no process {pid}")]
    NotFound { pid: u32 },
    /// The number is the tid of a thread, not the pid of a process.
    #[error("{tid} is a thread of process {tgid}")]
    Thread { tid: u32, tgid: u32 },
    /// A file in `/proc/PID` cannot be read.
    #[error("cannot read the state of process {pid}")]
    Look {
        pid: u32,
        #[source]
        source: io::Error,
    },
}

impl PinnedProcess {
    /// Pins a running process or a zombie, for [`Backend::Poll`] without a pidfd.
    pub fn open(pid: u32, backend: Backend) -> Result<Self, PinProcessError> {
        let not_found = PinProcessError::NotFound { pid };
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Err(not_found);
        };
        // The pidfd comes first. If it shows at the end that the process still has the
        // pid, the files that were read meanwhile belong to the same process.
        let pidfd = match backend {
            Backend::Poll => None,
            _ => match pidfd_open(number, PidfdFlags::empty()) {
                Ok(pidfd) => Some(pidfd),
                Err(Errno::SRCH) => return Err(not_found),
                // The pid is a thread's (ENOENT from 6.15 on), or the kernel lacks the
                // call or forbids it.
                Err(_) => None,
            },
        };
        let pinned = match Self::read(pid, pidfd) {
            Ok(pinned) => pinned,
            Err(error) if is_gone(&error) => return Err(not_found),
            Err(error) => return Err(PinProcessError::Look { pid, source: error }),
        };
        let tgid = pinned.tgid;
        if tgid != pid {
            return Err(PinProcessError::Thread { tid: pid, tgid });
        }
        match pinned.state() {
            Ok(ProcessState::Reaped) => Err(not_found),
            _ => Ok(pinned),
        }
    }

    /// Reads the files of a pid through one directory, so they belong to one process.
    fn read(pid: u32, pidfd: Option<OwnedFd>) -> io::Result<Self> {
        let directory = ProcessDirectory::open(pid)?;
        let stat = directory.content("stat")?;
        let stat = Stat::read(&stat)?;
        let status = directory.content("status")?;
        Ok(Self {
            tgid: Status::new(&status)
                .tgid()
                .ok_or_else(|| malformed("status"))?,
            comm: String::from_utf8_lossy(stat.comm).into_owned(),
            start_ticks: stat.start_ticks,
            stat: match pidfd {
                Some(_) => None,
                None => Some(File::open(format!("/proc/{pid}/stat"))?),
            },
            pidfd,
        })
    }

    /// Pins the process with this start time, in `CLOCK_BOOTTIME` nanoseconds, and not a
    /// later process with the same pid.
    pub(crate) fn open_started(
        pid: u32,
        start_boottime_ns: u64,
        backend: Backend,
    ) -> Result<Self, PinProcessError> {
        let key = ProcessId {
            tgid: pid,
            start_boottime_ns,
        };
        let pinned = Self::open(pid, backend)?;
        if pinned.is(key) {
            Ok(pinned)
        } else {
            Err(PinProcessError::NotFound { pid })
        }
    }

    /// Drops the pidfd for [`Backend::Poll`].
    pub(crate) fn for_backend(mut self, backend: Backend) -> io::Result<Self> {
        if backend == Backend::Poll && self.pidfd.is_some() {
            self.stat = match File::open(format!("/proc/{}/stat", self.tgid)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                stat => Some(stat?),
            };
            // If the process still has the pid now, the file belongs to it.
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

    /// Another pin of the same process, with a pidfd if the kernel has them, because a
    /// signal that is sent by a pidfd cannot reach another process.
    pub(crate) fn with_pidfd(&self) -> io::Result<Self> {
        if self.pidfd.is_none()
            && let Ok(other) = Self::open(self.tgid, Backend::Pidfd)
            // If this process still has the pid now, it had it when the other was pinned.
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

    /// Real uid of the process now; `None` if the process is gone.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        let directory = ProcessDirectory::open(self.tgid).ok()?;
        let uid = Status::new(&directory.content("status").ok()?).uid()?;
        // If the process still has the pid, the file belongs to it.
        let is_there = self.state().ok()? != ProcessState::Reaped;
        is_there.then_some(uid)
    }

    /// State of the process at this moment; a pidfd shows an exiting process as
    /// [`ProcessState::Running`].
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
        // Before Linux 6.9 the pidfd of a zombie looks like that of a reaped process.
        let zombie = self.with_stat(|_zombie| ProcessState::Exited)?;
        Ok(zombie.unwrap_or(ProcessState::Reaped))
    }

    /// A descriptor that is readable once the whole thread group has exited,
    /// and hangs up (Linux 6.9) when it is reaped.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Whether an identity from a record is this process. The start time of a record is in
    /// nanoseconds, that of `/proc` in clock ticks.
    #[must_use]
    pub fn is(&self, key: ProcessId) -> bool {
        key.tgid == self.tgid && key.start_boottime_ns / tick_ns() == self.start_ticks
    }

    /// Raw wait status. A pidfd keeps it after the reap (Linux 6.15), and `stat` of a
    /// zombie shows it to a reader that may trace the process.
    #[must_use]
    pub fn wait_status(&self) -> Option<u32> {
        let kept = self
            .pidfd()
            .and_then(|pidfd| pidfd_info::exit_status(pidfd).ok().flatten());
        kept.or_else(|| {
            let shown = self.with_stat(|stat| (stat.task_state(), stat.exit_code()));
            match shown.ok()?? {
                // A reader without the privilege sees 0 too.
                (TaskState::Zombie, status) => status.filter(|&status| status != 0),
                _ => None,
            }
        })
    }

    /// Calls `read` with `stat` of the process; `None` if the process no longer has the
    /// pid.
    fn with_stat<T>(&self, read: impl FnOnce(&Stat<'_>) -> T) -> io::Result<Option<T>> {
        let file = ProcessDirectory::open(self.tgid).and_then(|it| it.content("stat"));
        match file {
            Ok(file) => {
                let stat = Stat::read(&file)?;
                Ok((stat.start_ticks == self.start_ticks).then(|| read(&stat)))
            }
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn state_by_proc(&self) -> io::Result<ProcessState> {
        let Some(stat) = &self.stat else {
            return Ok(ProcessState::Reaped);
        };
        let mut bytes = [0; 1024];
        match stat.read_at(&mut bytes, 0) {
            Ok(length) => {
                parse_state(&bytes[..length], self.start_ticks).ok_or_else(|| malformed("stat"))
            }
            Err(error) if is_gone(&error) => Ok(ProcessState::Reaped),
            Err(error) => Err(error),
        }
    }
}

/// State of the process that started at this tick, by the `stat` of its pid.
pub(crate) fn parse_state(stat: &[u8], start_ticks: u64) -> Option<ProcessState> {
    let stat = Stat::parse(stat)?;
    Some(if stat.start_ticks == start_ticks {
        stat.process_state()
    } else {
        ProcessState::Reaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(letter: char, flags: u32, threads: u32, start: u64) -> Option<ProcessState> {
        let stat = format!(
            "7 (a) {letter} 1 7 7 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 {threads} 0 {start} 9\n"
        );
        parse_state(stat.as_bytes(), 500)
    }

    #[test]
    fn the_end_of_a_leader_is_not_the_end_of_its_process() {
        assert_eq!(state('Z', 0, 3, 500), Some(ProcessState::Running));
        assert_eq!(state('Z', 0, 1, 500), Some(ProcessState::Exited));
        assert_eq!(state('S', 0, 1, 500), Some(ProcessState::Running));
    }

    #[test]
    fn an_exiting_process_has_not_exited() {
        let state = state('D', 0x4, 1, 500).expect("a whole line");
        assert_eq!(state, ProcessState::Exiting);
        assert!(!state.has_exited());
    }

    #[test]
    fn a_process_is_reaped_once_another_process_has_its_pid() {
        assert_eq!(state('S', 0, 1, 501), Some(ProcessState::Reaped));
        assert_eq!(parse_state(b"7 (a) S", 500), None);
    }
}
