//! [`Resolver`], which finds the container of a cgroup once for each exit and caches the
//! answer.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{StateRoots, describe::describe, index::Index, locate::locate};
use crate::model::{Container, Runtime};

/// Most cached answers: bounds the memory that many short-lived cgroups take.
const MAX_ANSWERS: usize = 4096;
/// Longest path with a cached answer. No path of a runtime is longer.
const MAX_PATH_LEN: usize = 1024;
/// How long an answer is cached. Containers are renamed, and a later container may have the
/// same path.
const ANSWER_TTL: Duration = Duration::from_secs(1);
/// How long an answer without the engine or the name is cached. The monitor that tells them
/// becomes the parent of the init process only when the runtime has exited.
const INCOMPLETE_TTL: Duration = Duration::from_secs(1);

/// Finds the container of a cgroup, and the cgroups of a container.
#[derive(Debug)]
pub struct Resolver {
    pub(super) index: Index,
    answers: HashMap<Box<str>, Answer>,
}

#[derive(Clone, Debug)]
struct Answer {
    container: Option<Arc<Container>>,
    valid_until: Instant,
    /// The generation of the index for which the answer is valid; `None` if no new state on
    /// disk can change it.
    generation: Option<u64>,
}

impl Resolver {
    /// A resolver that reads the existing state and watches for new state, so that it also
    /// knows a container that has ended before the first question about it.
    #[must_use]
    pub fn new(roots: StateRoots) -> Self {
        let mut index = Index::new(roots);
        index.check(Instant::now());
        Self::with_index(index)
    }

    /// A resolver without inotify, which reads the state again for each question. For
    /// processes that end soon, because removing the kernel's watches takes milliseconds.
    #[must_use]
    pub fn unwatched(roots: StateRoots) -> Self {
        Self::with_index(Index::unwatched(roots))
    }

    /// The directories with the state of the runtimes, as far as they are known now: the state
    /// of a container may name further ones.
    #[must_use]
    pub const fn roots(&self) -> &StateRoots {
        &self.index.roots
    }

    /// The state directory of a container with this id, if the state in it cannot be read: it is
    /// not written yet, or it is damaged.
    #[must_use]
    pub fn unread_state(&self, id: &str) -> Option<PathBuf> {
        let record = self.index.pending.get(id)?;
        Some(record.location.join(id))
    }

    fn with_index(index: Index) -> Self {
        Self {
            index,
            answers: HashMap::new(),
        }
    }

    /// The container that a cgroup belongs to, now or a moment ago. `path` has the form of
    /// `/proc/PID/cgroup` in the initial cgroup namespace.
    ///
    /// A known path costs a hash lookup, so that the resolver can be called for each exit. A
    /// path without a container is resolved again after a change of the state directories,
    /// which the resolver reads at most some 40 times a second.
    pub fn container_of(&mut self, path: &str) -> Option<Arc<Container>> {
        self.container_at(path, Instant::now())
    }

    pub(super) fn container_at(&mut self, path: &str, now: Instant) -> Option<Arc<Container>> {
        if path == "/" {
            return None;
        }
        let old = self.answers.get(path);
        let valid = old.filter(|it| now < it.valid_until);
        if let Some(answer) = valid.filter(|it| it.generation.is_none()) {
            return answer.container.clone();
        }
        self.index.check(now);
        let generation = Some(self.index.generation);
        if let Some(answer) = valid.filter(|it| it.generation == generation) {
            return answer.container.clone();
        }
        let old = old.and_then(|old| old.container.clone());
        let answer = self.resolve(path, old, now);
        let container = answer.container.clone();
        self.cache(path, answer);
        container
    }

    fn resolve(&mut self, path: &str, old: Option<Arc<Container>>, now: Instant) -> Answer {
        let located = locate(&self.index, path);
        // A later container may claim the cgroup of one that has a state.
        let is_final = located
            .as_ref()
            .is_some_and(|it| it.is_final && it.record().is_none());
        let container = located.map(|located| describe(&mut self.index, &located));
        let container = container.map(|container| match old {
            // The state is gone, but the old answer still has the name.
            Some(old) if is_same_unnamed(&container, &old) => old,
            _ => Arc::new(container),
        });
        let is_incomplete = container.as_ref().is_some_and(|it| {
            it.name.is_none() && matches!(it.runtime, Runtime::Unknown | Runtime::Podman)
        });
        let ttl = if is_incomplete {
            INCOMPLETE_TTL
        } else {
            ANSWER_TTL
        };
        Answer {
            container,
            valid_until: now + ttl,
            generation: (!is_final).then_some(self.index.generation),
        }
    }

    fn cache(&mut self, path: &str, answer: Answer) {
        if path.len() > MAX_PATH_LEN {
            return;
        }
        if self.answers.len() >= MAX_ANSWERS && !self.answers.contains_key(path) {
            self.answers.clear();
        }
        self.answers.insert(path.into(), answer);
    }
}

fn is_same_unnamed(container: &Container, old: &Container) -> bool {
    let is_same = container.runtime == old.runtime || container.runtime == Runtime::Unknown;
    container.name.is_none() && is_same && container.id == old.id
}
