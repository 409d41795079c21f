//! Two successive processes with the same pid.

use crate::{Victim, record};

/// A process that can be replaced by another one with the same pid.
#[derive(Debug)]
pub struct ReusedPid {
    parent: Victim,
    pid: u32,
}

impl ReusedPid {
    /// Starts the first process; returns the pid as well.
    #[must_use]
    pub fn start() -> (Self, u32) {
        let mut parent = Victim::spawn(&["replaced"], None);
        parent.release();
        let pid = record::pid(&parent.report());
        (Self { parent, pid }, pid)
    }

    /// Kills and reaps the first process, and starts the second, which is in no test cgroup.
    pub fn replace(&mut self) {
        self.parent.release();
        assert_eq!(record::pid(&self.parent.report()), self.pid);
    }
}
