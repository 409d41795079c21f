//! A process that is pinned by its pidfd, or by its start time if there is no pidfd, and the
//! state of the process. `opening` pins it. The pidfd becomes readable when the process exits.
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

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use super::pin_error::PinProcessError;
use super::{
    directory::{ProcessDirectory, is_gone, is_shortage},
    look::{PidfdLooks, Shown, settle},
    pidfd_info,
    send::test_pidfd,
    stat::Stat,
    status::Status,
    visibility,
};
use crate::{
    clock::{start_of_tick, tick_ns, tick_of},
    model::{ProcessId, ProcessState, TargetProcess, TaskState},
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
    pub(super) start_ticks: Option<u64>,
    /// `None` before Linux 5.3, where the call is forbidden, and for
    /// [`Backend::Poll`](crate::model::Backend::Poll).
    pub(super) pidfd: Option<OwnedFd>,
    /// `/proc/PID/stat` if there is no pidfd. The open file belongs to this process: once
    /// the process is reaped, reading the file fails.
    pub(super) stat: Option<File>,
}

/// What makes a process another one than an earlier process with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    tgid: u32,
    start_ticks: Option<u64>,
    /// Inode number of the pidfd if the start is unknown (Linux 6.9).
    inode: Option<u64>,
}

impl PinnedProcess {
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
