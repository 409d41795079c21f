//! How a process ended: the raw wait status taken apart.

use super::Signal;

/// The status that `waitpid` tells the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called `exit`.
    Exited {
        /// 0 to 255.
        code: u8,
    },
    /// A signal ended it.
    Signaled {
        /// Which one.
        signal: Signal,
        /// Whether the kernel wrote (or piped out) a core dump.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// Takes apart what the kernel keeps in `exit_code` and `wait4` returns:
    /// code in bits 8 to 15, signal in bits 0 to 6, core dump in bit 7.
    #[doc(alias = "WEXITSTATUS")]
    #[must_use]
    pub const fn from_wait_status(status: u32) -> Self {
        match status & 0x7f {
            0 => Self::Exited {
                code: (status >> 8 & 0xff) as u8,
            },
            signal => Self::Signaled {
                signal: Signal(signal),
                core_dumped: status & 0x80 != 0,
            },
        }
    }

    /// Whether this is anything but `exit(0)`.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Exited { code: 0 })
    }

    /// Whether a signal ended it.
    #[must_use]
    pub const fn is_signaled(self) -> bool {
        matches!(self, Self::Signaled { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_signal_and_core_dump_are_apart() {
        assert_eq!(
            ExitStatus::from_wait_status(0x2a00),
            ExitStatus::Exited { code: 42 }
        );
        assert_eq!(
            ExitStatus::from_wait_status(0x8b),
            ExitStatus::Signaled {
                signal: Signal(11),
                core_dumped: true
            }
        );
        assert!(!ExitStatus::from_wait_status(0).is_failure());
        assert!(ExitStatus::from_wait_status(9).is_signaled());
    }
}
