//! The line about an exit that takes long.

use probe_user::{
    Reason,
    model::{Exit, Placed},
    unstable::clock::WallClock,
};
use serde::Serialize;

use super::{SCHEMA, time};

/// How long the steps of an exit took, or take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TeardownLine {
    /// Version of all line types.
    pub schema: u32,
    /// `teardown`.
    pub r#type: &'static str,
    /// `boottime_ns` as wall-clock time: RFC 3339 in UTC with nine digits.
    pub time: String,
    /// When the exit began, as in the exit record: nanoseconds in `CLOCK_BOOTTIME`.
    pub boottime_ns: u64,
    /// Thread group id in the pid namespace of probe.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Start of the process: nanoseconds in `CLOCK_BOOTTIME`.
    pub start_boottime_ns: Option<u64>,
    /// Whether the process is gone. If not, the line tells what it waits for.
    pub is_complete: bool,
    /// Time since the exit began.
    pub elapsed_ns: u64,
    /// Time from the beginning of the exit until the process was a zombie; `None` if it is none
    /// yet.
    pub zombie_ns: Option<u64>,
    /// Time from the beginning of the exit until its parent reaped the process; `None` if it is
    /// not reaped, and before Linux 6.9, which does not tell.
    pub reaped_ns: Option<u64>,
    /// What the process waits for; `None` for one that is gone, or that nothing keeps.
    pub reason: Option<Reason>,
}

/// The steps of an exit, in nanoseconds since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Until the process was a zombie.
    pub zombie_ns: Option<u64>,
    /// Until it was reaped.
    pub reaped_ns: Option<u64>,
}

impl TeardownLine {
    /// The line of an exit. With `is_complete` the process is gone.
    #[must_use]
    pub fn new(
        exit: &Placed<Exit>,
        steps: Steps,
        (elapsed_ns, is_complete): (u64, bool),
        reason: Option<Reason>,
        clock: &WallClock,
    ) -> Self {
        let process = &exit.what.process;
        Self {
            schema: SCHEMA,
            r#type: "teardown",
            time: time(clock.unix_ns(exit.boottime_ns)),
            boottime_ns: exit.boottime_ns,
            pid: process.tgid,
            comm: process.comm.to_str().into_owned(),
            start_boottime_ns: process.start_boottime_ns,
            is_complete,
            elapsed_ns,
            zombie_ns: steps.zombie_ns,
            reaped_ns: steps.reaped_ns,
            reason,
        }
    }
}
