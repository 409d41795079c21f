//! Cgroups with a victim that lives until it is killed.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Cgroup, Deadline, Victim, state};

impl Victim {
    /// A victim in this cgroup that lives until it is killed.
    #[must_use]
    pub fn paused(cgroup: &Cgroup) -> Self {
        Self::spawn(&["pause"], Some(cgroup))
    }

    /// A v2 cgroup with a victim in it.
    #[must_use]
    pub fn in_v2(label: &str) -> (Cgroup, Self) {
        Self::inside(Cgroup::v2(label))
    }

    /// This cgroup with a victim in it.
    #[must_use]
    pub fn inside(cgroup: Cgroup) -> (Cgroup, Self) {
        let victim = Self::paused(&cgroup);
        (cgroup, victim)
    }

    /// Sends SIGKILL, and returns the status that `waitpid` gives.
    pub fn kill(&mut self) -> i32 {
        self.signal(Signal::KILL);
        self.wait()
    }
}

impl Cgroup {
    /// A cgroup of v2 and one of v1.
    #[must_use]
    pub fn both(label: &str) -> [Self; 2] {
        [Self::v2(label), Self::v1("pids", label)]
    }

    /// Path of the root cgroup of its hierarchy.
    #[must_use]
    pub fn root(&self) -> &str {
        let root = self.path().strip_suffix(self.name());
        root.expect("the path ends with the name")
    }

    /// Removes the directory as soon as the kernel lets it.
    pub fn remove_when_empty(&self) {
        while fs::remove_dir(self.path()).is_err() {
            std::thread::yield_now();
        }
    }

    /// Kills what is in a v2 cgroup while it is frozen, and thaws it. The kernel delays the
    /// notification that the cgroup is empty, because it has just notified the freeze.
    pub fn kill_frozen(&self) {
        self.freeze();
        self.kill();
        self.write("cgroup.freeze", "0");
    }
}

/// A frozen v1 cgroup: not even SIGKILL ends its members before this is dropped.
#[derive(Debug)]
pub struct FrozenV1<'a>(&'a Cgroup);

impl<'a> FrozenV1<'a> {
    /// Freezes the cgroup.
    #[must_use]
    pub fn new(cgroup: &'a Cgroup) -> Self {
        let frozen = Self(cgroup);
        cgroup.freeze_v1();
        frozen
    }
}

impl Drop for FrozenV1<'_> {
    fn drop(&mut self) {
        self.0.write("freezer.state", "THAWED");
    }
}

/// Whether a process is neither gone nor a zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|it| it != 'Z')
}

/// Returns when the process is in this state.
pub fn wait_for_state(pid: u32, wanted: char) {
    let what = format!("{pid} is {wanted}");
    Deadline::start().until(&what, || state(pid) == Some(wanted));
}

/// Sends SIGKILL to a process that is no child of the test.
pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("not 0");
    kill_process(pid, Signal::KILL).expect("the process exists");
}
