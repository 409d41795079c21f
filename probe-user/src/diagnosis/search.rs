//! Searches the machine for processes that are stuck.

use std::{io, thread, time::Duration};

use super::{reason::Phase, task::Task};
use crate::proc::{
    directory::{Pids, ProcessDirectory, is_gone},
    stat::Stat,
    status::Status,
};

/// A process that dies within this time is healthy.
const HEALTHY: Duration = Duration::from_millis(100);
/// An uninterruptible sleep of this length is told, in nanoseconds.
const LONG_SLEEP_NS: u64 = 10_000_000_000;

/// The processes that were killed, are exiting, or have exited, and stay so for 100 ms, and those
/// with a task that has been in an uninterruptible sleep for 10 seconds. A process that `/proc`
/// does not show is not found.
#[expect(
    clippy::disallowed_methods,
    reason = "a process that is still there after this time is told, and no event ends it"
)]
pub fn stuck() -> io::Result<Vec<u32>> {
    let mut suspects = Vec::new();
    for pid in Pids::list()? {
        suspects.extend(start_of_stuck(pid?).map(|start| (start.pid, start.ticks)));
    }
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    thread::sleep(HEALTHY);
    let still = suspects
        .into_iter()
        .filter(|&(pid, ticks)| start_of_stuck(pid).is_some_and(|it| it.ticks == ticks));
    Ok(still.map(|(pid, _)| pid).collect())
}

/// A process, by its pid and its start.
struct Start {
    pid: u32,
    ticks: u64,
}

/// The start of a process that is stuck now; `None` if it is not, or cannot be read.
fn start_of_stuck(pid: u32) -> Option<Start> {
    match look(pid) {
        Ok(start) => start,
        Err(error) => {
            if !is_gone(&error) {
                tracing::debug!(%error, "cannot read the files of process {pid}");
            }
            None
        }
    }
}

fn look(pid: u32) -> io::Result<Option<Start>> {
    let directory = ProcessDirectory::open(pid)?;
    let file = directory.content("stat")?;
    let stat = Stat::read(&file)?;
    if stat.is_kernel_thread() {
        return Ok(None);
    }
    let start = Start {
        pid,
        ticks: stat.start_ticks,
    };
    let tids = if stat.threads > 1 {
        directory.tids()?
    } else {
        vec![pid]
    };
    for tid in tids {
        match is_stuck(&directory, pid, tid) {
            Ok(true) => return Ok(Some(start)),
            Ok(false) => {}
            // This thread has ended meanwhile, and another one may be stuck.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn is_stuck(directory: &ProcessDirectory, pid: u32, tid: u32) -> io::Result<bool> {
    let stat = directory.content(format!("task/{tid}/stat"))?;
    let stat = Stat::read(&stat)?;
    let status = directory.content(format!("task/{tid}/status"))?;
    let status = Status::new(&status);
    let task = Task {
        directory,
        pid,
        tid,
        stat,
        status,
        stack: Vec::new(),
    };
    // The leader of living threads may have exited.
    let is_dead_thread = task.phase() == Phase::Exited && stat.threads > 1;
    if task.phase() != Phase::Living && !is_dead_thread {
        return Ok(true);
    }
    let is_asleep = || asleep_ns(directory, tid).is_none_or(|it| it > LONG_SLEEP_NS);
    Ok(stat.letter == 'D' && is_asleep())
}

/// Time since a task ran last; `None` if the kernel does not tell (`CONFIG_SCHED_DEBUG`).
fn asleep_ns(directory: &ProcessDirectory, tid: u32) -> Option<u64> {
    let then = last_run_ns(&directory.content(format!("task/{tid}/sched")).ok()?)?;
    // This thread runs now.
    let own = ProcessDirectory::open_path("/proc/thread-self").ok()?;
    let now = last_run_ns(&own.content("sched").ok()?)?;
    Some(now.saturating_sub(then))
}

/// `se.exec_start` of `/proc/PID/sched`, which is in milliseconds with six decimals.
fn last_run_ns(file: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(file);
    let line = text.lines().find(|it| it.starts_with("se.exec_start"))?;
    let (milliseconds, nanoseconds) = line.split_once(':')?.1.trim().split_once('.')?;
    let milliseconds: u64 = milliseconds.parse().ok()?;
    let nanoseconds: u64 = nanoseconds.parse().ok()?;
    milliseconds
        .checked_mul(1_000_000)?
        .checked_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_last_run_is_in_nanoseconds() {
        let file = b"head (1, #threads: 1)\nse.exec_start    :       2674350.000616\n";
        assert_eq!(last_run_ns(file), Some(2_674_350_000_616));
        assert_eq!(last_run_ns(b"se.vruntime : 1.5\n"), None);
    }
}
