//! Numbers of system calls, to tell what a task was doing while it sent a signal.
//!
//! A task may use another ABI than this program, so each call has its numbers in all ABIs
//! of the machine. In another ABI the same number is a call that sends no signal.

use probe_ebpf::event::UNKNOWN;

/// System calls that send a signal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    /// `kill(2)` and its relatives, which do not take a siginfo.
    Kill,
    /// Calls that take a siginfo.
    Sigqueue,
    Ptrace,
    /// `write(2)`, to `cgroup.kill`.
    Write,
}

impl Call {
    /// Whether the task was in this call; `None` if that is unknown.
    pub(super) fn is(self, number: u32) -> Option<bool> {
        /// Marks a call of the x32 ABI.
        const X32: u32 = 0x4000_0000;
        if number == UNKNOWN {
            return None;
        }
        let number = if cfg!(target_arch = "x86_64") {
            number & !X32
        } else {
            number
        };
        let mut numbers = self.native().iter().chain(self.other_abis());
        Some(numbers.any(|&it| it == i64::from(number)))
    }

    const fn native(self) -> &'static [i64] {
        match self {
            Self::Kill => &[
                libc::SYS_kill,
                libc::SYS_tkill,
                libc::SYS_tgkill,
                libc::SYS_pidfd_send_signal,
            ],
            Self::Sigqueue => &[
                libc::SYS_rt_sigqueueinfo,
                libc::SYS_rt_tgsigqueueinfo,
                libc::SYS_pidfd_send_signal,
            ],
            Self::Ptrace => &[libc::SYS_ptrace],
            Self::Write => &[libc::SYS_write],
        }
    }

    /// The numbers of i386 and x32, and on other machines those of 32-bit Arm.
    const fn other_abis(self) -> &'static [i64] {
        let is_x86 = cfg!(target_arch = "x86_64");
        match self {
            Self::Kill if is_x86 => &[37, 238, 270],
            Self::Kill => &[37, 238, 268],
            Self::Sigqueue if is_x86 => &[178, 335, 524, 536],
            Self::Sigqueue => &[178, 363],
            Self::Ptrace if is_x86 => &[26, 521],
            Self::Ptrace => &[26],
            Self::Write => &[4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_number_in_each_abi() {
        let number = u32::try_from(libc::SYS_rt_sigqueueinfo).expect("a small number");
        assert_eq!(Call::Sigqueue.is(number), Some(true));
        assert_eq!(Call::Sigqueue.is(178), Some(true));
        assert_eq!(Call::Kill.is(number), Some(false));
        assert_eq!(Call::Kill.is(UNKNOWN), None);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(Call::Sigqueue.is(0x4000_0000 + 524), Some(true));
        }
    }
}
