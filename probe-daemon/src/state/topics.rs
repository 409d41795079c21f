//! Distribution of records: an index from topics to the mailboxes of readers.
//!
//! A mailbox is bounded. A reader that does not empty its mailbox loses records and gets
//! their number; it delays neither the daemon nor other readers.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use probe_user::{
    model::{Exit, LossReason, Placed},
    unstable::cgroup::path::ancestors,
};
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
    fn put(&self, number: u64, delivery: Delivery) -> u64 {
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

type Readers = Vec<Weak<Mailbox>>;

/// The readers of every topic.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    all: Readers,
    /// Readers of a cgroup and its descendants, by hierarchy and path.
    cgroups: HashMap<u32, HashMap<Box<str>, Readers>>,
    pids: HashMap<u32, Readers>,
    /// Number of the last published record.
    published: u64,
    /// Number of subscriptions since dropped mailboxes were last removed.
    since_swept: usize,
}

/// The records that a reader subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Everything,
    /// A cgroup and its descendants: hierarchy and path.
    Cgroup(u32, Box<str>),
    Pid(u32),
}

impl Topics {
    pub(crate) fn subscribe(&mut self, topic: Topic, mailbox: &Arc<Mailbox>) {
        self.sweep();
        let readers = match topic {
            Topic::Everything => &mut self.all,
            Topic::Cgroup(hierarchy, path) => self
                .cgroups
                .entry(hierarchy)
                .or_default()
                .entry(path)
                .or_default(),
            Topic::Pid(pid) => self.pids.entry(pid).or_default(),
        };
        readers.push(Arc::downgrade(mailbox));
    }

    pub(crate) fn has_readers(&self) -> bool {
        let is_alive = |readers: &Readers| readers.iter().any(|it| it.strong_count() > 0);
        is_alive(&self.all)
            || self.pids.values().any(is_alive)
            || self
                .cgroups
                .values()
                .flat_map(HashMap::values)
                .any(is_alive)
    }

    /// Delivers an exit, and returns the number of records that slow readers lose by this.
    pub(crate) fn publish(&mut self, exit: &Arc<Placed<Exit>>) -> u64 {
        self.published += 1;
        let number = self.published;
        let mut lost = 0;
        let mut deliver = |readers: &Readers| {
            for mailbox in readers.iter().filter_map(Weak::upgrade) {
                lost += mailbox.put(number, Delivery::Exit(Arc::clone(exit)));
            }
        };
        deliver(&self.all);
        if let Some(readers) = self.pids.get(&exit.what.process.tgid) {
            deliver(readers);
        }
        for cgroup in exit.cgroups() {
            if let Some(path) = cgroup.path.as_deref()
                && let Some(subtrees) = self.cgroups.get(&cgroup.id.hierarchy)
            {
                for ancestor in ancestors(path).chain(["/"]) {
                    if let Some(readers) = subtrees.get(ancestor) {
                        deliver(readers);
                    }
                }
            }
        }
        lost
    }

    /// Reports a loss to every reader, because the topics of the missing records are unknown.
    /// Returns the number of records that slow readers lose by this.
    pub(crate) fn lost(&mut self, count: u64, reason: LossReason) -> u64 {
        self.published += 1;
        let all = self
            .all
            .iter()
            .chain(self.pids.values().flatten())
            .chain(self.cgroups.values().flat_map(HashMap::values).flatten());
        let put =
            |mailbox: Arc<Mailbox>| mailbox.put(self.published, Delivery::Lost(count, reason));
        all.filter_map(Weak::upgrade).map(put).sum()
    }

    /// Removes dropped mailboxes. This happens so rarely that a subscription has constant
    /// amortized cost.
    fn sweep(&mut self) {
        self.since_swept += 1;
        let readers: usize = self.all.len()
            + self.pids.len()
            + self.cgroups.values().map(HashMap::len).sum::<usize>();
        if self.since_swept <= readers / 2 + 16 {
            return;
        }
        self.since_swept = 0;
        let keep = |readers: &mut Readers| {
            readers.retain(|it| it.strong_count() > 0);
            !readers.is_empty()
        };
        keep(&mut self.all);
        self.pids.retain(|_, readers| keep(readers));
        for subtrees in self.cgroups.values_mut() {
            subtrees.retain(|_, readers| keep(readers));
        }
    }
}

#[cfg(test)]
mod tests {
    use probe_user::model::{Cgroup, CgroupId};

    use super::*;

    fn exit(tgid: u32, path: &str) -> Arc<Placed<Exit>> {
        let mut exit = Placed::<Exit>::default();
        exit.what.process.tgid = tgid;
        let id = CgroupId {
            hierarchy: 0,
            id: 1,
        };
        let path = Some(path.into());
        exit.cgroup = Some(Cgroup { id, path });
        Arc::new(exit)
    }

    fn pids(mailbox: &Mailbox) -> Vec<u32> {
        let all = std::iter::from_fn(|| mailbox.next());
        all.filter_map(|it| match it {
            Delivery::Exit(exit) => Some(exit.what.process.tgid),
            Delivery::Lost(..) => None,
        })
        .collect()
    }

    fn subscribed(topics: &mut Topics, subscriptions: &[Topic]) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(|_| true));
        for topic in subscriptions {
            topics.subscribe(topic.clone(), &mailbox);
        }
        mailbox
    }

    #[test]
    fn a_cgroup_topic_includes_descendants_but_no_siblings() {
        let mut topics = Topics::default();
        let [of_a, of_root] = ["/a", "/"].map(|it| Topic::Cgroup(0, it.into()));
        let of_a = subscribed(&mut topics, &[of_a]);
        let of_root = subscribed(&mut topics, &[of_root]);
        for (tgid, path) in (1..).zip(["/a", "/a/b/c", "/ab", "/"]) {
            topics.publish(&exit(tgid, path));
        }
        assert_eq!(pids(&of_a), [1, 2]);
        assert_eq!(pids(&of_root), [1, 2, 3, 4]);
    }

    #[test]
    fn an_exit_is_delivered_to_the_readers_of_its_v1_cgroup() {
        let mut topics = Topics::default();
        let [v2, v1, other] = [0, 8, 9].map(|it| Topic::Cgroup(it, "/a".into()));
        let readers = [v2, v1, other].map(|it| subscribed(&mut topics, &[it]));
        let mut placed = Placed::clone(&exit(1, "/engine.service"));
        let id = CgroupId {
            hierarchy: 8,
            id: 2,
        };
        let path = Some("/a/b".into());
        placed.v1_cgroup = Some(Box::new(Cgroup { id, path }));
        topics.publish(&Arc::new(placed));
        assert_eq!(readers.map(|it| pids(&it).len()), [0, 1, 0]);
    }

    fn losses(mailbox: &Mailbox) -> Vec<(u64, LossReason)> {
        let all = std::iter::from_fn(|| mailbox.next());
        all.filter_map(|it| match it {
            Delivery::Exit(_) => None,
            Delivery::Lost(count, reason) => Some((count, reason)),
        })
        .collect()
    }

    #[test]
    fn a_reader_that_never_reads_gets_the_number_of_lost_records() {
        let mut topics = Topics::default();
        let mailbox = subscribed(&mut topics, &[Topic::Everything]);
        let lost: u64 = (0..CAPACITY + 5)
            .map(|_| topics.publish(&exit(1, "/a")))
            .sum();
        assert!(mailbox.lock().queue.capacity() < 8);
        assert_eq!(lost, CAPACITY as u64 + 5);
        assert_eq!(losses(&mailbox), [(lost, LossReason::SlowReader)]);
        assert_eq!(topics.publish(&exit(2, "/a")), 0);
        assert_eq!(pids(&mailbox), [2]);
    }

    #[test]
    fn a_loss_keeps_its_reason_in_a_full_mailbox() {
        let mut topics = Topics::default();
        let mailbox = subscribed(&mut topics, &[Topic::Everything]);
        assert_eq!(topics.lost(7, LossReason::RingFull), 0);
        let mut lost = 0;
        for _ in 0..CAPACITY {
            lost += topics.publish(&exit(1, "/a"));
        }
        lost += topics.lost(2, LossReason::Skipped);
        lost += topics.lost(3, LossReason::RingFull);
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
        let mut topics = Topics::default();
        let mailbox = Arc::new(Mailbox::new(|exit| exit.what.process.tgid == 2));
        topics.subscribe(Topic::Everything, &mailbox);
        for _ in 0..=CAPACITY {
            assert_eq!(topics.publish(&exit(1, "/a")), 0);
        }
        topics.publish(&exit(2, "/a"));
        assert_eq!(pids(&mailbox), [2]);
    }

    #[test]
    fn a_closed_mailbox_keeps_its_entries_and_gets_no_more() {
        let mut topics = Topics::default();
        let mailbox = subscribed(&mut topics, &[Topic::Everything]);
        topics.publish(&exit(1, "/a"));
        mailbox.close();
        topics.publish(&exit(2, "/a"));
        assert_eq!(pids(&mailbox), [1]);
    }

    #[test]
    fn an_exit_in_two_topics_of_a_reader_is_delivered_once() {
        let mut topics = Topics::default();
        let [outer, inner] = ["/a", "/a/b"].map(|it| Topic::Cgroup(0, it.into()));
        let mailbox = subscribed(&mut topics, &[outer, inner, Topic::Pid(1)]);
        topics.publish(&exit(1, "/a/b"));
        topics.publish(&exit(2, "/a/b"));
        assert_eq!(pids(&mailbox), [1, 2]);
    }

    #[test]
    fn dropped_mailboxes_are_removed() {
        let mut topics = Topics::default();
        for pid in 0..1000 {
            topics.subscribe(Topic::Pid(pid), &Arc::new(Mailbox::new(|_| true)));
        }
        assert!(topics.pids.len() < 100, "{}", topics.pids.len());
        assert!(!topics.has_readers());
    }
}
