//! Processes that exited recently. `/proc` shows a process as live until it is a zombie,
//! which may be long after the event of its exit.

use std::collections::{HashMap, VecDeque};

/// Number of exits that are always kept. An older exit that is still in progress, for
/// example because a large address space is being freed, is recognised by `PF_EXITING`,
/// unless other threads of the process remain.
const KEPT: usize = 4096;

/// The last exit of each thread group id.
#[derive(Debug, Default)]
pub(super) struct Exits {
    last: HashMap<u32, u64>,
    order: VecDeque<(u32, u64)>,
    /// Number of exits in `order` since the current scan began; `None` without a scan.
    scanning: Option<usize>,
}

impl Exits {
    pub(super) fn insert(&mut self, tgid: u32, boottime_ns: u64) {
        let last = self.last.entry(tgid).or_insert(boottime_ns);
        *last = boottime_ns.max(*last);
        self.order.push_back((tgid, *last));
        if let Some(since) = &mut self.scanning {
            *since += 1;
        }
        while self.order.len() > KEPT.max(self.scanning.unwrap_or(0)) {
            self.forget_oldest();
        }
    }

    /// Whether the process with this start has exited.
    pub(super) fn has_exited(&self, tgid: u32, start_ns: u64) -> bool {
        self.last.get(&tgid).is_some_and(|&exit| start_ns <= exit)
    }

    pub(super) const fn is_scanning(&self) -> bool {
        self.scanning.is_some()
    }

    pub(super) fn begin_scan(&mut self) {
        self.scanning = Some(0);
    }

    pub(super) fn finish_scan(&mut self) {
        self.scanning = None;
        while self.order.len() > KEPT {
            self.forget_oldest();
        }
        self.order.shrink_to(KEPT);
        self.last.shrink_to(KEPT);
    }

    fn forget_oldest(&mut self) {
        if let Some((tgid, boottime_ns)) = self.order.pop_front()
            && self.last.get(&tgid) == Some(&boottime_ns)
        {
            self.last.remove(&tgid);
        }
    }
}
