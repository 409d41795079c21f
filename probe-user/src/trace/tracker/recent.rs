//! A set that forgets its oldest members.

use std::collections::{HashSet, VecDeque};

use crate::model::ProcessId;

/// The two records of one group are a few microseconds apart; this many exits
/// are not.
const CAPACITY: usize = 4096;

/// The processes that were reported last.
#[derive(Debug, Default)]
pub(super) struct Recent {
    members: HashSet<ProcessId>,
    order: VecDeque<ProcessId>,
}

impl Recent {
    /// Whether it was not a member yet.
    pub(super) fn insert(&mut self, key: ProcessId) -> bool {
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
