//! How an outcome becomes an exit code, a message and a hint.

use std::fmt::Display;

use probe_user::unstable::{bpf::load::LoadError, container::FindError};

/// The exit codes of every verb, as `--help` and the man page list them.
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
    /// With `--status`: the exit code of the process, or 124 and 125 for our own
    /// outcomes.
    Child(u8),
    /// No exit code: the command dies by the signal that interrupted it.
    Signal(i32),
}

impl ExitCode {
    /// The number.
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
            // As a shell shows a death by signal.
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
    /// What the user may do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// With an exit code of its own.
    pub(crate) fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: error.into(),
            hint: None,
        }
    }

    /// A message without a cause.
    pub(crate) fn message(code: ExitCode, message: impl Display) -> Self {
        Self::new(code, anyhow::anyhow!("{message}"))
    }

    /// Whether the reason is a container that no runtime knows.
    pub(super) fn is_unknown_container(&self) -> bool {
        matches!(
            self.error.downcast_ref::<FindError>(),
            Some(FindError::Unknown { .. })
        )
    }

    /// Adds what the user may do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(ExitCode::Failure, error)
    }
}

/// BPF was required and does not load.
pub(super) fn without_bpf(error: LoadError) -> Failure {
    let hint = match &error {
        LoadError::NotPermitted { .. } => {
            "run it as root, with the capabilities CAP_BPF and CAP_PERFMON \
             (`setcap cap_bpf,cap_perfmon+ep probe`), or let a privileged probe daemon \
             serve you; in a container its seccomp profile may forbid bpf(2) all the same; \
             `probe doctor` tells what this machine allows"
        }
        LoadError::Memlock { .. } => {
            "before Linux 5.11 BPF counts as locked memory: raise the limit \
             (`ulimit -l unlimited`, LimitMEMLOCK=infinity in a unit) or run it with \
             CAP_SYS_RESOURCE; `probe wait` works without"
        }
        LoadError::LockedDown { .. } => {
            "it was booted with lockdown=confidentiality, or something chose that later: \
             lockdown=integrity allows it; `probe wait` works without"
        }
        LoadError::NoRingBuffer => "BPF ring buffers need Linux 5.8; `probe wait` works without",
        _ => "`probe doctor` tells what this machine offers; `probe wait` works without",
    };
    Failure::new(ExitCode::NotAvailable, error).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_ring_buffers_the_hint_says_since_when_there_are_any() {
        let failure = without_bpf(LoadError::NoRingBuffer);
        assert_eq!(failure.code.number(), 5);
        let hint = failure.hint.expect("a hint");
        assert!(
            hint.contains("Linux 5.8") && hint.contains("probe wait"),
            "{hint}"
        );
    }
}
