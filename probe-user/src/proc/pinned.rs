//! Pins a process by its pidfd, or by its start time if there is no pidfd, and reads its
//! state. The pidfd becomes readable when the process exits.
//!
//! `/proc` may hide the process, or belong to another pid namespace (see `visibility`). The
//! pidfd alone is then its identity, and only pidfd and signal 0 tell whether it is gone.

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
    process::{Pid, PidfdFlags, pidfd_open, test_kill_process},
};

use super::{
    directory::{ProcessDirectory, is_gone, is_shortage, malformed},
    look::{PidfdLooks, Shown, settle},
    pidfd_info,
    send::test_pidfd,
    stat::Stat,
    status::Status,
    visibility,
};
use crate::{
    clock::{start_of_tick, tick_ns, tick_of},
    model::{Backend, ProcessId, ProcessState, TargetProcess, TaskState},
};

/// A process that stays the same one even if a later process has its pid.
#[derive(Debug)]
pub struct PinnedProcess {
    /// Thread group id.
    pub tgid: u32,
    /// Name of the process when it was pinned; `None` if `/proc` does not show it.
    pub comm: Option<String>,
    /// Start in clock ticks since boot, as `/proc/PID/stat` has it; `None` if `/proc` does not
    /// show it.
    start_ticks: Option<u64>,
    /// `None` before Linux 5.3, where the call is forbidden, and for [`Backend::Poll`].
    pidfd: Option<OwnedFd>,
    /// `/proc/PID/stat` if there is no pidfd. The open file belongs to this process: once
    /// the process is reaped, reading the file fails.
    stat: Option<File>,
}

/// What makes a process another one than an earlier process with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    tgid: u32,
    start_ticks: Option<u64>,
    /// Inode number of the pidfd if the start is unknown (Linux 6.9).
    inode: Option<u64>,
}

/// Why a process cannot be waited for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum PinProcessError {
    /// No process has this pid (any more).
    #[error("no process {pid}")]
    NotFound { pid: u32 },
    /// The number is the tid of a thread, not the pid of a process.
    #[error("{tid} is a thread of {}", process_name(*tgid))]
    Thread { tid: u32, tgid: Option<u32> },
    /// The process exists and `/proc` hides it from this user, so without a pidfd nothing
    /// shows its state, and nothing shows its start time.
    #[error("process {pid} exists, but /proc hides it from this user")]
    Hidden { pid: u32 },
    /// As [`PinProcessError::Hidden`]: `/proc` belongs to another pid namespace, and another
    /// process has the number there.
    #[error("process {pid} exists, but /proc belongs to another pid namespace")]
    Foreign { pid: u32 },
    /// A file in `/proc/PID` cannot be read.
    #[error("cannot read the state of process {pid}")]
    Look {
        pid: u32,
        #[source]
        source: io::Error,
    },
}

fn process_name(tgid: Option<u32>) -> String {
    tgid.map_or_else(|| "a process".to_owned(), |tgid| format!("process {tgid}"))
}

impl PinProcessError {
    /// The error of the system call that failed.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotFound { .. } => Errno::SRCH,
            Self::Thread { .. } => Errno::INVAL,
            Self::Hidden { .. } | Self::Foreign { .. } => Errno::ACCESS,
            Self::Look { source, .. } => Errno::from_io_error(source).unwrap_or(Errno::IO),
        }
    }

    /// The error for an existing process that `/proc` does not show.
    fn unseen(pid: u32) -> Self {
        if visibility::is_own() {
            Self::Hidden { pid }
        } else {
            Self::Foreign { pid }
        }
    }
}

/// The values in the files of `/proc/PID`, read through one directory, so that they belong to
/// one process.
struct Facts {
    tgid: u32,
    comm: String,
    start_ticks: u64,
    stat: File,
}

impl Facts {
    fn read(pid: u32) -> io::Result<Self> {
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

    /// Start in clock ticks since boot, as `/proc/PID/stat` has it; `None` if `/proc` does not
    /// show it.
    #[must_use]
    pub const fn start_ticks(&self) -> Option<u64> {
        self.start_ticks
    }

    /// Its identity. Before Linux 6.9 that of a process that `/proc` does not show is its pid
    /// alone.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let pidfd = self.pidfd().filter(|_| self.start_ticks.is_none());
        Identity {
            tgid: self.tgid,
            start_ticks: self.start_ticks,
            inode: pidfd.and_then(pidfd_info::inode),
        }
    }

    /// The process as a target of a filter. If `/proc` does not show its start, any process
    /// with the pid is.
    #[must_use]
    pub fn as_target(&self) -> TargetProcess {
        let starts = self.start_ticks.map(start_of_tick);
        TargetProcess {
            pid: self.tgid,
            starts_ns: starts.unwrap_or(0),
            tick_ns: starts.map_or(u64::MAX, |_| tick_ns()),
        }
    }

    /// Real uid of the process now; `None` if the process is gone, or `/proc` does not show
    /// it.
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
        let first = poll_now(pidfd)?;
        if !first.intersects(PollFlags::IN | PollFlags::HUP) {
            return Ok(ProcessState::Running);
        }
        // Linux 6.9 hangs up at the reap, so no file has to be read.
        if first.contains(PollFlags::HUP) && poll_now(pidfd)?.contains(PollFlags::HUP) {
            return Ok(ProcessState::Reaped);
        }
        let looks = PidfdLooks {
            first,
            stat: self.shown()?,
            signal: test_pidfd(pidfd.as_fd()),
            last: poll_now(pidfd)?,
        };
        Ok(looks.state())
    }

    /// A descriptor that is readable once the whole thread group has exited,
    /// and hangs up (Linux 6.9) when it is reaped.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Whether an identity from a record is this process; `false` if `/proc` does not show its
    /// start.
    #[must_use]
    pub fn is(&self, key: ProcessId) -> bool {
        key.tgid == self.tgid && self.start_ticks == Some(tick_of(key.start_boottime_ns))
    }

    /// Raw wait status. A pidfd keeps it after the reap (Linux 6.15), and `stat` of a
    /// zombie shows it to a reader that may trace the process.
    #[must_use]
    pub fn wait_status(&self) -> Option<u32> {
        let kept = self
            .pidfd()
            .and_then(|pidfd| pidfd_info::exit_status(pidfd).ok().flatten());
        kept.or_else(|| {
            let file = ProcessDirectory::open(self.tgid).and_then(|it| it.content("stat"));
            let file = file.ok()?;
            let stat = Stat::parse(&file)?;
            if self.start_ticks != Some(stat.start_ticks) {
                return None;
            }
            match stat.task_state() {
                // A reader without the privilege sees 0 too.
                TaskState::Zombie => stat.exit_code().filter(|&status| status != 0),
                _ => None,
            }
        })
    }

    /// What `stat` shows of the process, of which the pidfd is readable. Whatever prevents
    /// reading the file, the pidfd tells the rest.
    fn shown(&self) -> io::Result<Shown> {
        let Some(start_ticks) = self.start_ticks else {
            return Ok(Shown::Hidden);
        };
        let mut buffer = Vec::new();
        settle(|| {
            let shown =
                ProcessDirectory::open(self.tgid).and_then(|it| it.shown(start_ticks, &mut buffer));
            match shown {
                // `/proc` did not hide the process when it was pinned, but may do so now.
                Ok(Shown::Gone) if visibility::hides_processes() => Ok(Shown::Hidden),
                Err(error) if is_gone(&error) && visibility::hides_processes() => Ok(Shown::Hidden),
                Err(error) if is_gone(&error) => Ok(Shown::Gone),
                Err(error) if is_shortage(&error) => Err(error),
                Err(_) => Ok(Shown::Hidden),
                shown => shown,
            }
        })
    }

    fn state_by_proc(&self) -> io::Result<ProcessState> {
        let (Some(file), Some(start_ticks)) = (&self.stat, self.start_ticks) else {
            return Ok(ProcessState::Reaped);
        };
        let mut bytes = [0; 1024];
        let shown = settle(|| match file.read_at(&mut bytes, 0) {
            Ok(length) => Ok(Shown::of(&Stat::read(&bytes[..length])?, start_ticks)),
            Err(error) if is_gone(&error) => Ok(Shown::Gone),
            Err(error) => Err(error),
        })?;
        Ok(match shown {
            Shown::State(state) => state,
            _ => ProcessState::Reaped,
        })
    }
}

fn poll_now(pidfd: &OwnedFd) -> io::Result<PollFlags> {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default()))?;
    Ok(fds[0].revents())
}

/// State of the process that started at this tick, by one look at the `stat` of its pid.
pub(crate) fn parse_state(stat: &[u8], start_ticks: u64) -> Option<ProcessState> {
    match Shown::of(&Stat::parse(stat)?, start_ticks) {
        Shown::State(state) => Some(state),
        Shown::Gone => Some(ProcessState::Reaped),
        Shown::Releasing | Shown::Hidden => None,
    }
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
    fn a_released_leader_tells_nothing_about_its_process() {
        assert_eq!(state('X', 0xc, 0, 500), None);
    }

    #[test]
    fn a_process_is_reaped_once_another_process_has_its_pid() {
        assert_eq!(state('S', 0, 1, 501), Some(ProcessState::Reaped));
        assert_eq!(parse_state(b"7 (a) S", 500), None);
    }
}
