//! One row of the processes of a place.

use probe_user::unstable::{clock::start_of_tick, proc::scan::Found};

use crate::output::human::printable;

/// A live process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessRow {
    pub(crate) pid: u32,
    pub(crate) ppid: u32,
    pub(crate) uid: u32,
    /// Time of its start in `CLOCK_BOOTTIME` nanoseconds.
    pub(crate) start_ns: u64,
    /// Whether every task of it has begun to exit: the exit may hang.
    pub(crate) is_exiting: bool,
    /// Its name, without control characters.
    pub(crate) comm: String,
}

impl ProcessRow {
    pub(crate) fn new(found: &Found) -> Self {
        let process = &found.process;
        Self {
            pid: process.tgid,
            ppid: process.ppid,
            uid: process.uid,
            start_ns: start_of_tick(process.start_ticks),
            is_exiting: process.state.has_begun_exit(),
            comm: printable(&process.comm.to_str()),
        }
    }

    pub(crate) const fn state(&self) -> &'static str {
        if self.is_exiting {
            "exiting"
        } else {
            "running"
        }
    }
}
