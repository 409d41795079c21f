//! A container that a search has found, and how well it matches the wanted name.

use std::{path::PathBuf, sync::Arc};

use super::{
    Init, StateRoots,
    found::{Found, Match},
    inits,
    layout::is_full_id,
    record::Record,
};
use crate::model::{Container, Runtime, is_within};

/// The facts about one container during a search.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) container: Container,
    pub(super) owner: u32,
    pub(super) origin: Origin,
    pub(super) cgroups: Vec<(u32, String)>,
    /// Whether the container has a cgroup of its own as long as it lives. Its state says so by
    /// naming the cgroup, and its engine by calling it stopped.
    pub(super) has_own_cgroup: bool,
    pub(super) init: Option<Init>,
}

/// Where a container is known from. An id is unique only there: two namespaces of containerd,
/// two roots of runc and two paths of LXC may each have a container `web`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The directory with the runtime's state.
    State(PathBuf),
    /// The name of its cgroup, from which the id was taken, because there is no state. LXC
    /// calls a second container's cgroup `web-1` while the name is taken.
    Cgroup(String),
}

/// How well a container matches the wanted name; a smaller value is a better match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// The whole id, which an engine chose at random.
    RandomId,
    /// The whole id, which the container's user chose.
    ChosenId,
    /// The name.
    Name,
    /// A prefix of a random id.
    Prefix,
}

impl Fit {
    /// An id that a user chose is as ambiguous as a name.
    fn rank(self) -> u8 {
        match self {
            Self::RandomId => 0,
            Self::ChosenId | Self::Name => 1,
            Self::Prefix => 2,
        }
    }
}

/// Removes the matches that a better one overrules: of the same owner, and of a user if the
/// better match is root's container. No user's container overrules another owner's.
pub(super) fn retain_best(fitting: &mut Vec<(Fit, Candidate)>) {
    let all: Vec<(Fit, u32)> = fitting.iter().map(|(fit, it)| (*fit, it.owner)).collect();
    fitting.retain(|(fit, candidate)| {
        !all.iter().any(|(better, owner)| {
            if *owner == candidate.owner {
                better.rank() < fit.rank()
            } else {
                *owner == 0 && better < fit
            }
        })
    });
}

/// Adds each cgroup that no state claims to the one container with a state that owns it.
pub(super) fn merge_unclaimed(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let (mut merged, unclaimed): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(Candidate::has_state);
    for cgroup in unclaimed {
        let mut owners = merged.iter_mut().filter(|it| it.owns(&cgroup));
        match (owners.next(), owners.next()) {
            (Some(owner), None) => {
                // The cgroup's path names the engine, and the state only its runtime.
                let is_low = matches!(owner.container.runtime, Runtime::Runc | Runtime::Crun);
                if is_low && cgroup.container.runtime != Runtime::Unknown {
                    owner.container = cgroup.container;
                }
                owner.cgroups.extend(cgroup.cgroups);
            }
            _ => merged.push(cgroup),
        }
    }
    merged
}

impl Candidate {
    pub(super) fn without_cgroup(record: &Record) -> Self {
        Self {
            container: record.container.clone(),
            owner: record.owner,
            origin: Origin::State(record.location.clone()),
            cgroups: Vec::new(),
            has_own_cgroup: !record.cgroups.is_empty() || record.unit.is_some(),
            init: record.init,
        }
    }

    /// Identifies the container.
    pub(super) fn key(&self) -> (Runtime, String, u32, Origin) {
        let Container { runtime, id, .. } = &self.container;
        (*runtime, id.clone(), self.owner, self.origin.clone())
    }

    /// Whether the container is known from state on disk.
    pub(super) const fn has_state(&self) -> bool {
        matches!(self.origin, Origin::State(_))
    }

    /// Whether the state describes this container.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        let is_same = self.container.id == record.container.id && self.owner == record.owner;
        is_same && self.origin == Origin::State(record.location.clone())
    }

    /// Whether `cgroup`, which no state claims, belongs to this container, which has a state:
    /// engines choose ids of this length at random.
    fn owns(&self, cgroup: &Self) -> bool {
        let id = &self.container.id;
        let is_same = *id == cgroup.container.id && self.owner == cgroup.owner;
        is_same && is_full_id(id) && self.has_state()
    }

    pub(super) fn fit(&self, wanted: &str) -> Option<Fit> {
        let Self { container, .. } = self;
        if container.id == wanted {
            let is_random = is_full_id(wanted);
            return Some(if is_random {
                Fit::RandomId
            } else {
                Fit::ChosenId
            });
        }
        if container.is_named(wanted) {
            return Some(Fit::Name);
        }
        container.has_id_prefix(wanted).then_some(Fit::Prefix)
    }

    /// Whether the state of the container is in a root that the user named.
    pub(super) fn is_chosen(&self, roots: &StateRoots) -> bool {
        let Origin::State(location) = &self.origin else {
            return false;
        };
        roots.chosen.iter().any(|root| location.starts_with(root))
    }

    /// Whether a process of the container lives, as far as is known: a cgroup that cannot be
    /// read may have processes.
    pub(super) fn may_live(&self, roots: &StateRoots) -> bool {
        let evidence = &roots.evidence;
        let is_empty = |(hierarchy, path): &(u32, String)| evidence.is_empty(*hierarchy, path);
        self.init.is_some_and(|init| evidence.is_alive(init)) || !self.cgroups.iter().all(is_empty)
    }

    pub(super) fn into_match(self) -> Match {
        Match {
            container: Arc::new(self.container),
            owner: self.owner,
            location: match self.origin {
                Origin::State(location) => Some(location),
                Origin::Cgroup(_) => None,
            },
            cgroup: self.cgroups.into_iter().next().map(|(_, path)| path),
        }
    }

    pub(super) fn into_found(self, roots: &StateRoots) -> Found {
        let evidence = &roots.evidence;
        let mut cgroups = without_nested(self.container.runtime, &self.cgroups);
        evidence.sort(&mut cgroups);
        let recorded = self.init.filter(|init| evidence.is_alive(*init));
        let init = recorded.or_else(|| inits::find(roots, &self.container.id, &cgroups));
        // All processes of a pid namespace end before its first process.
        let may_have_others = match init {
            _ if !cgroups.is_empty() => false,
            Some(init) => evidence.namespace_depth_of_init(init.pid).is_none(),
            None => !self.has_own_cgroup,
        };
        let container = Arc::new(self.container);
        Found {
            members: vec![Arc::clone(&container)],
            container,
            cgroups,
            inits: init.into_iter().collect(),
            owner: self.owner,
            may_have_others,
        }
    }
}

/// The cgroups without those that are nested in another one, because the outermost holds
/// the whole container. For nspawn and LXC the innermost ones are kept: there the outer
/// cgroup also holds the runtime's own processes.
pub(super) fn without_nested(runtime: Runtime, cgroups: &[(u32, String)]) -> Vec<(u32, String)> {
    let keeps_innermost = runtime == Runtime::Nspawn || runtime.is_of_lxc();
    let is_kept = |(hierarchy, path): &&(u32, String)| {
        let mut others = cgroups
            .iter()
            .filter(|it| it.0 == *hierarchy && it.1 != *path);
        !others.any(|(_, other)| {
            let (inner, outer) = if keeps_innermost {
                (other, path)
            } else {
                (path, other)
            };
            is_within(inner, outer)
        })
    };
    cgroups.iter().filter(is_kept).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The candidates that `retain_best` leaves, each as fit and owner.
    fn retained(fitting: &[(Fit, u32)]) -> Vec<(Fit, u32)> {
        let candidate = |&(fit, owner): &(Fit, u32)| {
            let container = Container {
                runtime: Runtime::Runc,
                id: "web".to_owned(),
                name: None,
                pod_uid: None,
                pod: None,
                location: None,
            };
            let candidate = Candidate {
                container,
                owner,
                origin: Origin::Cgroup("web".to_owned()),
                cgroups: Vec::new(),
                has_own_cgroup: true,
                init: None,
            };
            (fit, candidate)
        };
        let mut candidates: Vec<_> = fitting.iter().map(candidate).collect();
        retain_best(&mut candidates);
        candidates
            .iter()
            .map(|(fit, it)| (*fit, it.owner))
            .collect()
    }

    #[test]
    fn a_better_match_overrules_worse_ones_of_the_same_owner_and_roots_those_of_any_user() {
        use Fit::{ChosenId, Name, Prefix, RandomId};
        for (candidates, expected) in [
            ([(ChosenId, 0), (RandomId, 0)], vec![(RandomId, 0)]),
            ([(Name, 1000), (RandomId, 1000)], vec![(RandomId, 1000)]),
            ([(Prefix, 0), (ChosenId, 0)], vec![(ChosenId, 0)]),
            ([(Prefix, 1000), (Name, 1000)], vec![(Name, 1000)]),
            ([(ChosenId, 0), (Name, 1000)], vec![(ChosenId, 0)]),
            // An id that a user chose is as ambiguous as a name.
            ([(ChosenId, 0), (Name, 0)], vec![(ChosenId, 0), (Name, 0)]),
            // A user's container cannot hide that of another owner.
            (
                [(Prefix, 0), (RandomId, 1000)],
                vec![(Prefix, 0), (RandomId, 1000)],
            ),
            (
                [(Name, 1001), (RandomId, 1000)],
                vec![(Name, 1001), (RandomId, 1000)],
            ),
            // Equal matches are ambiguous.
            (
                [(RandomId, 0), (RandomId, 1000)],
                vec![(RandomId, 0), (RandomId, 1000)],
            ),
            ([(Name, 0), (Name, 0)], vec![(Name, 0), (Name, 0)]),
            (
                [(Prefix, 0), (Prefix, 1000)],
                vec![(Prefix, 0), (Prefix, 1000)],
            ),
        ] {
            assert_eq!(retained(&candidates), expected, "{candidates:?}");
        }
    }
}
