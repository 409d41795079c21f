//! Distribution of records: an index from topics to the mailboxes of readers.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use probe_user::{
    model::{Exit, LossReason, Placed, Renamed},
    unstable::cgroup::path::ancestors,
};

use super::mailbox::{Delivery, Mailbox};

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

    /// Keeps the readers of a v1 cgroup that was renamed: records name the new path from then
    /// on.
    pub(crate) fn rename(&mut self, renamed: &Renamed) {
        let Some(subtrees) = self.cgroups.get_mut(&renamed.hierarchy) else {
            return;
        };
        let moved = subtrees.extract_if(|path, _| renamed.path_of(path).is_some());
        let moved: Vec<_> = moved.collect();
        for (path, readers) in moved {
            if let Some(path) = renamed.path_of(&path) {
                subtrees.entry(path.into()).or_default().extend(readers);
            }
        }
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

    #[test]
    fn a_reader_of_a_renamed_v1_cgroup_gets_the_exits_with_the_new_path() {
        let mut topics = Topics::default();
        let [of_a, of_b, of_v2] = [(8, "/a"), (8, "/b"), (0, "/a")].map(|(hierarchy, path)| {
            subscribed(&mut topics, &[Topic::Cgroup(hierarchy, path.into())])
        });
        topics.rename(&Renamed {
            hierarchy: 8,
            before: "/a".into(),
            now: "/c".into(),
        });
        for (tgid, path) in (1..).zip(["/a", "/b", "/c/d"]) {
            let mut placed = Placed::clone(&exit(tgid, "/engine.service"));
            let id = CgroupId {
                hierarchy: 8,
                id: 2,
            };
            let path = Some(path.into());
            placed.v1_cgroup = Some(Box::new(Cgroup { id, path }));
            topics.publish(&Arc::new(placed));
        }
        assert_eq!(
            [of_a, of_b, of_v2].map(|it| pids(&it)),
            [vec![3], vec![2], vec![]]
        );
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
    fn a_loss_is_reported_to_the_readers_of_every_topic() {
        let mut topics = Topics::default();
        let cgroup = Topic::Cgroup(0, "/a".into());
        let readers = [Topic::Everything, cgroup, Topic::Pid(1)];
        let readers = readers.map(|it| subscribed(&mut topics, &[it]));
        assert_eq!(topics.lost(7, LossReason::RingFull), 0);
        for reader in readers {
            let entry = reader.next();
            assert!(matches!(
                entry,
                Some(Delivery::Lost(7, LossReason::RingFull))
            ));
        }
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
