//! The most recent exits, in a ring of fixed capacity, and the losses between them.

use std::{collections::VecDeque, sync::Arc};

use probe_user::model::{Exit, LossReason, Placed};

/// An exit and its sequence number.
#[derive(Clone, Debug)]
pub struct Past {
    /// Number of exits before this one since the start.
    pub seq: u64,
    /// The record of the exit.
    pub exit: Arc<Placed<Exit>>,
}

/// A loss of records that never reached the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastLoss {
    /// Sequence number of the exit that follows the loss.
    pub before: u64,
    /// When the loss was noticed: `CLOCK_BOOTTIME` in nanoseconds.
    pub boottime_ns: u64,
    /// Number of missing records.
    pub count: u64,
    /// Why they are missing.
    pub reason: LossReason,
}

/// A ring of exits. A full ring drops its oldest exit for a new one.
#[derive(Debug)]
pub struct History {
    exits: VecDeque<Arc<Placed<Exit>>>,
    capacity: usize,
    /// Number of exits that were dropped.
    dropped: u64,
    /// Losses before the exits in the ring and after them; at most one of each reason before
    /// an exit.
    losses: VecDeque<PastLoss>,
}

impl History {
    /// An empty ring for this many exits. It allocates memory as exits arrive.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            exits: VecDeque::new(),
            capacity,
            dropped: 0,
            losses: VecDeque::new(),
        }
    }

    /// Adds the newest exit; returns its sequence number.
    pub fn push(&mut self, exit: Arc<Placed<Exit>>) -> u64 {
        let seq = self.next_seq();
        // The oldest exit is dropped first, because a `VecDeque` that grows beyond its
        // capacity by one takes twice the memory.
        if self.exits.len() == self.capacity {
            self.exits.pop_front();
            self.dropped += 1;
            let is_older = |it: &PastLoss| it.before < self.dropped;
            while self.losses.front().is_some_and(is_older) {
                self.losses.pop_front();
            }
        }
        if self.capacity > 0 {
            self.exits.push_back(exit);
        }
        seq
    }

    /// Adds a loss of records after the newest exit.
    pub(crate) fn push_loss(&mut self, boottime_ns: u64, count: u64, reason: LossReason) {
        let before = self.next_seq();
        let mut newest = self.losses.iter_mut().rev();
        let mut newest = newest.by_ref().take_while(|it| it.before == before);
        match newest.find(|it| it.reason == reason) {
            Some(same) => same.count += count,
            None => self.losses.push_back(PastLoss {
                before,
                boottime_ns,
                count,
                reason,
            }),
        }
    }

    /// The losses since a moment, oldest first.
    pub(crate) fn losses_since(&self, boottime_ns: u64) -> Vec<PastLoss> {
        let losses = self.losses.iter();
        let since = losses.filter(|it| it.boottime_ns >= boottime_ns);
        since.copied().collect()
    }

    /// The sequence number of the next exit.
    #[must_use]
    pub(crate) fn next_seq(&self) -> u64 {
        self.dropped + self.exits.len() as u64
    }

    /// All exits in the ring, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Past> + ExactSizeIterator {
        self.since(0)
    }

    /// The exits in the ring from this sequence number on, oldest first.
    #[must_use]
    pub fn since(&self, seq: u64) -> impl DoubleEndedIterator<Item = Past> + ExactSizeIterator {
        let skipped = usize::try_from(seq.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        let skipped = skipped.min(self.exits.len());
        let first = self.dropped + skipped as u64;
        // `enumerate` numbers the exits, because a range of u64 is not an `ExactSizeIterator`.
        self.exits
            .range(skipped..)
            .enumerate()
            .map(move |(index, exit)| Past {
                seq: first + index as u64,
                exit: Arc::clone(exit),
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exit(tgid: u32) -> Arc<Placed<Exit>> {
        let mut exit = Placed::<Exit>::default();
        exit.what.process.tgid = tgid;
        Arc::new(exit)
    }

    fn listed(past: impl Iterator<Item = Past>) -> Vec<(u64, u32)> {
        past.map(|past| (past.seq, past.exit.what.process.tgid))
            .collect()
    }

    #[test]
    fn the_default_history_stays_below_35_mib() {
        const EXITS: usize = 65_536;
        /// Overhead of an allocation, rounding included.
        const ALLOCATION: usize = 24;
        let counts = 2 * size_of::<usize>();
        let record = counts + size_of::<Placed<Exit>>() + ALLOCATION;
        // Every exit has a sender of a signal and a cgroup of its own.
        let comm = 15 + ALLOCATION;
        let path = counts + 80 + ALLOCATION;
        let bytes = EXITS * (size_of::<usize>() + record + comm + path);
        assert!(bytes < 35 << 20, "{bytes}");
        let mut history = History::new(EXITS);
        for tgid in 0..100_000 {
            history.push(exit(tgid));
        }
        assert!(history.exits.capacity() <= EXITS);
    }

    #[test]
    fn losses_keep_their_place_and_are_dropped_with_the_exits_around_them() {
        let mut history = History::new(2);
        history.push(exit(1));
        history.push_loss(10, 3, LossReason::RingFull);
        history.push_loss(11, 4, LossReason::RingFull);
        history.push_loss(12, 5, LossReason::Skipped);
        history.push(exit(2));
        let listed = |history: &History, since| -> Vec<_> {
            let losses = history.losses_since(since).into_iter();
            losses.map(|it| (it.before, it.count, it.reason)).collect()
        };
        let both = [(1, 7, LossReason::RingFull), (1, 5, LossReason::Skipped)];
        assert_eq!(listed(&history, 0), both);
        assert_eq!(listed(&history, 12), both[1..]);
        history.push(exit(3));
        assert_eq!(listed(&history, 0), both);
        history.push(exit(4));
        assert_eq!(listed(&history, 0), []);
    }

    proptest! {
        #[test]
        fn the_newest_exits_are_kept(
            capacity in 0_usize..9,
            count in 0_u32..30,
            since in 0_u64..40,
        ) {
            let mut history = History::new(capacity);
            for tgid in 0..count {
                prop_assert_eq!(history.push(exit(tgid)), u64::from(tgid));
            }
            let all: Vec<_> = (0..count).map(|tgid| (u64::from(tgid), tgid)).collect();
            let kept = &all[all.len().saturating_sub(capacity)..];
            prop_assert_eq!(listed(history.iter()), kept);
            prop_assert_eq!(history.iter().len(), kept.len());
            prop_assert_eq!(history.dropped, (all.len() - kept.len()) as u64);
            prop_assert_eq!(history.next_seq(), u64::from(count));
            let backwards: Vec<_> = kept.iter().rev().copied().collect();
            prop_assert_eq!(listed(history.iter().rev()), backwards);
            let wanted: Vec<_> = kept.iter().filter(|(seq, _)| *seq >= since).copied().collect();
            prop_assert_eq!(history.since(since).len(), wanted.len());
            prop_assert_eq!(listed(history.since(since)), wanted);
        }
    }
}
