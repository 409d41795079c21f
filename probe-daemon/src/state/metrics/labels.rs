//! Labels of the metrics.

use probe_user::model::{Exit, ExitStatus};

/// Name and value of the only label of a series.
pub(super) type Label<V = &'static str> = [(&'static str, V); 1];

/// Kinds of exits.
pub(super) const KINDS: [&str; 5] = ["success", "failure", "signal", "oom", "unknown"];

/// How a process ended. The kind is unknown if the kernel has no BTF.
pub(super) const fn kind(exit: &Exit) -> &'static str {
    match exit.status {
        _ if exit.oom => "oom",
        Some(ExitStatus::Exited { code: 0 }) => "success",
        Some(ExitStatus::Exited { .. }) => "failure",
        Some(ExitStatus::Signaled { .. }) => "signal",
        None => "unknown",
    }
}
