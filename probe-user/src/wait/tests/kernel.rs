//! A small kernel: processes that exit, leave their cgroup, fork and are reaped.

use super::*;

/// A process that was a member of the cgroup once.
#[derive(Clone, Debug)]
pub(super) struct Process {
    is_inside: bool,
    state: ProcessState,
    /// Whether the wait knows it: it was a member when somebody looked, or a
    /// record told of it.
    is_known: bool,
    /// Whether it went elsewhere alive.
    has_migrated: bool,
}

/// What the kernel does by itself.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Any that runs inside begets another; `true`: a record tells of it.
    Fork(usize, bool),
    /// It dies and is no member any more. Before or after `Exit`: Linux 6.19
    /// swapped the two.
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

    /// Whether something changed that an event might tell of.
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

    /// What a look finds.
    pub(super) fn facts(&self, searched: bool) -> Facts {
        let is_found = |it: &&Process| {
            it.is_known || searched && !it.has_migrated && it.state != ProcessState::Reaped
        };
        Facts {
            cgroups: vec![self.state()],
            processes: self
                .processes
                .iter()
                .filter(is_found)
                .map(|it| it.state)
                .collect(),
            searched,
            ..Facts::default()
        }
    }

    /// What must be so if somebody says that it is, word by word.
    pub(super) fn is_so(&self, until: Until, exact: bool) -> bool {
        let has_none_inside = self.processes.iter().all(|it| !it.is_inside);
        let all = |least| {
            self.processes
                .iter()
                .filter(|it| it.is_known || exact && until.is_about_processes() && !it.has_migrated)
                .all(|it| it.state >= least)
        };
        match until {
            Until::Empty => has_none_inside,
            Until::Removed => self.is_removed,
            Until::Exited | Until::Stopped => has_none_inside && all(ProcessState::Exited),
            Until::Reaped => has_none_inside && all(ProcessState::Reaped),
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
            // Its parent may reap it only when it is nowhere any more.
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
