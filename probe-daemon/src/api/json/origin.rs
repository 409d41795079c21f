//! The sender of the fatal signal, as an object of a line.

use std::borrow::Cow;

use probe_user::model::{Cause, ExitStatus, KilledBy, Sender, Via};
use serde::{Deserialize, Serialize};

use super::number;

/// The sender of the signal that is in the status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KilledByObject<'a> {
    /// Thread group id of the sender; `null` if no process sent it, and if the sender has none
    /// in the pid namespace.
    pub pid: Option<u32>,
    /// Name of the sender.
    #[serde(borrow)]
    pub comm: Option<Cow<'a, str>>,
    /// Real uid of the sender.
    pub uid: Option<u32>,
    /// The signal.
    #[serde(borrow)]
    pub signal: Cow<'a, str>,
    /// How the signal was sent: `kill`, `tkill`, `cgroup.kill`, `ptrace`, `kernel`,
    /// `timer`, `fault` or `oom`.
    #[serde(borrow)]
    pub via: Cow<'a, str>,
    /// Why the kernel sent it, such as `parent_death`, or `null`.
    #[serde(borrow)]
    pub cause: Option<Cow<'a, str>>,
    /// Whether the sender gave the signal a `si_code` of the kernel, such as that of a timer.
    #[serde(default)]
    pub forged: bool,
}

impl<'a> From<&'a KilledBy> for KilledByObject<'a> {
    fn from(killed_by: &'a KilledBy) -> Self {
        let sender = killed_by.sender.as_ref();
        Self {
            pid: sender.and_then(|sender| number(sender.tgid)),
            comm: sender.map(|sender| sender.comm.as_str().into()),
            uid: sender.map(|sender| sender.uid),
            signal: killed_by.signal.name().into(),
            via: killed_by.via.as_str().into(),
            cause: killed_by.cause.map(|cause| cause.as_str().into()),
            forged: killed_by.forged,
        }
    }
}

impl KilledByObject<'_> {
    /// The sender in the model; `None` unless the status has a signal. The signal is taken
    /// from the status, because an object only ever has the signal of its status.
    pub(super) fn to_killed_by(&self, status: Option<ExitStatus>) -> Option<KilledBy> {
        let Some(ExitStatus::Signaled { signal, .. }) = status else {
            return None;
        };
        let sender = match (&self.comm, self.uid) {
            (Some(comm), Some(uid)) => Some(Sender {
                tgid: self.pid.unwrap_or_default(),
                comm: comm.clone().into_owned(),
                uid,
            }),
            _ => None,
        };
        Some(KilledBy {
            signal,
            via: Via::from_word(&self.via)?,
            sender,
            cause: self.cause.as_deref().and_then(Cause::from_word),
            forged: self.forged,
        })
    }
}
