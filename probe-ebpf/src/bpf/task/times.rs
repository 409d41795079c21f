//! Processor time of a thread group: the sum of its released tasks, plus the times of
//! each task that is not released.

use probe_ebpf::event::UNKNOWN;

use super::{Group, Task};
use crate::{
    globals::offset,
    memory::{PROBED, read, sign},
};

/// Limit of the tasks that are still exiting when the last task of the group reaches the
/// tracepoint: a few for each CPU. The verifier walks through each step of the loop.
const MAX_TASKS: u32 = 8;
/// Limit of the readings; a second one is needed if a task was released meanwhile.
const MAX_READINGS: u32 = 2;

/// User, system and exact run time in nanoseconds.
type Times = [u64; 3];

impl<const ACCESS: bool> Group<ACCESS> {
    /// Times of all tasks of the group; `last` is the current task.
    #[inline(always)]
    pub(crate) fn times(self, last: Task<ACCESS>) -> Times {
        let mut times = Times::default();
        // The count comes first: a task that is released after it was counted may add
        // its times to the sum after the sum was read.
        if self.is_alone() || offset!(signal_thread_head) == UNKNOWN {
            self.add_released(&mut times);
        } else {
            let last = Task::<PROBED>::current();
            add_all_but_last(&mut times, last.group().0, last.0);
        }
        for (sum, time) in times.iter_mut().zip(last.times()) {
            *sum += time;
        }
        times
    }

    /// Adds the times of released tasks.
    #[inline(always)]
    fn add_released(self, times: &mut Times) {
        times[0] += read::<ACCESS, u64>(self.0, offset!(signal_utime));
        times[1] += read::<ACCESS, u64>(self.0, offset!(signal_stime));
        times[2] += self.released_run_time();
    }

    #[inline(always)]
    fn released_run_time(self) -> u64 {
        read::<ACCESS, _>(self.0, offset!(signal_sum_sched_runtime))
    }
}

/// Adds the times of released tasks and of all others but `last`. A task that is released
/// between the two reads would be missing: then the sum of the released tasks has grown,
/// and the function reads everything again.
///
/// The function is not inlined, because for each exit of the loops the verifier would walk
/// through all code that follows them.
#[inline(never)]
fn add_all_but_last(times: &mut Times, group: u64, last: u64) {
    let group = Group::<PROBED>(group);
    for _ in 0..MAX_READINGS {
        *times = Times::default();
        group.add_released(times);
        let released = times[2];
        add_unreleased(times, group, last);
        if group.released_run_time() == released {
            break;
        }
    }
}

/// Adds the times of all tasks that are not released, but `last`. A task that is released
/// meanwhile still leads to the next one.
#[inline(always)]
fn add_unreleased(times: &mut Times, group: Group<PROBED>, last: u64) {
    let head = group.0.wrapping_add(u64::from(offset!(signal_thread_head)));
    let mut node: u64 = read::<PROBED, _>(head, 0);
    for _ in 0..MAX_TASKS {
        if node == head || node == 0 {
            break;
        }
        let task = Task::<PROBED>::at(node.wrapping_sub(u64::from(offset!(task_thread_node))));
        // With a branch the verifier would walk through the rest of the loop twice in each round.
        let is_other = is_nonzero(task.0 ^ last);
        for (sum, time) in times.iter_mut().zip(task.times()) {
            *sum += time & is_other;
        }
        node = read::<PROBED, _>(node, 0);
    }
}

impl<const ACCESS: bool> Task<ACCESS> {
    #[inline(always)]
    fn times(self) -> Times {
        [
            read::<ACCESS, _>(self.0, offset!(task_utime)),
            read::<ACCESS, _>(self.0, offset!(task_stime)),
            read::<ACCESS, _>(self.0, offset!(task_sum_exec_runtime)),
        ]
    }
}

/// All bits for another number than 0, and no bit for 0; without a branch.
#[inline(always)]
fn is_nonzero(number: u64) -> u64 {
    sign(number | number.wrapping_neg())
}
