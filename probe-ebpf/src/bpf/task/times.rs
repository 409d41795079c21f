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

impl<const HOW: bool> Group<HOW> {
    /// User, system and exact run time in nanoseconds. `last` is the current task.
    #[inline(always)]
    pub(crate) fn times(self, last: Task<HOW>) -> [u64; 3] {
        // First what was left: who is released meanwhile may be missing, but is never
        // counted twice.
        let mut times = [
            read::<HOW, _>(self.0, offset!(signal_utime)),
            read::<HOW, _>(self.0, offset!(signal_stime)),
            read::<HOW, _>(self.0, offset!(signal_sum_sched_runtime)),
        ];
        last.add_times(&mut times);
        if !self.is_alone() && offset!(signal_thread_head) != UNKNOWN {
            let last = Task::<PROBED>::current();
            let head = last
                .group()
                .0
                .wrapping_add(u64::from(offset!(signal_thread_head)));
            add_others(&mut times, head, last.0);
        }
        times
    }
}

/// Of all that are not released, but `last`. One that is released meanwhile still leads
/// to the next.
///
/// Not inlined: for each way out of the loop the verifier would walk through all that
/// comes after it.
#[inline(never)]
fn add_others(times: &mut [u64; 3], head: u64, last: u64) {
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
    fn add_times(self, times: &mut [u64; 3]) {
        times[0] += read::<HOW, u64>(self.0, offset!(task_utime));
        times[1] += read::<HOW, u64>(self.0, offset!(task_stime));
        times[2] += read::<HOW, u64>(self.0, offset!(task_sum_exec_runtime));
    }
}
