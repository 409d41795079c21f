//! Decides, from several looks at one process, in which state it is. The functions are pure:
//! `pinned` and `tasks` read the files.
//!
//! One look can be wrong. While the second thread of a process executes a program, the kernel
//! releases the old leader and gives its pid to that thread. A reader that found the old
//! leader then sees a dead task, and a pidfd may be readable for a moment.

use std::io;

use rustix::{event::PollFlags, io::Errno};

use super::stat::Stat;
use crate::model::ProcessState;

/// Most looks at a process. The kernel gives a pid to another thread within microseconds.
pub(super) const MAX_LOOKS: u32 = 16;

/// What one look at `stat` shows of a certain process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The state of the process.
    State(ProcessState),
    /// The kernel is releasing the leader: the process ends, or another thread becomes its
    /// leader.
    Releasing,
    /// No process has the pid, or another process has it.
    Gone,
    /// `/proc` does not show the process, which may be alive.
    Hidden,
}

impl Shown {
    /// What the file shows of the process that started at this tick.
    pub(crate) fn of(stat: &Stat<'_>, start_ticks: u64) -> Self {
        if stat.start_ticks == start_ticks {
            stat.process_state().map_or(Self::Releasing, Self::State)
        } else {
            Self::Gone
        }
    }

    fn has_ended(self) -> bool {
        matches!(self, Self::State(state) if state.has_exited())
    }
}

/// Looks until the process is alive or gone, or two looks in a row show that it has exited.
/// A process that stays in between counts as running, because it is not known to have exited.
pub(super) fn settle(mut look: impl FnMut() -> io::Result<Shown>) -> io::Result<Shown> {
    let mut last = None;
    for _ in 0..MAX_LOOKS {
        let shown = look()?;
        let is_settled = match shown {
            Shown::Releasing => false,
            shown if shown.has_ended() => last == Some(shown),
            _ => true,
        };
        if is_settled {
            return Ok(shown);
        }
        last = Some(shown);
    }
    Ok(Shown::State(ProcessState::Running))
}

/// Looks at a process by its pidfd, in the order of the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct PidfdLooks {
    /// What polling the pidfd returned, not empty.
    pub(super) first: PollFlags,
    /// What `stat` showed after that.
    pub(super) stat: Shown,
    /// The result of sending signal 0 by the pidfd.
    pub(super) signal: Result<(), Errno>,
    /// What polling the pidfd returned at last.
    pub(super) last: PollFlags,
}

impl PidfdLooks {
    /// State of the process.
    pub(super) fn state(self) -> ProcessState {
        let hangs_up = |flags: PollFlags| flags.contains(PollFlags::HUP);
        match self.stat {
            _ if hangs_up(self.first) && hangs_up(self.last) => ProcessState::Reaped,
            // Before Linux 6.9 a pidfd does not hang up. A zombie accepts signal 0.
            _ if self.signal == Err(Errno::SRCH) => ProcessState::Reaped,
            // The pidfd was readable for a moment although the process lives.
            _ if !self.last.intersects(PollFlags::IN | PollFlags::HUP) => ProcessState::Running,
            Shown::State(state) if !state.has_exited() => ProcessState::Running,
            // A filter of system calls may refuse the signal.
            Shown::Gone if self.signal.is_err() => ProcessState::Reaped,
            _ => ProcessState::Exited,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ProcessState as P, *};

    const ENDED: Shown = Shown::State(P::Exited);
    const ALIVE: Shown = Shown::State(P::Running);

    #[test]
    fn one_look_at_a_dead_leader_is_not_the_end_of_its_process() {
        for (looks, settled) in [
            (vec![ALIVE], ALIVE),
            (vec![Shown::Releasing, ALIVE], ALIVE),
            (vec![ENDED, ALIVE], ALIVE),
            (vec![ENDED, Shown::Releasing, ENDED, ALIVE], ALIVE),
            (vec![ENDED, ENDED], ENDED),
            (vec![ENDED, Shown::Gone], Shown::Gone),
            (vec![Shown::Releasing, Shown::Gone], Shown::Gone),
            (vec![Shown::Hidden], Shown::Hidden),
            (vec![Shown::Releasing; 16], ALIVE),
        ] {
            let mut rest = looks.iter();
            let look = || Ok(*rest.next().expect("enough looks"));
            assert_eq!(settle(look).expect("no error"), settled, "{looks:?}");
            assert_eq!(rest.next(), None, "{looks:?}");
        }
    }

    #[test]
    fn an_error_of_a_look_is_not_the_end_of_a_process() {
        assert!(settle(|| Err(Errno::ACCESS.into())).is_err());
    }

    #[test]
    fn a_readable_pidfd_of_a_living_process_is_a_race_of_the_kernel() {
        let (none, readable) = (PollFlags::empty(), PollFlags::IN);
        let hung_up = PollFlags::IN | PollFlags::HUP;
        let (forbidden, gone) = (Err(Errno::PERM), Err(Errno::SRCH));
        for (first, stat, signal, last, state) in [
            (readable, ALIVE, Ok(()), readable, P::Running),
            (readable, ALIVE, forbidden, readable, P::Running),
            (
                readable,
                Shown::State(P::Exiting),
                Ok(()),
                readable,
                P::Running,
            ),
            (readable, ENDED, Ok(()), none, P::Running),
            (hung_up, ALIVE, Ok(()), none, P::Running),
            (hung_up, ALIVE, Ok(()), readable, P::Running),
            (readable, ENDED, Ok(()), readable, P::Exited),
            (readable, ENDED, forbidden, readable, P::Exited),
            (readable, Shown::Hidden, Ok(()), readable, P::Exited),
            (readable, Shown::Hidden, forbidden, readable, P::Exited),
            // `/proc` no longer shows a process that signal 0 still reaches.
            (readable, Shown::Gone, Ok(()), readable, P::Exited),
            (readable, Shown::Gone, forbidden, readable, P::Reaped),
            (readable, Shown::Hidden, gone, readable, P::Reaped),
            (readable, ENDED, gone, readable, P::Reaped),
            (hung_up, Shown::Hidden, gone, hung_up, P::Reaped),
            (hung_up, ALIVE, forbidden, hung_up, P::Reaped),
        ] {
            let looks = PidfdLooks {
                first,
                stat,
                signal,
                last,
            };
            assert_eq!(looks.state(), state, "{looks:?}");
        }
    }
}
