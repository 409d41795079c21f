//! Reads the states of all tasks of a process.
//!
//! The list of tasks is no snapshot: the kernel ends it early if the task at which it has
//! arrived is released meanwhile, and tasks start and exit while their states are read. That
//! every task has begun to exit is therefore believed only if two looks in a row show it and
//! the second one has no task that the first one lacks. An exiting task starts no other.

use std::io;

use super::{
    directory::{ProcessDirectory, is_gone},
    look::MAX_LOOKS,
    stat::Stat,
};
use crate::model::{ProcessState, TaskState};

/// The states of the tasks at one look.
struct Look {
    /// Number of tasks before the list was read.
    count: usize,
    tasks: Vec<(u32, TaskState)>,
}

impl Look {
    fn of(directory: &ProcessDirectory, buffer: &mut Vec<u8>) -> io::Result<Self> {
        directory.read("stat", buffer)?;
        let threads = Stat::read(buffer)?.threads;
        let mut tasks = Vec::new();
        let tids = directory.tids()?;
        let count = usize::try_from(threads).unwrap_or(usize::MAX);
        for tid in tids {
            match directory.read(format!("task/{tid}/stat"), buffer) {
                Ok(()) => tasks.push((tid, Stat::read(buffer)?.task_state())),
                // It exists no longer, so it is dead.
                Err(error) if is_gone(&error) => tasks.push((tid, TaskState::Dead)),
                Err(error) => return Err(error),
            }
        }
        Ok(Self { count, tasks })
    }

    fn state(&self) -> ProcessState {
        ProcessState::of_tasks(self.tasks.iter().map(|&(_, state)| state))
    }

    /// Whether this look, after an earlier one, has the state of every task.
    fn is_complete_after(&self, earlier: &Self) -> bool {
        let is_known = |(tid, _): &(u32, _)| earlier.tasks.iter().any(|it| it.0 == *tid);
        self.count == self.tasks.len() && self.tasks.iter().all(is_known)
    }
}

/// State of a process by all its tasks; [`ProcessState::Running`] if it is unknown whether
/// every task has begun to exit.
pub(crate) fn process_state(
    directory: &ProcessDirectory,
    buffer: &mut Vec<u8>,
) -> io::Result<ProcessState> {
    let mut earlier: Option<Look> = None;
    for _ in 0..MAX_LOOKS {
        let look = Look::of(directory, buffer)?;
        let state = look.state();
        if !state.has_begun_exit() {
            break;
        }
        if earlier.is_some_and(|it| look.is_complete_after(&it)) {
            return Ok(state);
        }
        earlier = Some(look);
    }
    Ok(ProcessState::Running)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(count: usize, tids: &[u32]) -> Look {
        let tasks = tids.iter().map(|&tid| (tid, TaskState::Exiting)).collect();
        Look { count, tasks }
    }

    #[test]
    fn a_list_that_lacks_a_task_or_has_a_new_one_is_not_believed() {
        assert!(look(2, &[1, 2]).is_complete_after(&look(2, &[1, 2])));
        assert!(look(1, &[1]).is_complete_after(&look(3, &[1, 2, 3])));
        assert!(!look(3, &[1, 2]).is_complete_after(&look(3, &[1, 2])));
        assert!(!look(2, &[1, 3]).is_complete_after(&look(2, &[1, 2])));
        assert!(!look(0, &[1]).is_complete_after(&look(1, &[1])));
    }

    #[test]
    fn a_running_process_has_not_begun_to_exit() {
        let own = ProcessDirectory::own().expect("there is a /proc");
        let state = process_state(&own, &mut Vec::new()).expect("readable");
        assert_eq!(state, ProcessState::Running);
    }
}
