//! The container of a cgroup, one question for each exit.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{StateRoots, describe::describe, index::Index, locate::locate};
use crate::model::Container;

/// Answers kept. A storm of cgroups that live for one exit each must not grow
/// memory.
const MOST_ANSWERS: usize = 4096;
/// No path of a runtime is longer; what is, is worked out each time.
const LONGEST_PATH: usize = 1024;
/// How long an answer holds: containers are renamed, and a path may be another
/// container's one day.
const ANSWER_FOR: Duration = Duration::from_secs(30);

/// Finds the container of a cgroup, and the cgroups of a container.
#[derive(Debug)]
pub struct Resolver {
    pub(super) index: Index,
    answers: HashMap<Box<str>, Answer>,
}

#[derive(Clone, Debug)]
struct Answer {
    container: Option<Arc<Container>>,
    until: Instant,
    /// Set if what is new on disk may change it: then good for that state of
    /// the index only.
    generation: Option<u64>,
}

impl Resolver {
    /// Reads what there is, and from then on is told of what comes: a container
    /// may be over before anybody asks.
    #[must_use]
    pub fn new(roots: StateRoots) -> Self {
        Self::by(Index::new(roots))
    }

    /// Reads what there is, and looks again when it is asked: for a process that
    /// ends soon, because to end the kernel's watches takes milliseconds.
    #[must_use]
    pub fn unwatched(roots: StateRoots) -> Self {
        Self::by(Index::unwatched(roots))
    }

    fn by(mut index: Index) -> Self {
        index.check(Instant::now());
        Self {
            index,
            answers: HashMap::new(),
        }
    }

    /// The container that a cgroup belongs to, now or a moment ago; `path` is as
    /// `/proc/PID/cgroup` prints it in the initial cgroup namespace.
    ///
    /// Made for one call per exit: a known path costs a hash look-up. A path
    /// that is no container's is looked at again once the state directories have
    /// changed, of which the resolver convinces itself some 40 times a second at
    /// most, however many ask.
    pub fn container_of(&mut self, path: &str) -> Option<Arc<Container>> {
        self.container_at(path, Instant::now())
    }

    pub(super) fn container_at(&mut self, path: &str, now: Instant) -> Option<Arc<Container>> {
        if path == "/" {
            return None;
        }
        let old = self.answers.get(path);
        if let Some(old) = old
            && now < old.until
            && old.generation.is_none()
        {
            return old.container.clone();
        }
        self.index.check(now);
        let generation = Some(self.index.generation());
        if let Some(old) = old
            && now < old.until
            && old.generation == generation
        {
            return old.container.clone();
        }
        let old = old.and_then(|old| old.container.clone());
        let answer = self.answer(path, old, now);
        let container = answer.container.clone();
        self.keep(path, answer);
        container
    }

    fn answer(&mut self, path: &str, old: Option<Arc<Container>>, now: Instant) -> Answer {
        let located = locate(&self.index, path);
        let is_final = located.as_ref().is_some_and(|it| it.is_final);
        let container = located.map(|located| describe(&mut self.index, &located).0);
        let container = container.map(|container| match old {
            // Its state is gone, but not what it was called.
            Some(old) if is_same_unnamed(&container, &old) => old,
            _ => Arc::new(container),
        });
        Answer {
            container,
            until: now + ANSWER_FOR,
            generation: (!is_final).then_some(self.index.generation()),
        }
    }

    fn keep(&mut self, path: &str, answer: Answer) {
        if path.len() > LONGEST_PATH {
            return;
        }
        if self.answers.len() >= MOST_ANSWERS && !self.answers.contains_key(path) {
            self.answers.clear();
        }
        self.answers.insert(path.into(), answer);
    }
}

fn is_same_unnamed(container: &Container, old: &Container) -> bool {
    container.name.is_none() && (container.runtime, &container.id) == (old.runtime, &old.id)
}
