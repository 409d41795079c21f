//! The queue of records of one reader.
//!
//! A mailbox is bounded. A reader that does not empty its mailbox loses records and gets
//! their number; it delays neither the daemon nor other readers.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use probe_user::model::{Exit, LossReason, Placed};
use tokio::sync::Notify;

/// Maximum number of entries in a mailbox.
pub(crate) const CAPACITY: usize = 16 * 1024;

/// An entry of a mailbox.
#[derive(Clone, Debug)]
pub(crate) enum Delivery {
    Exit(Arc<Placed<Exit>>),
    /// Number of missing records, and the reason.
    Lost(u64, LossReason),
}

/// Whether a reader gets this record of its topics.
type Admits = dyn Fn(&Placed<Exit>) -> bool + Send + Sync;

/// The queue of one reader.
pub(crate) struct Mailbox {
    /// Whether the reader gets a record of its topics.
    admits: Box<Admits>,
    contents: Mutex<Contents>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Contents {
    queue: VecDeque<Delivery>,
    /// Whether the queue was full and its reader has not read since. Then the queue has only
    /// the sum of the losses of each reason, which takes no memory.
    has_overflowed: bool,
    is_closed: bool,
    /// Number of the last record. A record that is published under several topics of the
    /// reader is added only once.
    last: u64,
}

impl Contents {
    /// Adds an entry; returns the number of records that the reader loses by this.
    fn put(&mut self, delivery: Delivery) -> u64 {
        let mut lost = 0;
        if self.queue.len() == CAPACITY {
            self.has_overflowed = true;
            for unread in std::mem::take(&mut self.queue) {
                lost += self.put_loss(&unread);
            }
        }
        if self.has_overflowed {
            return lost + self.put_loss(&delivery);
        }
        self.queue.push_back(delivery);
        0
    }

    /// Adds an entry that the reader does not get to the losses of its reason.
    fn put_loss(&mut self, delivery: &Delivery) -> u64 {
        let (count, reason, lost) = match delivery {
            Delivery::Exit(_) => (1, LossReason::SlowReader, 1),
            &Delivery::Lost(count, reason) => (count, reason, 0),
        };
        let sums = self.queue.iter_mut().find_map(|it| match it {
            Delivery::Lost(sum, of) if *of == reason => Some(sum),
            _ => None,
        });
        match sums {
            Some(sum) => *sum += count,
            None => self.queue.push_back(Delivery::Lost(count, reason)),
        }
        lost
    }
}

impl Mailbox {
    /// An empty mailbox for the records of its topics that `admits` returns true for.
    pub(crate) fn new(admits: impl Fn(&Placed<Exit>) -> bool + Send + Sync + 'static) -> Self {
        Self {
            admits: Box::new(admits),
            contents: Mutex::default(),
            notify: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry, and returns the number of records that the reader loses by this.
    /// `number` identifies the record among all published records.
    pub(super) fn put(&self, number: u64, delivery: Delivery) -> u64 {
        if matches!(&delivery, Delivery::Exit(exit) if !(self.admits)(exit)) {
            return 0;
        }
        let mut contents = self.lock();
        if contents.is_closed || std::mem::replace(&mut contents.last, number) == number {
            return 0;
        }
        let lost = contents.put(delivery);
        drop(contents);
        self.notify.notify_one();
        lost
    }

    /// Adds no further entry.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Takes the oldest entry. A reader takes one entry at a time, so that the number of
    /// unread entries is bounded.
    pub(crate) fn next(&self) -> Option<Delivery> {
        let mut contents = self.lock();
        contents.has_overflowed = false;
        contents.queue.pop_front()
    }

    /// Resolves when an entry was added since the last call.
    pub(crate) async fn filled(&self) {
        self.notify.notified().await;
    }

    /// Makes the next call of [`Mailbox::filled`] resolve, for a reader that has left entries.
    pub(crate) fn leave_rest(&self) {
        self.notify.notify_one();
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contents = &self.contents;
        f.debug_struct("Mailbox")
            .field("contents", contents)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(tgid: u32) -> Delivery {
        let mut exit = Placed::<Exit>::default();
        exit.what.process.tgid = tgid;
        Delivery::Exit(Arc::new(exit))
    }

    fn everything() -> Mailbox {
        Mailbox::new(|_| true)
    }

    fn pids(mailbox: &Mailbox) -> Vec<u32> {
        let all = std::iter::from_fn(|| mailbox.next());
        all.filter_map(|it| match it {
            Delivery::Exit(exit) => Some(exit.what.process.tgid),
            Delivery::Lost(..) => None,
        })
        .collect()
    }

    fn losses(mailbox: &Mailbox) -> Vec<(u64, LossReason)> {
        let all = std::iter::from_fn(|| mailbox.next());
        all.filter_map(|it| match it {
            Delivery::Exit(_) => None,
            Delivery::Lost(count, reason) => Some((count, reason)),
        })
        .collect()
    }

    /// Puts as many records as fit; returns how many are lost.
    fn fill(mailbox: &Mailbox) -> u64 {
        let numbers = 1..=CAPACITY as u64;
        numbers.map(|number| mailbox.put(number, exit(1))).sum()
    }

    #[test]
    fn a_reader_that_never_reads_gets_the_number_of_lost_records() {
        let mailbox = everything();
        assert_eq!(fill(&mailbox), 0);
        let capacity = CAPACITY as u64;
        let further = capacity + 1..=capacity + 5;
        let lost: u64 = further.map(|number| mailbox.put(number, exit(1))).sum();
        assert!(mailbox.lock().queue.capacity() < 8);
        assert_eq!(lost, capacity + 5);
        assert_eq!(losses(&mailbox), [(lost, LossReason::SlowReader)]);
        assert_eq!(mailbox.put(capacity + 6, exit(2)), 0);
        assert_eq!(pids(&mailbox), [2]);
    }

    #[test]
    fn a_loss_keeps_its_reason_in_a_full_mailbox() {
        let mailbox = everything();
        assert_eq!(
            mailbox.put(u64::MAX, Delivery::Lost(7, LossReason::RingFull)),
            0
        );
        let mut lost = fill(&mailbox);
        let number = CAPACITY as u64 + 1;
        lost += mailbox.put(number, Delivery::Lost(2, LossReason::Skipped));
        lost += mailbox.put(number + 1, Delivery::Lost(3, LossReason::RingFull));
        assert_eq!(
            lost, CAPACITY as u64,
            "no loss of the kernel is one of the reader"
        );
        let expected = [
            (10, LossReason::RingFull),
            (lost, LossReason::SlowReader),
            (2, LossReason::Skipped),
        ];
        assert_eq!(losses(&mailbox), expected);
    }

    #[test]
    fn records_that_a_reader_does_not_get_are_no_loss_of_the_reader() {
        let mailbox = Mailbox::new(|exit| exit.what.process.tgid == 2);
        let capacity = CAPACITY as u64;
        for number in 1..=capacity + 1 {
            assert_eq!(mailbox.put(number, exit(1)), 0);
        }
        mailbox.put(capacity + 2, exit(2));
        assert_eq!(pids(&mailbox), [2]);
    }

    #[test]
    fn a_closed_mailbox_keeps_its_entries_and_gets_no_more() {
        let mailbox = everything();
        mailbox.put(1, exit(1));
        mailbox.close();
        mailbox.put(2, exit(2));
        assert_eq!(pids(&mailbox), [1]);
    }
}
