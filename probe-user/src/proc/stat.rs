//! Parses `/proc/PID/stat` and `/proc/PID/task/TID/stat`.
//!
//! The parser takes bytes, because a process chooses its own name, which may hold blanks,
//! parentheses and bytes that are not UTF-8. The kernel writes a newline as `\n` and
//! a backslash as `\\`; the parser leaves both as they are.

use std::{io, str::FromStr};

use super::directory::malformed;
use crate::{
    clock::start_of_tick,
    model::{ProcessState, TaskFacts, TaskState},
};

/// `PF_KTHREAD` in the flags, the same bit on every kernel.
const PF_KTHREAD: u32 = 0x0020_0000;

/// The fields that callers need, by their numbers in `proc_pid_stat(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// Field 1: pid of the process or tid of the thread.
    pub pid: u32,
    /// Field 2: name, as the kernel prints it. Names of kernel threads may be longer than
    /// 15 bytes.
    pub comm: &'a [u8],
    /// Field 3, see [`TaskState`].
    pub letter: char,
    /// Field 4: thread group of the real parent; 0 if that is outside of the reader's
    /// pid namespace.
    pub ppid: u32,
    /// Field 5: process group; -1 once the task is released.
    pub pgrp: i32,
    /// Field 6: session; -1 once the task is released.
    pub session: i32,
    /// Field 9: `PF_*`.
    pub flags: u32,
    /// Field 20: tasks of the process; 0 while the kernel releases the leader.
    pub threads: u32,
    /// Field 22: start in clock ticks since boot, shifted in a time namespace.
    pub start_ticks: u64,
    /// The fields after field 22.
    rest: &'a [u8],
}

impl<'a> Stat<'a> {
    /// Parses the file; `None` unless it holds every field of this struct.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let begin = bytes.iter().position(|&byte| byte == b'(')?;
        // Only numbers follow the name, so the last parenthesis ends it.
        let end = bytes.iter().rposition(|&byte| byte == b')')?;
        let mut fields = Fields(bytes.get(end + 1..)?);
        let letter = match *fields.next()? {
            [letter] => char::from(letter),
            _ => return None,
        };
        Some(Self {
            pid: number(bytes[..begin].trim_ascii())?,
            comm: bytes.get(begin + 1..end)?,
            letter,
            ppid: number(fields.next()?)?,
            pgrp: number(fields.next()?)?,
            session: number(fields.next()?)?,
            flags: number(fields.nth(2)?)?,
            threads: number(fields.nth(10)?)?,
            start_ticks: number(fields.nth(1)?)?,
            rest: fields.0,
        })
    }

    /// Parses the file; the error for a malformed file names it.
    pub fn read(bytes: &'a [u8]) -> io::Result<Self> {
        Self::parse(bytes).ok_or_else(|| malformed("stat"))
    }

    /// Field 52: raw wait status; 0 also for a reader that may not trace the process.
    /// `None` before Linux 3.5.
    #[must_use]
    pub fn exit_code(&self) -> Option<u32> {
        number(Fields(self.rest).nth(29)?).map(i32::cast_unsigned)
    }

    /// Start in `CLOCK_BOOTTIME` nanoseconds, rounded down to a clock tick.
    #[must_use]
    pub fn start_ns(&self) -> u64 {
        start_of_tick(self.start_ticks)
    }

    /// Whether the kernel runs the task, which has no program and ignores signals.
    #[must_use]
    pub const fn is_kernel_thread(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// State of the task by this file.
    #[must_use]
    pub(crate) fn task_state(&self) -> TaskState {
        TaskFacts::from_stat(self.letter, self.flags).into()
    }

    /// State of the process by the file of its leader; `None` while the kernel releases it.
    /// One look does not prove an end: see `look`.
    #[must_use]
    pub fn process_state(&self) -> Option<ProcessState> {
        ProcessState::of_leader(self.task_state(), self.threads)
    }
}

/// Words between ASCII blanks. The field holds the text after the last word that was taken.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0.trim_ascii_start();
        let end = text.iter().position(u8::is_ascii_whitespace);
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// Parses a decimal number; `None` if it does not fit the type.
pub(super) fn number<T: FromStr>(word: &[u8]) -> Option<T> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(comm: &[u8], letter: char, flags: u32, threads: u32) -> Vec<u8> {
        let rest = format!(
            ") {letter} 7 40 41 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 {threads} 0 4711 99 1 \
             18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 9\n"
        );
        [b"42 (", comm, rest.as_bytes()].concat()
    }

    fn state(letter: char, flags: u32, threads: u32) -> (TaskState, Option<ProcessState>) {
        let line = line(b"a", letter, flags, threads);
        let stat = Stat::parse(&line).expect("a whole line");
        (stat.task_state(), stat.process_state())
    }

    #[test]
    fn every_field_has_the_position_of_the_manual() {
        let line = line(b"a", 'S', 0x40_0000, 3);
        let stat = Stat::parse(&line).expect("a whole line");
        assert_eq!((stat.pid, stat.comm, stat.letter), (42, &b"a"[..], 'S'));
        assert_eq!((stat.ppid, stat.pgrp, stat.session), (7, 40, 41));
        assert_eq!((stat.flags, stat.threads), (0x40_0000, 3));
        assert_eq!((stat.start_ticks, stat.exit_code()), (4711, Some(9)));
    }

    #[test]
    fn a_name_cannot_forge_the_fields_after_it() {
        let names: [&[u8]; 7] = [
            b"",
            b"a) (b",
            b") Z 1 (",
            b"(((",
            b")))",
            b"a\nb \t",
            b"\xff\xfe) X 0",
        ];
        for comm in names {
            let line = line(comm, 'R', 0, 1);
            let stat = Stat::parse(&line).expect("a whole line");
            assert_eq!((stat.comm, stat.letter), (comm, 'R'));
            assert_eq!((stat.ppid, stat.start_ticks), (7, 4711));
        }
    }

    #[test]
    fn each_letter_and_flag_has_its_state() {
        use {ProcessState as P, TaskState as T};
        for letter in ['R', 'S', 'D', 'I', 'P'] {
            assert_eq!(state(letter, 0x40_0000, 1), (T::Running, Some(P::Running)));
        }
        assert_eq!(state('T', 0, 1), (T::Stopped, Some(P::Running)));
        assert_eq!(state('t', 0, 1), (T::Traced, Some(P::Running)));
        assert_eq!(state('R', 0x4, 1), (T::Exiting, Some(P::Exiting)));
        assert_eq!(state('D', 0x40_0004, 1), (T::Exiting, Some(P::Exiting)));
        assert_eq!(state('Z', 0x40_000c, 1), (T::Zombie, Some(P::Exited)));
        assert_eq!(state('X', 0x40_000c, 0), (T::Dead, None));
        assert_eq!(state('x', 0, 1), (T::Dead, Some(P::Exited)));
    }

    #[test]
    fn a_dead_leader_does_not_end_a_process_with_threads() {
        assert_eq!(state('Z', 0x40_000c, 3).1, Some(ProcessState::Running));
        assert_eq!(state('R', 0x4, 2).1, Some(ProcessState::Running));
    }

    #[test]
    fn a_truncated_line_is_refused() {
        let whole = b"42 (a) S 7 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711";
        let stat = Stat::parse(whole).expect("every required field");
        assert_eq!(stat.exit_code(), None);
        for len in 0..whole.len() - 4 {
            assert_eq!(Stat::parse(&whole[..len]), None);
        }
    }

    #[test]
    fn numbers_beyond_their_type_are_refused() {
        for malformed in [
            &b"42 (a) S -1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711"[..],
            b"42 (a) S 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 -1 0 4711",
            b"42 (a) SS 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711",
            b"42 (a) S 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 18446744073709551616",
            b"x (a) S 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711",
            b") S 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4711 (",
        ] {
            assert_eq!(Stat::parse(malformed), None);
        }
    }

    proptest! {
        #[test]
        fn parsing_arbitrary_bytes_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            comm in proptest::collection::vec(any::<u8>(), 0..20),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut line = line(&comm, 'S', 0, 1);
            let stat = Stat::parse(&line).expect("a whole line");
            prop_assert_eq!(stat.comm, comm.as_slice());
            line.truncate(cut.index(line.len()));
            for bytes in [&bytes, &line] {
                let _code = Stat::parse(bytes).and_then(|stat| stat.exit_code());
            }
        }
    }
}
