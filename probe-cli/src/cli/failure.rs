//! Exit codes, and failures with a message and a hint.

use std::fmt::Display;

use probe_user::unstable::{bpf::load::LoadError, container::FindError};
use rustix::io::Errno;

use crate::doctor;

/// The exit codes of every verb. `help/exit-codes.txt` describes them to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 0.
    Done,
    /// 1.
    Failure,
    /// 2.
    Usage,
    /// 3.
    TimedOut,
    /// 4.
    NoSuchTarget,
    /// 5.
    NotAvailable,
    /// With `--status`: the exit code of the process, or 124 and 125 for outcomes of probe
    /// itself.
    Child(u8),
    /// The command ends by the signal that interrupted it, without an exit code.
    Signal(i32),
}

impl ExitCode {
    /// The exit code as the parent process sees it.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::TimedOut => 3,
            Self::NoSuchTarget => 4,
            Self::NotAvailable => 5,
            Self::Child(code) => code,
            // The number that a shell shows for a process that a signal ended.
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// Why a verb failed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// The reason.
    pub error: anyhow::Error,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with this exit code.
    pub(crate) fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: error.into(),
            hint: None,
        }
    }

    /// A failure with a message and no cause.
    pub(crate) fn message(code: ExitCode, message: impl Display) -> Self {
        Self::new(code, anyhow::anyhow!("{message}"))
    }

    /// Whether the reason is a container that is unknown to every runtime.
    pub(super) fn is_unknown_container(&self) -> bool {
        matches!(
            self.error.downcast_ref::<FindError>(),
            Some(FindError::Unknown { .. })
        )
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let failure = Self::new(ExitCode::Failure, error);
        if lacks_descriptors(&failure.error) {
            // The soft limit is at the hard limit already.
            return failure.hint("raise the hard limit of file descriptors: ulimit -Hn NUMBER");
        }
        failure
    }
}

fn lacks_descriptors(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|it| it.downcast_ref());
    causes.any(|it| Errno::from_io_error(it) == Some(Errno::MFILE))
}

/// The failure of a verb that needs BPF programs, which do not load.
pub(super) fn bpf_unavailable(error: LoadError) -> Failure {
    let hint = doctor::bpf::hint(&error);
    let hint = format!(
        "{hint}; `probe wait` works without BPF, and other verbs with a privileged probe daemon"
    );
    Failure::new(ExitCode::NotAvailable, error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_the_first_kernel_with_ring_buffers() {
        let failure = bpf_unavailable(LoadError::NoRingBuffer);
        assert_eq!(failure.code.number(), 5);
        let hint = failure.hint.expect("a hint");
        assert!(
            hint.contains("Linux 5.8") && hint.contains("probe wait"),
            "{hint}"
        );
    }
}
