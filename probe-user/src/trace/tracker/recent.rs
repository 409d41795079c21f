//! The processes that were reported dead last: a bounded set that forgets its oldest
//! member.

use std::collections::{HashSet, VecDeque};

use crate::model::MachineId;

/// Enough to recognise a duplicate: the two records of a thread group are a few
/// microseconds apart, and this many exits take longer.
const CAPACITY: usize = 4096;

/// The processes that were reported last.
#[derive(Debug, Default)]
pub(super) struct Recent {
    members: HashSet<MachineId>,
    order: VecDeque<MachineId>,
}

impl Recent {
    /// Adds a process; `false` if it was a member already.
    pub(super) fn insert(&mut self, key: MachineId) -> bool {
        if !self.members.insert(key) {
            return false;
        }
        if self.order.len() == CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.members.remove(&oldest);
        }
        self.order.push_back(key);
        true
    }
}
