//! One row of the latest exits, mostly as text.

use probe_daemon::api::json::age_ns;
use probe_user::{
    model::{Exit, ExitStatus, Placed},
    unstable::clock::WallClock,
};

use super::Place;
use crate::output::human::{LocalTime, age, killed_by, printable, status};

/// A process that exited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExitRow {
    /// Time of day of the exit.
    pub(crate) time: String,
    /// Thread group id.
    pub(crate) pid: u32,
    /// Name of the process.
    pub(crate) comm: String,
    /// Age of the process; `-` if it is unknown.
    pub(crate) age: String,
    pub(crate) age_ns: Option<u64>,
    /// Exit code or signal.
    pub(crate) status: String,
    /// Whether the process ended other than by `exit(0)`.
    pub(crate) is_failure: bool,
    /// The process or part of the kernel that killed it; `-` if it was not killed.
    pub(crate) killed_by: String,
    /// Its container or cgroup.
    pub(crate) place: Place,
}

impl ExitRow {
    /// Formats a record.
    #[must_use]
    pub(crate) fn new(exit: &Placed<Exit>, clock: &WallClock, time: &LocalTime) -> Self {
        let what = &exit.what;
        let unknown = || "-".to_owned();
        let no_sender = || if what.oom { "oom" } else { "-" }.to_owned();
        let killer = what.killed_by.as_ref();
        let age_ns = age_ns(what.process.start_boottime_ns, exit.boottime_ns);
        Self {
            time: time.format(clock.unix_ns(exit.boottime_ns), false),
            pid: what.process.tgid,
            comm: printable(&what.process.comm.to_str()),
            age: age_ns.map_or_else(unknown, age),
            age_ns,
            status: status(what, true),
            is_failure: what.status.is_some_and(ExitStatus::is_failure),
            killed_by: killer.map_or_else(no_sender, killed_by),
            place: Place::of(exit),
        }
    }
}
