//! Who is told of which exit: the index from places to readers.
//!
//! A reader has a mailbox of bounded size. One that does not empty it loses
//! records and is told how many; it slows nobody.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use probe_user::{
    model::{Exit, LossReason, Placed},
    unstable::cgroup::path::ancestors,
};
use tokio::sync::Notify;

/// Records that wait for one reader at most.
const CAPACITY: usize = 16 * 1024;

/// What comes into a mailbox.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Exit(Arc<Placed<Exit>>),
    /// The kernel half dropped so many, or `None`: the reader was too slow.
    Lost(u64, Option<LossReason>),
}

impl News {
    /// Records that a reader misses without it.
    const fn count(&self) -> u64 {
        match self {
            Self::Exit(_) => 1,
            Self::Lost(count, _) => *count,
        }
    }
}

/// One reader's.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Letters {
    queue: VecDeque<News>,
    /// The queue is empty while this is not 0.
    lost: u64,
    /// What came last: several topics may be about the same.
    last: u64,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `number` tells it from all other news.
    fn put(&self, number: u64, news: News) {
        let mut letters = self.lock();
        if std::mem::replace(&mut letters.last, number) == number {
            return;
        }
        if letters.queue.len() == CAPACITY {
            // Who is so far behind costs no more than a number from now on, and
            // the gap has one place.
            let unread = std::mem::take(&mut letters.queue);
            letters.lost = unread.iter().map(News::count).sum();
        }
        if letters.lost > 0 {
            letters.lost += news.count();
        } else {
            letters.queue.push_back(news);
        }
        drop(letters);
        self.notify.notify_one();
    }

    /// The oldest that came; the rest stays here, where it is bounded.
    pub(crate) fn next(&self) -> Option<News> {
        let mut letters = self.lock();
        match std::mem::take(&mut letters.lost) {
            0 => letters.queue.pop_front(),
            lost => Some(News::Lost(lost, None)),
        }
    }

    /// Resolves when something came since it was last asked.
    pub(crate) async fn filled(&self) {
        self.notify.notified().await;
    }
}

type Readers = Vec<Weak<Mailbox>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    all: Readers,
    /// By hierarchy and path: the subtree counts.
    cgroups: HashMap<u32, HashMap<Box<str>, Readers>>,
    pids: HashMap<u32, Readers>,
    /// News so far.
    told: u64,
    /// Subscriptions since those that were given up were last looked for.
    since_swept: usize,
}

/// What a reader wants to be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Everything,
    /// With all below it.
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

    /// Whether anybody reads.
    pub(crate) fn is_read(&self) -> bool {
        let is_alive = |readers: &Readers| readers.iter().any(|it| it.strong_count() > 0);
        is_alive(&self.all)
            || self.pids.values().any(is_alive)
            || self
                .cgroups
                .values()
                .flat_map(HashMap::values)
                .any(is_alive)
    }

    pub(crate) fn publish(&mut self, exit: &Arc<Placed<Exit>>) {
        self.told += 1;
        let number = self.told;
        let tell = |readers: &Readers| {
            for mailbox in readers.iter().filter_map(Weak::upgrade) {
                mailbox.put(number, News::Exit(Arc::clone(exit)));
            }
        };
        tell(&self.all);
        if let Some(readers) = self.pids.get(&exit.what.process.tgid) {
            tell(readers);
        }
        let Some((id, path)) = exit
            .cgroup
            .as_ref()
            .and_then(|it| it.path.as_deref().map(|path| (it.id, path)))
        else {
            return;
        };
        if let Some(subtrees) = self.cgroups.get(&id.hierarchy) {
            for ancestor in ancestors(path).chain(["/"]) {
                if let Some(readers) = subtrees.get(ancestor) {
                    tell(readers);
                }
            }
        }
    }

    /// Concerns everybody: nobody knows whose exits they were.
    pub(crate) fn lost(&mut self, count: u64, reason: LossReason) {
        self.told += 1;
        let everybody = self
            .all
            .iter()
            .chain(self.pids.values().flatten())
            .chain(self.cgroups.values().flat_map(HashMap::values).flatten());
        for mailbox in everybody.filter_map(Weak::upgrade) {
            mailbox.put(self.told, News::Lost(count, Some(reason)));
        }
    }

    /// Every now and then, so that it costs each subscription the same.
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
    use probe_user::model::{Cgroup, CgroupId, Comm, Process};

    use super::*;

    fn exit(tgid: u32, path: &str) -> Arc<Placed<Exit>> {
        let id = CgroupId {
            hierarchy: 0,
            id: 1,
        };
        Arc::new(Placed {
            boottime_ns: 1,
            what: Exit {
                process: Process {
                    tid: tgid,
                    tgid,
                    ppid: None,
                    uid: None,
                    comm: Comm::new([0; 16]),
                    start_boottime_ns: None,
                    cgroup: Some(id),
                    wanted_cgroup_id: None,
                    ns_pid: None,
                    pid_ns: None,
                    owners: None,
                },
                group_dead: true,
                leader: true,
                status: None,
                killed_by: None,
                oom: false,
                usage: None,
            },
            cgroup: Some(Cgroup {
                id,
                path: Some(path.into()),
            }),
            container: None,
        })
    }

    fn pids(mailbox: &Mailbox) -> Vec<u32> {
        let news = std::iter::from_fn(|| mailbox.next());
        news.filter_map(|it| match it {
            News::Exit(exit) => Some(exit.what.process.tgid),
            News::Lost(..) => None,
        })
        .collect()
    }

    #[test]
    fn a_subtree_hears_of_all_below_it_and_of_no_sibling() {
        let mut topics = Topics::default();
        let mailbox = Arc::new(Mailbox::default());
        topics.subscribe(Topic::Cgroup(0, "/a".into()), &mailbox);
        topics.publish(&exit(1, "/a"));
        topics.publish(&exit(2, "/a/b/c"));
        topics.publish(&exit(3, "/ab"));
        topics.publish(&exit(4, "/"));
        assert_eq!(pids(&mailbox), [1, 2]);
    }

    #[test]
    fn the_root_hears_of_everything() {
        let mut topics = Topics::default();
        let mailbox = Arc::new(Mailbox::default());
        topics.subscribe(Topic::Cgroup(0, "/".into()), &mailbox);
        topics.publish(&exit(1, "/"));
        topics.publish(&exit(2, "/a/b"));
        assert_eq!(pids(&mailbox), [1, 2]);
    }

    #[test]
    fn who_never_reads_loses_records_and_is_told_how_many() {
        let mut topics = Topics::default();
        let mailbox = Arc::new(Mailbox::default());
        topics.subscribe(Topic::Everything, &mailbox);
        for _ in 0..CAPACITY + 5 {
            topics.publish(&exit(1, "/a"));
        }
        assert_eq!(mailbox.lock().queue.capacity(), 0);
        let lost = CAPACITY as u64 + 5;
        assert!(matches!(mailbox.next(), Some(News::Lost(it, None)) if it == lost));
        assert!(mailbox.next().is_none());
        topics.publish(&exit(2, "/a"));
        assert_eq!(pids(&mailbox), [2]);
    }

    #[test]
    fn an_exit_that_two_topics_are_about_is_told_once() {
        let mut topics = Topics::default();
        let mailbox = Arc::new(Mailbox::default());
        topics.subscribe(Topic::Cgroup(0, "/a".into()), &mailbox);
        topics.subscribe(Topic::Cgroup(0, "/a/b".into()), &mailbox);
        topics.subscribe(Topic::Pid(1), &mailbox);
        topics.publish(&exit(1, "/a/b"));
        topics.publish(&exit(2, "/a/b"));
        assert_eq!(pids(&mailbox), [1, 2]);
    }

    #[test]
    fn who_went_away_is_forgotten() {
        let mut topics = Topics::default();
        for pid in 0..1000 {
            topics.subscribe(Topic::Pid(pid), &Arc::new(Mailbox::default()));
        }
        assert!(topics.pids.len() < 100, "{}", topics.pids.len());
        assert!(!topics.is_read());
    }
}
