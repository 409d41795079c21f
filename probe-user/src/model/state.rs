//! States of a cgroup, a task and a process at one moment.
//!
//! The functions here derive states from facts. `proc` reads the files that hold the
//! facts.

/// State of a cgroup at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupState {
    /// The subtree holds tasks.
    Populated,
    /// The subtree holds no task: `rmdir` succeeds.
    Empty,
    /// The directory is gone.
    Removed,
}

/// `PF_EXITING` in the `flags` of `/proc/PID/stat`, the same bit on every kernel.
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/sched.h#L1682>
const PF_EXITING: u32 = 0x4;

/// State of one task: a thread, or the leader of a process.
///
/// The states are ordered from life to death, and a process has the state of its least
/// advanced task. The absence of a fact implies no state: if only `stat` was read, a task
/// is [`TaskState::Running`] although it may be frozen, killed or dumping core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskState {
    /// The task executes its program, is able to, or sleeps (`R`, `S`, `D`, `I`, `P`
    /// in `stat`).
    Running,
    /// A signal stopped the task (`T` in `stat`). SIGCONT or SIGKILL wakes it.
    Stopped,
    /// A tracer holds the task (`t` in `stat`). SIGKILL wakes it.
    Traced,
    /// The freezer of a cgroup holds the task. In a v1 freezer SIGKILL stays pending
    /// until the cgroup is thawed. `stat` has no letter for this state (a task in a v1
    /// freezer mostly shows `D`, one in a v2 freezer `S`), so the caller reads `wchan` or
    /// the files of the cgroup.
    Frozen,
    /// SIGKILL is pending (`SigPnd` or `ShdPnd` in `status`) and the task has not
    /// begun to exit. An `exit_group` of another thread has the same effect.
    Killed,
    /// The process writes a core dump (`CoreDumping: 1` in `status`, Linux 4.15), and
    /// this task has not begun to exit.
    DumpingCore,
    /// `do_exit` has begun (`PF_EXITING` in the `flags` of `stat`): the task may
    /// still hold memory, files and its cgroup.
    Exiting,
    /// The task has passed `exit_notify` and is not reaped (`Z` in `stat`). Up to Linux
    /// 6.18 it has left its cgroup by then; on newer kernels it leaves a moment later.
    Zombie,
    /// The kernel is about to release the task (`X` in `stat`).
    Dead,
}

/// Facts about a task from `/proc`, as far as they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskFacts {
    /// Third field of `stat`.
    pub letter: char,
    /// Ninth field of `stat`.
    pub flags: u32,
    /// Whether the caller found the task in the freezer of a cgroup.
    pub is_frozen: bool,
    /// Whether SIGKILL is in `SigPnd` or `ShdPnd` of `status`; `false` if the caller did
    /// not read that file.
    pub is_killed: bool,
    /// Whether `CoreDumping` of `status` is 1; `false` if the caller did not read that
    /// file, for a task without memory, and before Linux 4.15.
    pub is_dumping_core: bool,
}

impl TaskFacts {
    /// Facts from `/proc/PID/stat` only.
    #[must_use]
    pub const fn from_stat(letter: char, flags: u32) -> Self {
        Self {
            letter,
            flags,
            is_frozen: false,
            is_killed: false,
            is_dumping_core: false,
        }
    }
}

impl From<TaskFacts> for TaskState {
    /// The end of a task in `stat` has priority: other facts never move a task back from
    /// [`TaskState::Exiting`] or a later state. A killed task stays frozen, but does not
    /// stay stopped or traced.
    fn from(facts: TaskFacts) -> Self {
        match facts.letter {
            'Z' => Self::Zombie,
            // `x` up to Linux 3.13.
            'X' | 'x' => Self::Dead,
            _ if facts.flags & PF_EXITING != 0 => Self::Exiting,
            _ if facts.is_dumping_core => Self::DumpingCore,
            _ if facts.is_frozen => Self::Frozen,
            _ if facts.is_killed => Self::Killed,
            't' => Self::Traced,
            'T' => Self::Stopped,
            _ => Self::Running,
        }
    }
}

/// State of a process, from all its tasks. The states are ordered from life to death, and
/// a process never goes back to an earlier one.
///
/// A pidfd shows that a process has exited (Linux 5.3) and that it was reaped (Linux 6.9),
/// but not that it is exiting: by its pidfd a process is [`ProcessState::Running`] until it
/// has exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProcessState {
    /// At least one task has not begun to exit, or it is unknown whether it has.
    Running,
    /// Every task has begun to exit, and at least one has not passed `exit_notify`:
    /// the process may still hold memory, files and its cgroup.
    Exiting,
    /// Every task has passed `exit_notify`: memory, files and ports are released. The
    /// process is a zombie until its parent reaps it.
    Exited,
    /// The pid is released, and another process may have it.
    Reaped,
}

impl From<TaskState> for ProcessState {
    /// The state of a process with this least advanced task.
    fn from(task: TaskState) -> Self {
        match task {
            TaskState::Zombie | TaskState::Dead => Self::Exited,
            TaskState::Exiting => Self::Exiting,
            _ => Self::Running,
        }
    }
}

impl ProcessState {
    /// State by `/proc/PID/stat`, which shows the state of the leader and the number of
    /// tasks. A leader may exit before the other threads, and the file does not show their
    /// states, so a process with several threads counts as running.
    ///
    /// `None` for 0 tasks: the kernel releases the leader, which is the end of the process, or
    /// gives the pid to another thread that executes a program.
    /// <https://elixir.bootlin.com/linux/v6.12/source/fs/proc/array.c#L511>
    #[must_use]
    pub fn of_leader(leader: TaskState, threads: u32) -> Option<Self> {
        match threads {
            0 => None,
            1 => Some(leader.into()),
            _ => Some(Self::Running),
        }
    }

    /// State by `/proc/PID/task`; a process without tasks is reaped.
    #[must_use]
    pub fn of_tasks(tasks: impl IntoIterator<Item = TaskState>) -> Self {
        tasks.into_iter().min().map_or(Self::Reaped, Self::from)
    }

    /// Whether every task has begun to exit.
    #[must_use]
    pub fn has_begun_exit(self) -> bool {
        self >= Self::Exiting
    }

    /// Whether every task has passed `exit_notify`.
    #[must_use]
    pub fn has_exited(self) -> bool {
        self >= Self::Exited
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [TaskState; 9] = [
        TaskState::Running,
        TaskState::Stopped,
        TaskState::Traced,
        TaskState::Frozen,
        TaskState::Killed,
        TaskState::DumpingCore,
        TaskState::Exiting,
        TaskState::Zombie,
        TaskState::Dead,
    ];

    fn task() -> impl Strategy<Value = TaskState> {
        proptest::sample::select(ALL.as_slice())
    }

    prop_compose! {
        fn facts()(
            letter in proptest::sample::select(b"RSDTtXZPI".as_slice()),
            flags in any::<u32>(),
            is_frozen in any::<bool>(),
            is_killed in any::<bool>(),
            is_dumping_core in any::<bool>(),
        ) -> TaskFacts {
            TaskFacts { letter: letter.into(), flags, is_frozen, is_killed, is_dumping_core }
        }
    }

    proptest! {
        #[test]
        fn facts_beyond_stat_never_change_the_state_of_the_process(facts in facts()) {
            let by_stat = ProcessState::from(TaskState::from(
                TaskFacts::from_stat(facts.letter, facts.flags),
            ));
            prop_assert_eq!(ProcessState::from(TaskState::from(facts)), by_stat);
        }

        #[test]
        fn one_task_that_has_not_begun_to_exit_keeps_its_process_running(
            mut tasks in proptest::collection::vec(task(), 0..4),
            one in proptest::sample::select(&ALL[..6]),
        ) {
            tasks.push(one);
            prop_assert_eq!(ProcessState::of_tasks(tasks), ProcessState::Running);
        }

        #[test]
        fn the_order_of_task_states_is_the_order_of_process_states(a in task(), b in task()) {
            prop_assert!((a <= b) <= (ProcessState::from(a) <= ProcessState::from(b)));
            let both = ProcessState::of_tasks([a, b]);
            prop_assert_eq!(both, ProcessState::from(a).min(b.into()));
        }
    }

    #[test]
    fn the_leader_of_several_threads_does_not_end_its_process() {
        for leader in ALL {
            let state = ProcessState::of_leader(leader, 2);
            assert_eq!(state, Some(ProcessState::Running), "{leader:?}");
            assert_eq!(ProcessState::of_leader(leader, 1), Some(leader.into()));
        }
        let exited = ProcessState::of_leader(TaskState::Zombie, 1);
        assert_eq!(exited, Some(ProcessState::Exited));
        let exiting = ProcessState::of_leader(TaskState::Exiting, 1);
        assert_eq!(exiting, Some(ProcessState::Exiting));
    }

    #[test]
    fn a_leader_that_the_kernel_releases_tells_nothing_about_its_process() {
        for leader in ALL {
            assert_eq!(ProcessState::of_leader(leader, 0), None, "{leader:?}");
        }
    }
}
