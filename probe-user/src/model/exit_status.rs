//! The exit status of a process, from the raw wait status.

use super::Signal;

/// The status that `waitpid` returns to the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// The process called `exit`.
    Exited {
        /// The exit code.
        code: u8,
    },
    /// A signal ended the process.
    Signaled {
        /// The signal.
        signal: Signal,
        /// Whether the kernel wrote (or piped out) a core dump.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// Decodes the status that the kernel keeps in `exit_code` and `wait4` returns:
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

    /// Whether the process ended otherwise than by `exit(0)`.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Exited { code: 0 })
    }

    /// Whether a signal ended the process.
    #[must_use]
    pub const fn is_signaled(self) -> bool {
        matches!(self, Self::Signaled { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_has_a_code_or_a_signal_with_a_core_dump() {
        let status = ExitStatus::from_wait_status;
        let segfault = ExitStatus::Signaled {
            signal: Signal(11),
            core_dumped: true,
        };
        assert_eq!(status(0x2a00), ExitStatus::Exited { code: 42 });
        assert_eq!(status(0x8b), segfault);
        assert!(!status(0).is_failure());
        assert!(status(9).is_signaled());
    }
}
