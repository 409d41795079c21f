//! A container that a search has found, and how well it matches the wanted name.

use std::sync::Arc;

use super::{
    Init, StateRoots,
    find::{Found, Match},
    inits,
    record::Record,
    runtime::bundle::Pod,
};
use crate::model::{Container, Runtime, is_within};

/// The facts about one container during a search.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) container: Container,
    pub(super) pod: Option<Pod>,
    pub(super) owner: u32,
    pub(super) cgroups: Vec<(u32, String)>,
    pub(super) init: Option<Init>,
}

/// How well a container matches the wanted name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The wanted name is the whole id.
    Id,
    /// The wanted name is the name, or the beginning of the id.
    Loose,
}

/// Removes the loose matches that a match of the whole id overrules.
pub(super) fn retain_best(fitting: &mut Vec<(Fit, Candidate)>) {
    let exact: Vec<u32> = fitting
        .iter()
        .filter(|(fit, _)| *fit == Fit::Id)
        .map(|(_, candidate)| candidate.owner)
        .collect();
    if exact.is_empty() {
        return;
    }
    // An id of root's container overrules the names of all users, and an id of a user's
    // container only the names of the same user.
    let is_roots = exact.contains(&0);
    fitting.retain(|(fit, candidate)| {
        *fit == Fit::Id || (!is_roots && !exact.contains(&candidate.owner))
    });
}

impl Candidate {
    pub(super) fn without_cgroup(record: &Record) -> Self {
        Self {
            container: record.container.clone(),
            pod: record.pod.clone(),
            owner: record.owner,
            cgroups: Vec::new(),
            init: record.init,
        }
    }

    /// Identifies the container: two users may have containers with the same id.
    pub(super) fn key(&self) -> (Runtime, String, u32) {
        (
            self.container.runtime,
            self.container.id.clone(),
            self.owner,
        )
    }

    pub(super) fn fit(&self, wanted: &str) -> Option<Fit> {
        let Container { id, name, .. } = &self.container;
        if id == wanted {
            return Some(Fit::Id);
        }
        let is_name = name.as_deref() == Some(wanted) || self.is_in_pod(wanted);
        let is_beginning = !wanted.is_empty() && id.starts_with(wanted);
        (is_name || is_beginning).then_some(Fit::Loose)
    }

    fn is_in_pod(&self, wanted: &str) -> bool {
        let (Some(pod), Some(name)) = (&self.pod, &self.container.name) else {
            return false;
        };
        let Some((above, last)) = wanted.rsplit_once('/') else {
            return false;
        };
        let is_pod = match above.split_once('/') {
            Some((namespace, above)) => namespace == pod.namespace && above == pod.name,
            None => above == pod.name,
        };
        is_pod && last == name
    }

    pub(super) fn into_match(self) -> Match {
        Match {
            container: Arc::new(self.container),
            owner: self.owner,
            cgroup: self.cgroups.into_iter().next().map(|(_, path)| path),
        }
    }

    pub(super) fn into_found(self, roots: &StateRoots) -> Found {
        let evidence = &roots.evidence;
        let mut cgroups = without_nested(self.container.runtime, &self.cgroups);
        evidence.sort(&mut cgroups);
        let recorded = self.init.filter(|init| evidence.is_alive(*init));
        let init = recorded.or_else(|| inits::find(roots, &self.container.id, &cgroups));
        Found {
            container: Arc::new(self.container),
            cgroups,
            inits: init.into_iter().collect(),
        }
    }
}

/// The cgroups without those that are nested in another one, because the outermost holds
/// the whole container. For nspawn and LXC the innermost ones are kept: there the outer
/// cgroup also holds the runtime's own processes.
pub(super) fn without_nested(runtime: Runtime, cgroups: &[(u32, String)]) -> Vec<(u32, String)> {
    let keeps_innermost = matches!(runtime, Runtime::Nspawn | Runtime::Lxc);
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
            };
            let candidate = Candidate {
                container,
                pod: None,
                owner,
                cgroups: Vec::new(),
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
    fn a_whole_id_overrules_loose_matches_of_the_same_user_and_roots_those_of_any_user() {
        let (id, loose) = (|owner| (Fit::Id, owner), |owner| (Fit::Loose, owner));
        for (candidates, expected) in [
            ([loose(0), id(0)], vec![id(0)]),
            ([id(1000), loose(1000)], vec![id(1000)]),
            ([id(0), loose(1000)], vec![id(0)]),
            // A user's container cannot hide that of another owner with the same name.
            ([loose(0), id(1000)], vec![loose(0), id(1000)]),
            ([loose(1001), id(1000)], vec![loose(1001), id(1000)]),
            // The same id of two users, and names without an id, are ambiguous.
            ([id(0), id(1000)], vec![id(0), id(1000)]),
            ([loose(0), loose(0)], vec![loose(0), loose(0)]),
            ([loose(0), loose(1000)], vec![loose(0), loose(1000)]),
        ] {
            assert_eq!(retained(&candidates), expected, "{candidates:?}");
        }
    }
}
