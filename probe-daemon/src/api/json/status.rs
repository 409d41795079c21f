//! The exit status of a process, as an object of a line.

use std::borrow::Cow;

use probe_user::model::{ExitStatus, Signal};
use serde::{Deserialize, Serialize};

/// The exit status, as the parent gets it from `waitpid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusObject<'a> {
    /// `exited` or `signaled`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// The exit code; `null` if a signal ended the process.
    pub code: Option<u8>,
    /// Name of the signal that ended the process; `null` if the process called `exit`.
    #[serde(borrow)]
    pub signal: Option<Cow<'a, str>>,
    /// Number of the signal.
    pub number: Option<u32>,
    /// Whether the kernel wrote a core dump.
    pub core_dumped: bool,
}

impl From<ExitStatus> for StatusObject<'_> {
    fn from(status: ExitStatus) -> Self {
        match status {
            ExitStatus::Exited { code } => Self {
                kind: "exited".into(),
                code: Some(code),
                signal: None,
                number: None,
                core_dumped: false,
            },
            ExitStatus::Signaled {
                signal,
                core_dumped,
            } => Self {
                kind: "signaled".into(),
                code: None,
                signal: Some(signal.name().into()),
                number: Some(signal.0),
                core_dumped,
            },
        }
    }
}

impl StatusObject<'_> {
    pub(super) fn to_status(&self) -> Option<ExitStatus> {
        match &*self.kind {
            "exited" => self.code.map(|code| ExitStatus::Exited { code }),
            "signaled" => self.number.map(|number| ExitStatus::Signaled {
                signal: Signal(number),
                core_dumped: self.core_dumped,
            }),
            _ => None,
        }
    }
}
