//! A model of the kernel: processes that exit, leave their cgroup, fork and are reaped.

use super::*;

/// A process that is or was a member of the cgroup.
#[derive(Clone, Debug)]
pub(super) struct Process {
    is_inside: bool,
    state: ProcessState,
    /// Whether the wait knows the process: a look found it as a member, or a record named it.
    is_known: bool,
    /// Whether the process moved to another cgroup while it was running.
    has_migrated: bool,
}

/// A change of the processes or of the cgroup. The number selects a process.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// A running member forks. `true`: a record reports the child.
    Fork(usize, bool),
    /// A process leaves the cgroup because it exits: before `Exit`, or after it from Linux
    /// 6.19 on.
    Depart(usize),
    Exit(usize),
    Reap(usize),
    Migrate(usize),
    Return(usize),
    Remove,
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) processes: Vec<Process>,
    is_removed: bool,
}

impl Kernel {
    pub(super) fn new(count: usize) -> Self {
        let member = Process {
            is_inside: true,
            state: ProcessState::Running,
            is_known: true,
            has_migrated: false,
        };
        Self {
            processes: vec![member; count],
            is_removed: false,
        }
    }

    /// Applies a change. Returns whether the state changed, so that an event may report it.
    pub(super) fn apply(&mut self, change: &Change) -> bool {
        let count = self.processes.len();
        let state = self.state();
        match *change {
            Change::Remove if state == CgroupState::Empty => self.is_removed = true,
            Change::Remove => return false,
            _ if count == 0 => return false,
            Change::Fork(of, is_known) => {
                let parent = &self.processes[of % count];
                if !parent.is_inside || parent.state != ProcessState::Running {
                    return false;
                }
                let child = Process {
                    is_known,
                    ..parent.clone()
                };
                self.processes.push(child);
            }
            Change::Return(of) if self.is_removed || self.processes[of % count].is_inside => {
                return false;
            }
            Change::Depart(of)
            | Change::Exit(of)
            | Change::Reap(of)
            | Change::Migrate(of)
            | Change::Return(of) => return self.processes[of % count].apply(change),
        }
        true
    }

    pub(super) fn state(&self) -> CgroupState {
        if self.is_removed {
            CgroupState::Removed
        } else if self.processes.iter().any(|it| it.is_inside) {
            CgroupState::Populated
        } else {
            CgroupState::Empty
        }
    }

    /// The facts that a look finds.
    pub(super) fn facts(&self, knows_members: bool) -> Facts {
        let is_found =
            |it: &&Process| it.is_known || knows_members && it.state != ProcessState::Reaped;
        Facts {
            cgroups: vec![self.state()],
            processes: self
                .processes
                .iter()
                .filter(is_found)
                .map(|it| it.state)
                .collect(),
            knows_members,
            ..Facts::default()
        }
    }

    /// Whether the condition holds: the reference for every verdict.
    pub(super) fn satisfies(&self, until: Until, exact: bool) -> bool {
        let is_empty = self.processes.iter().all(|it| !it.is_inside);
        let all = |least| {
            self.processes
                .iter()
                .filter(|it| it.is_known || exact && until.follows_members())
                .all(|it| it.state >= least)
        };
        match until {
            Until::Empty => is_empty,
            Until::Removed => self.is_removed,
            Until::Exited | Until::Stopped => is_empty && all(ProcessState::Exited),
            Until::Reaped => is_empty && all(ProcessState::Reaped),
        }
    }
}

impl Process {
    fn apply(&mut self, change: &Change) -> bool {
        let before = (self.is_inside, self.state);
        match change {
            Change::Depart(_) => self.is_inside = false,
            Change::Exit(_) if self.state == ProcessState::Running => {
                self.state = ProcessState::Exited;
            }
            // The parent can reap a process only after it has left its cgroup.
            Change::Reap(_) if self.state == ProcessState::Exited && !self.is_inside => {
                self.state = ProcessState::Reaped;
            }
            Change::Migrate(_) if self.state == ProcessState::Running && self.is_inside => {
                self.is_inside = false;
                self.has_migrated = true;
            }
            Change::Return(_) if self.state == ProcessState::Running && self.has_migrated => {
                self.is_inside = true;
                self.has_migrated = false;
            }
            _ => {}
        }
        before != (self.is_inside, self.state)
    }
}
