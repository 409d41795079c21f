//! Finds processes of which every task has begun to exit, while not all have ended.
//!
//! On v1 the cgroup of such a process is unknown, because `/proc/PID/cgroup` shows `/`.

use std::io;

use super::{
    directory::{ProcessDirectory, find_all, is_gone},
    stat::Stat,
};
use crate::model::{ProcessState, TaskState};

/// Pid and start, in `CLOCK_BOOTTIME` nanoseconds, of each process that is exiting now.
pub fn find() -> io::Result<Vec<(u32, u64)>> {
    let mut buffer = Vec::new();
    find_all(|pid| exiting(pid, &mut buffer))
}

fn exiting(pid: u32, buffer: &mut Vec<u8>) -> io::Result<Option<(u32, u64)>> {
    let directory = ProcessDirectory::open(pid)?;
    directory.read("stat", buffer)?;
    let stat = Stat::read(buffer)?;
    // Most processes are alive, and the scan does not read their threads.
    if stat.task_state() < TaskState::Exiting || stat.process_state().has_exited() {
        return Ok(None);
    }
    let start_ns = stat.start_ns();
    // The leader may exit before the other threads.
    let mut tasks = Vec::new();
    for tid in directory.tids()? {
        match directory.read(format!("task/{tid}/stat"), buffer) {
            Ok(()) => tasks.push(Stat::read(buffer)?.task_state()),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let is_exiting = ProcessState::of_tasks(tasks).has_begun_exit();
    Ok(is_exiting.then_some((pid, start_ns)))
}
