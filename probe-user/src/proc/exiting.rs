//! Finds processes of which every task has begun to exit, while not all have ended.
//!
//! On v1 the cgroup of such a process is unknown, because `/proc/PID/cgroup` shows `/`.

use std::io;

use super::{
    directory::{ProcessDirectory, Search},
    stat::Stat,
    tasks,
};
use crate::model::{ProcessState, TaskState};

/// Finds each process that is exiting now.
pub fn find() -> io::Result<Search> {
    let mut buffer = Vec::new();
    Search::run(|pid| exiting(pid, &mut buffer))
}

fn exiting(pid: u32, buffer: &mut Vec<u8>) -> io::Result<Option<(u32, u64)>> {
    let directory = ProcessDirectory::open(pid)?;
    directory.read("stat", buffer)?;
    let stat = Stat::read(buffer)?;
    // Most processes are alive, and the search does not read their threads.
    if stat.task_state() < TaskState::Exiting {
        return Ok(None);
    }
    let start_ns = stat.start_ns();
    // The leader may exit before the other threads.
    let state = tasks::process_state(&directory, buffer)?;
    Ok((state == ProcessState::Exiting).then_some((pid, start_ns)))
}
