//! Processor time of a thread group: what released tasks left to it, and what those
//! still hold that are not released.

use probe_ebpf::event::UNKNOWN;

use super::{Group, Task};
use crate::{
    globals::offset,
    memory::{PROBED, read},
};

/// Tasks that are on their way out when the last one of the group gets here: a few
/// for each CPU. The verifier walks through each step of the loop.
const MAX_TASKS: u32 = 8;
/// How often it looks: again, if a task was released meanwhile.
const MAX_LOOKS: u32 = 2;

/// User, system and exact run time in nanoseconds.
type Times = [u64; 3];

impl<const HOW: bool> Group<HOW> {
    /// Of all its tasks; `last` is the current one.
    #[inline(always)]
    pub(crate) fn times(self, last: Task<HOW>) -> Times {
        let mut times = Times::default();
        // Asked first: who is released after it was counted may have left its times
        // after they were read.
        if self.is_alone() || offset!(signal_thread_head) == UNKNOWN {
            self.add_released(&mut times);
        } else {
            let last = Task::<PROBED>::current();
            add_all_but_last(&mut times, last.group().0, last.0);
        }
        last.add_times(&mut times);
        times
    }

    /// What released tasks left to it.
    #[inline(always)]
    fn add_released(self, times: &mut Times) {
        times[0] += read::<HOW, u64>(self.0, offset!(signal_utime));
        times[1] += read::<HOW, u64>(self.0, offset!(signal_stime));
        times[2] += self.released_run_time();
    }

    #[inline(always)]
    fn released_run_time(self) -> u64 {
        read::<HOW, _>(self.0, offset!(signal_sum_sched_runtime))
    }
}

/// A task that is released between the two reads would be missing: then the sum of the
/// released has grown, and all is read again.
///
/// Not inlined: for each way out of the loops the verifier would walk through all that
/// comes after them.
#[inline(never)]
fn add_all_but_last(times: &mut Times, group: u64, last: u64) {
    let group = Group::<PROBED>(group);
    for _ in 0..MAX_LOOKS {
        *times = Times::default();
        group.add_released(times);
        let released = times[2];
        add_unreleased(times, group, last);
        if group.released_run_time() == released {
            break;
        }
    }
}

/// Of all that are not released, but `last`. One that is released meanwhile still leads
/// to the next.
#[inline(always)]
fn add_unreleased(times: &mut Times, group: Group<PROBED>, last: u64) {
    let head = group.0.wrapping_add(u64::from(offset!(signal_thread_head)));
    let mut node: u64 = read::<PROBED, _>(head, 0);
    for _ in 0..MAX_TASKS {
        if node == head || node == 0 {
            break;
        }
        let task = Task::at(node.wrapping_sub(u64::from(offset!(task_thread_node))));
        if task.0 != last {
            task.add_times(times);
        }
        node = read::<PROBED, _>(node, 0);
    }
}

impl<const HOW: bool> Task<HOW> {
    #[inline(always)]
    fn add_times(self, times: &mut Times) {
        times[0] += read::<HOW, u64>(self.0, offset!(task_utime));
        times[1] += read::<HOW, u64>(self.0, offset!(task_stime));
        times[2] += read::<HOW, u64>(self.0, offset!(task_sum_exec_runtime));
    }
}
