//! Two processes, one after the other, with one pid.

use crate::{Victim, record};

/// Somebody who has a pid, then somebody else who has it.
#[derive(Debug)]
pub struct ReusedPid {
    parent: Victim,
    pid: u32,
}

impl ReusedPid {
    /// The first one, and the pid of both.
    #[must_use]
    pub fn start() -> (Self, u32) {
        let mut parent = Victim::spawn(&["replaced"], None);
        parent.release();
        let pid = record::pid(&parent.report());
        (Self { parent, pid }, pid)
    }

    /// The second one, in no cgroup of ours, once the first one is reaped.
    pub fn replace(&mut self) {
        self.parent.release();
        assert_eq!(record::pid(&self.parent.report()), self.pid);
    }
}
