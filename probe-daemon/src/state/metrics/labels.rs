//! Labels of the metrics.

use probe_user::model::{Container, Exit, ExitStatus, LossReason};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::api::{Outcome, json::SCHEMA};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The exit code is 0.
    Success,
    /// The exit code is not 0.
    Failure,
    /// A signal ended the process.
    Signal,
    /// The out-of-memory killer chose the process.
    Oom,
    /// The status is unknown, because the kernel has no BTF.
    Unknown,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Success,
        Self::Failure,
        Self::Signal,
        Self::Oom,
        Self::Unknown,
    ];

    pub(super) const fn of(exit: &Exit) -> Self {
        match exit.status {
            _ if exit.oom => Self::Oom,
            Some(ExitStatus::Exited { code: 0 }) => Self::Success,
            Some(ExitStatus::Exited { .. }) => Self::Failure,
            Some(ExitStatus::Signaled { .. }) => Self::Signal,
            None => Self::Unknown,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Signal => "signal",
            Self::Oom => "oom",
            Self::Unknown => "unknown",
        }
    }
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByKind {
    pub(super) kind: Kind,
}

/// A container and how one of its processes ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfContainer {
    pub(super) runtime: &'static str,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl OfContainer {
    pub(super) fn new(container: &Container, kind: Kind) -> Self {
        Self {
            runtime: container.runtime.as_str(),
            id: container.id.clone(),
            name: container.name.clone().unwrap_or_default(),
            kind,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByOutcome {
    outcome: &'static str,
}

impl From<Outcome> for ByOutcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome: outcome.as_str(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByReason {
    reason: &'static str,
}

impl From<LossReason> for ByReason {
    fn from(reason: LossReason) -> Self {
        Self {
            reason: reason.as_str(),
        }
    }
}

/// The cause of a scan of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ScanCause {
    Start,
    Loss,
}

impl EncodeLabelValue for ScanCause {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
        let word = match self {
            Self::Start => "start",
            Self::Loss => "loss",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ScanLabels {
    pub(super) cause: ScanCause,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Program {
    pub(super) program: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    version: &'static str,
    api: u32,
    schema: u32,
}

impl Build {
    pub(super) const fn this(api: u32) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            api,
            schema: SCHEMA,
        }
    }
}
