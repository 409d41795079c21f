//! Parses `/proc/PID/status` and `/proc/PID/task/TID/status`.
//!
//! Each method searches for its own line, because most callers need one value and its line
//! is near the beginning. The kernel writes a newline in a name as `\n`, so a name cannot
//! forge a line.

use super::stat::{Stat, number};
use crate::model::{TaskFacts, TaskState};

/// SIGKILL, in the masks of pending signals.
const SIGKILL: u64 = 1 << (9 - 1);

/// The content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a>(&'a [u8]);

impl<'a> Status<'a> {
    /// Takes the bytes; the methods parse them.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Thread group id.
    #[must_use]
    pub fn tgid(self) -> Option<u32> {
        self.numbers("Tgid:").next()
    }

    /// Thread group id of the tracer; 0 if the task is not traced.
    #[must_use]
    pub(crate) fn tracer_pid(self) -> Option<u32> {
        self.numbers("TracerPid:").next()
    }

    /// Real uid in the user namespace of the reader.
    #[must_use]
    pub fn uid(self) -> Option<u32> {
        self.numbers("Uid:").next()
    }

    /// Whether the task has the group as its group for file accesses or as a further one.
    #[must_use]
    pub(super) fn is_in_group(self, group: u32) -> bool {
        let own = self.numbers("Gid:").nth(3);
        own == Some(group) || self.numbers("Groups:").any(|it| it == group)
    }

    /// Pid in each pid namespace, from that of the reader inwards (Linux 4.1); empty on
    /// older kernels.
    pub fn ns_pids(self) -> impl Iterator<Item = u32> + use<'a> {
        self.numbers("NSpid:")
    }

    /// Number of tasks of the process.
    #[must_use]
    pub fn threads(self) -> Option<u32> {
        self.numbers("Threads:").next()
    }

    /// Whether the process writes a core dump (Linux 4.15); `false` on older kernels
    /// and once the task has released its memory.
    #[must_use]
    pub(crate) fn is_dumping_core(self) -> bool {
        self.numbers("CoreDumping:").next() == Some(1)
    }

    /// Whether SIGKILL is pending, for the task or for its process.
    #[must_use]
    pub(crate) fn is_killed(self) -> bool {
        let pending = |name| self.mask(name).unwrap_or(0);
        (pending("SigPnd:") | pending("ShdPnd:")) & SIGKILL != 0
    }

    /// Signals that the process ignores, signal 1 in the lowest bit.
    #[must_use]
    pub fn ignored_signals(self) -> Option<u64> {
        self.mask("SigIgn:")
    }

    /// Signals that this task blocks.
    #[must_use]
    pub(crate) fn blocked_signals(self) -> Option<u64> {
        self.mask("SigBlk:")
    }

    /// Signals for which the process has a handler.
    #[must_use]
    pub(crate) fn caught_signals(self) -> Option<u64> {
        self.mask("SigCgt:")
    }

    /// Signals that are pending for the task or for its process.
    #[must_use]
    pub(crate) fn pending_signals(self) -> Option<u64> {
        Some(self.mask("SigPnd:")? | self.mask("ShdPnd:")?)
    }

    /// Effective capabilities, one bit for each.
    #[must_use]
    pub(crate) fn effective_capabilities(self) -> Option<u64> {
        self.mask("CapEff:")
    }

    /// State of the task by its `status` and `stat`, and by the freezer, which the caller
    /// knows.
    #[must_use]
    pub(crate) fn task_state(self, stat: &Stat<'_>, is_frozen: bool) -> TaskState {
        let facts = TaskFacts {
            is_frozen,
            is_killed: self.is_killed(),
            is_dumping_core: self.is_dumping_core(),
            ..TaskFacts::from_stat(stat.letter, stat.flags)
        };
        facts.into()
    }

    /// The rest of the line that begins with `name`.
    fn line(self, name: &str) -> Option<&'a [u8]> {
        let mut lines = self.0.split(|&byte| byte == b'\n');
        lines.find_map(|line| line.strip_prefix(name.as_bytes()))
    }

    fn numbers(self, name: &str) -> impl Iterator<Item = u32> + use<'a> {
        let words = self.line(name).unwrap_or_default();
        words.split(u8::is_ascii_whitespace).filter_map(number)
    }

    fn mask(self, name: &str) -> Option<u64> {
        let digits = std::str::from_utf8(self.line(name)?.trim_ascii()).ok()?;
        u64::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &[u8] = b"Name:\tUid: 9\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4242\n\
        Ngid:\t0\nPid:\t4243\nPPid:\t1\nTracerPid:\t77\nUid:\t1000\t0\t0\t0\n\
        Gid:\t1000\t0\t0\t50\nGroups:\t4 24 \n\
        NSpid:\t4242\t17\t1\nCoreDumping:\t0\nThreads:\t2\nSigQ:\t0/127\n\
        SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n\
        SigIgn:\t0000000000001001\nCapEff:\t000001ffffffffff\n";

    #[test]
    fn every_method_finds_its_own_line() {
        let status = Status::new(FILE);
        assert_eq!((status.tgid(), status.tracer_pid()), (Some(4242), Some(77)));
        assert_eq!((status.uid(), status.threads()), (Some(1000), Some(2)));
        assert!(status.ns_pids().eq([4242, 17, 1]));
        assert_eq!(status.ignored_signals(), Some(0x1001));
        assert_eq!(status.effective_capabilities(), Some(0x1ff_ffff_ffff));
        assert!(!status.is_killed() && !status.is_dumping_core());
        assert!([4, 24, 50].iter().all(|&it| status.is_in_group(it)));
        assert!(!status.is_in_group(0) && !status.is_in_group(1000));
    }

    #[test]
    fn the_value_of_a_missing_line_is_unknown() {
        let status = Status::new(b"Name:\tx\nUid:\t5\t6\t7\t8\n");
        assert_eq!((status.uid(), status.tgid()), (Some(5), None));
        assert_eq!(status.ns_pids().count(), 0);
        assert_eq!(status.effective_capabilities(), None);
        assert!(!status.is_killed() && !status.is_dumping_core());
    }

    #[test]
    fn each_state_beyond_stat_comes_from_its_line() {
        const KILLED: &[u8] = b"SigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n";
        const SHARED: &[u8] = b"SigPnd:\t0000000000000000\nShdPnd:\t0000000000004100\n";
        const OTHER: &[u8] = b"SigPnd:\t0000000000004000\nShdPnd:\t0000000000000200\n";
        const DUMPING: &[u8] = b"CoreDumping:\t1\nSigPnd:\t0000000000000100\n";
        let state = |letter, status, is_frozen| {
            let stat = format!("1 (a) {letter} 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711");
            let stat = Stat::parse(stat.as_bytes()).expect("a whole line");
            Status::new(status).task_state(&stat, is_frozen)
        };
        assert_eq!(state('S', OTHER, false), TaskState::Running);
        for status in [KILLED, SHARED] {
            assert_eq!(state('D', status, false), TaskState::Killed);
            assert_eq!(state('t', status, false), TaskState::Killed);
            assert_eq!(state('D', status, true), TaskState::Frozen);
            assert_eq!(state('Z', status, true), TaskState::Zombie);
        }
        assert_eq!(state('D', DUMPING, false), TaskState::DumpingCore);
        assert_eq!(state('T', OTHER, false), TaskState::Stopped);
        assert_eq!(state('t', OTHER, false), TaskState::Traced);
        assert_eq!(state('S', OTHER, true), TaskState::Frozen);
    }

    proptest! {
        #[test]
        fn parsing_arbitrary_bytes_never_panics(
            noise in proptest::collection::vec(any::<u8>(), 0..40),
            at in any::<proptest::sample::Index>(),
        ) {
            let at = at.index(FILE.len());
            let bytes = [&FILE[..at], &noise, &FILE[at..]].concat();
            let status = Status::new(&bytes);
            let _numbers = (status.tgid(), status.uid(), status.tracer_pid(), status.threads());
            let _masks = (status.ignored_signals(), status.effective_capabilities());
            let _states = (status.is_killed(), status.is_dumping_core(), status.ns_pids().count());
        }
    }
}
