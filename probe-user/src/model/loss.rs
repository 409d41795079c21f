//! Missing records: why they are missing, and how many there are.

use std::fmt;

use super::words::words;

words! {
    /// Why records are missing.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum LossReason {
        /// The ring buffer had no room: the reader was too slow, or the ring is small.
        RingFull = "ring_full",
        /// The kernel skipped the program, because the same program was preempted on that
        /// CPU (raw tracepoints, Linux 7.0) or BPF was disabled there (classic ones).
        Skipped = "skipped",
        /// The client reads too slowly.
        SlowReader = "slow_reader",
        /// The daemon ended, or stopped answering, before it had delivered every record.
        DaemonGone = "daemon_gone",
        /// The BPF programs, or the access to their ring buffer, were lost.
        BpfGone = "bpf_gone",
        /// The daemon is of a later version, which has a reason that this version lacks.
        Other = "other",
    }
}

/// Number of missing records: the sum of several losses. It is unknown if the number of one
/// of them is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossCount(Option<u64>);

impl LossCount {
    /// No loss.
    pub const NONE: Self = Self(Some(0));

    /// Adds one more loss; `None` if its number is unknown.
    pub fn add(&mut self, count: Option<u64>) {
        self.0 = self
            .0
            .zip(count)
            .map(|(sum, more)| sum.saturating_add(more));
    }

    /// The number; `None` if it is unknown.
    #[must_use]
    pub const fn known(self) -> Option<u64> {
        self.0
    }
}

impl Default for LossCount {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for LossCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => count.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_an_unknown_loss_is_unknown() {
        let mut sum = LossCount::NONE;
        sum.add(Some(3));
        sum.add(Some(4));
        assert_eq!((sum.known(), sum.to_string()), (Some(7), "7".to_owned()));
        sum.add(None);
        sum.add(Some(1));
        assert_eq!((sum.known(), sum.to_string()), (None, "unknown".to_owned()));
    }
}
