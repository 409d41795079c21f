//! Opens the pidfd and the files of a process, so that all of them belong to the same
//! process.

use std::{fs::File, io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open, test_kill_process},
    thread::sched_yield,
};

use super::{
    directory::{ProcessDirectory, is_gone, is_shortage, malformed},
    look::MAX_LOOKS,
    pin_error::PinProcessError,
    pinned::PinnedProcess,
    stat::Stat,
    status::Status,
    visibility,
};
use crate::{
    clock::tick_of,
    model::{Backend, ProcessState},
};

/// The values in the files of `/proc/PID`, read through one directory, so that they belong to
/// one process.
struct Facts {
    tgid: u32,
    comm: String,
    start_ticks: u64,
    stat: File,
}

impl Facts {
    /// Reads the files. While a thread executes a program, its process has for a moment no entry
    /// in `/proc`, so the error that it is gone was seen several times.
    fn read(pid: u32) -> io::Result<Self> {
        let mut facts = Self::read_once(pid);
        for _ in 1..MAX_LOOKS {
            if !facts.as_ref().is_err_and(is_gone) {
                break;
            }
            sched_yield();
            facts = Self::read_once(pid);
        }
        facts
    }

    fn read_once(pid: u32) -> io::Result<Self> {
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
            stat: directory.file("stat")?,
        })
    }
}

impl PinnedProcess {
    /// Pins a running process or a zombie, for [`Backend::Poll`] without a pidfd.
    pub fn open(pid: u32, backend: Backend) -> Result<Self, PinProcessError> {
        let not_found = PinProcessError::NotFound { pid };
        let look = |source| PinProcessError::Look { pid, source };
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Err(not_found);
        };
        // The pidfd comes first. If it shows at the end that the process still has the
        // pid, the files that were read meanwhile belong to the same process.
        let opened = match backend {
            Backend::Poll => Err(Errno::NOSYS),
            _ => pidfd_open(number, PidfdFlags::empty()),
        };
        let (pidfd, may_be_thread) = match opened {
            Ok(pidfd) => (Some(pidfd), false),
            Err(Errno::SRCH) => return Err(not_found),
            Err(errno) if is_shortage(&errno.into()) => return Err(look(errno.into())),
            // The pid is a thread's (ENOENT from 6.15 on).
            Err(Errno::INVAL | Errno::NOENT) => (None, true),
            // The kernel lacks the call or forbids it.
            Err(_) => (None, false),
        };
        let facts = match Facts::read(pid) {
            Ok(facts) => Some(facts),
            Err(error) if is_shortage(&error) => return Err(look(error)),
            Err(_) if pidfd.is_some() => None,
            Err(_) if test_kill_process(number) == Err(Errno::SRCH) => return Err(not_found),
            Err(_) if may_be_thread => {
                return Err(PinProcessError::Thread {
                    tid: pid,
                    tgid: None,
                });
            }
            Err(error) if is_gone(&error) || !visibility::is_own() => {
                return Err(PinProcessError::unseen(pid));
            }
            Err(error) => return Err(look(error)),
        };
        if let Some(tgid) = facts.as_ref().map(|it| it.tgid).filter(|&it| it != pid) {
            let tgid = Some(tgid);
            return Err(PinProcessError::Thread { tid: pid, tgid });
        }
        let pinned = Self::new(pid, pidfd, facts);
        match pinned.state() {
            Ok(ProcessState::Reaped) => Err(not_found),
            Err(error) if is_shortage(&error) => Err(look(error)),
            _ => Ok(pinned),
        }
    }

    fn new(tgid: u32, pidfd: Option<OwnedFd>, facts: Option<Facts>) -> Self {
        let mut pinned = Self {
            tgid,
            comm: None,
            start_ticks: None,
            pidfd,
            stat: None,
        };
        if let Some(facts) = facts {
            pinned.comm = Some(facts.comm);
            pinned.start_ticks = Some(facts.start_ticks);
            pinned.stat = Some(facts.stat).filter(|_| pinned.pidfd.is_none());
        }
        pinned
    }

    /// Pins the process with this start time, in `CLOCK_BOOTTIME` nanoseconds, and not a
    /// later process with the same pid.
    pub(crate) fn open_started(
        pid: u32,
        start_boottime_ns: u64,
        backend: Backend,
    ) -> Result<Self, PinProcessError> {
        Self::open_at_tick(pid, tick_of(start_boottime_ns), backend)
    }

    /// As [`PinnedProcess::open`], for the process with this start in `/proc`, and not a later
    /// process with the same pid. Fails if `/proc` does not show the start.
    pub fn open_at_tick(
        pid: u32,
        start_ticks: u64,
        backend: Backend,
    ) -> Result<Self, PinProcessError> {
        let pinned = Self::open(pid, backend)?;
        match pinned.start_ticks {
            Some(it) if it == start_ticks => Ok(pinned),
            Some(_) => Err(PinProcessError::NotFound { pid }),
            None => Err(PinProcessError::unseen(pid)),
        }
    }

    /// Drops the pidfd for [`Backend::Poll`].
    pub(crate) fn for_backend(mut self, backend: Backend) -> io::Result<Self> {
        if backend == Backend::Poll && self.pidfd.is_some() {
            let pid = self.tgid;
            if self.start_ticks.is_none() {
                return Err(io::Error::other(PinProcessError::unseen(pid)));
            }
            self.stat = match ProcessDirectory::open(pid).and_then(|it| it.file("stat")) {
                Err(error) if is_gone(&error) => None,
                stat => Some(stat?),
            };
            // If the process still has the pid now, the file belongs to it.
            if self.state()? == ProcessState::Reaped {
                self.stat = None;
            } else if self.stat.is_none() {
                return Err(io::Error::other(PinProcessError::unseen(pid)));
            }
            self.pidfd = None;
        }
        Ok(self)
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
}
