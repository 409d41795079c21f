//! One container that a search came by, and how well it fits what was asked for.

use std::sync::Arc;

use super::{
    Init, StateRoots,
    find::{Found, Match},
    inits,
    record::Record,
    runtime::bundle::Pod,
};
use crate::model::{Container, Runtime, is_within};

/// Everything known of one container while a search goes on.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) container: Container,
    pub(super) pod: Option<Pod>,
    pub(super) owner: u32,
    pub(super) cgroups: Vec<(u32, String)>,
    pub(super) init: Option<Init>,
}

/// How well a container fits what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Id,
    /// Its name, or the beginning of its id.
    Loose,
}

/// Leaves what can be meant.
pub(super) fn decide(fitting: &mut Vec<(Fit, Candidate)>) {
    let exact: Vec<u32> = fitting
        .iter()
        .filter(|(fit, _)| *fit == Fit::Id)
        .map(|(_, candidate)| candidate.owner)
        .collect();
    if exact.is_empty() {
        return;
    }
    // Root may overrule a user, no user anybody else.
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

    /// Two with the same id are two containers if they are two users'.
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
        let mut cgroups = own(self.container.runtime, &self.cgroups);
        evidence.sort(&mut cgroups);
        let recorded = self.init.filter(|init| evidence.is_alive(*init));
        let init = recorded.or_else(|| inits::among(roots, &self.container.id, &cgroups));
        Found {
            container: Arc::new(self.container),
            cgroups,
            init,
            inits: init.into_iter().collect(),
        }
    }
}

/// Of cgroups that lie in one another the outermost, which is the whole
/// container. nspawn and LXC keep themselves and the container in one cgroup, in
/// which the container has one of its own.
fn own(runtime: Runtime, cgroups: &[(u32, String)]) -> Vec<(u32, String)> {
    let has_inner = matches!(runtime, Runtime::Nspawn | Runtime::Lxc);
    let is_outer = |of: &(u32, String), it: &(u32, String)| {
        of.0 == it.0 && of.1 != it.1 && is_within(&of.1, &it.1)
    };
    let is_kept = |it: &(u32, String)| {
        !cgroups.iter().any(|other| {
            if has_inner {
                is_outer(other, it)
            } else {
                is_outer(it, other)
            }
        })
    };
    cgroups.iter().filter(|it| is_kept(it)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Owners of what is left of candidates, each given as fit and owner.
    fn left(fitting: &[(Fit, u32)]) -> Vec<(Fit, u32)> {
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
        decide(&mut candidates);
        candidates
            .iter()
            .map(|(fit, it)| (*fit, it.owner))
            .collect()
    }

    #[test]
    fn a_whole_id_beats_names_and_beginnings_of_the_same_owner() {
        assert_eq!(left(&[(Fit::Loose, 0), (Fit::Id, 0)]), [(Fit::Id, 0)]);
        assert_eq!(
            left(&[(Fit::Id, 1000), (Fit::Loose, 1000)]),
            [(Fit::Id, 1000)]
        );
    }

    #[test]
    fn a_user_cannot_take_over_the_name_of_roots_container() {
        let all = [(Fit::Loose, 0), (Fit::Id, 1000)];
        assert_eq!(left(&all), all);
        let all = [(Fit::Loose, 1001), (Fit::Id, 1000)];
        assert_eq!(left(&all), all);
    }

    #[test]
    fn a_user_cannot_make_the_whole_id_of_roots_container_ambiguous_by_a_name() {
        assert_eq!(left(&[(Fit::Id, 0), (Fit::Loose, 1000)]), [(Fit::Id, 0)]);
    }

    #[test]
    fn two_users_with_one_id_are_ambiguous() {
        let all = [(Fit::Id, 0), (Fit::Id, 1000)];
        assert_eq!(left(&all), all);
    }

    #[test]
    fn without_a_whole_id_everything_that_fits_is_left() {
        let all = [(Fit::Loose, 0), (Fit::Loose, 0), (Fit::Loose, 1000)];
        assert_eq!(left(&all), all);
    }
}
