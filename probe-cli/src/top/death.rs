//! One line of the last deaths, as text but for what the model asks.

use jiff::{Timestamp, tz::TimeZone};
use probe_daemon::api::json::age_ns;
use probe_user::{
    model::{Exit, ExitStatus, Placed},
    unstable::clock::WallClock,
};

use super::Place;
use crate::output::human::{age, killed_by, printable, status};

/// A process that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// Time of day.
    pub(crate) time: String,
    /// Thread group id.
    pub(crate) pid: u32,
    /// Its name.
    pub(crate) comm: String,
    /// How old it got; `-` if that is not known.
    pub(crate) age: String,
    /// Exit code or signal.
    pub(crate) status: String,
    /// Whether it was anything but `exit(0)`.
    pub(crate) is_failure: bool,
    /// The process or kernel part that killed it; `-` if none did.
    pub(crate) killed_by: String,
    /// Where it lived.
    pub(crate) place: Place,
}

impl Death {
    /// From a record.
    #[must_use]
    pub(crate) fn new(exit: &Placed<Exit>, clock: &WallClock, zone: &TimeZone) -> Self {
        let what = &exit.what;
        let unknown = || "-".to_owned();
        let nobody = || if what.oom { "oom" } else { "-" }.to_owned();
        let killer = what.killed_by.as_ref();
        Self {
            time: time_of_day(clock.unix_ns(exit.boottime_ns), zone),
            pid: what.process.tgid,
            comm: printable(&what.process.comm.to_str()),
            age: age_ns(exit.boottime_ns, &what.process).map_or_else(unknown, age),
            status: status(what, true),
            is_failure: what.status.is_some_and(ExitStatus::is_failure),
            killed_by: killer.map_or_else(nobody, killed_by),
            place: Place::of(exit),
        }
    }
}

fn time_of_day(unix_ns: i128, zone: &TimeZone) -> String {
    Timestamp::from_nanosecond(unix_ns)
        .unwrap_or(Timestamp::MAX)
        .to_zoned(zone.clone())
        .strftime("%H:%M:%S")
        .to_string()
}
