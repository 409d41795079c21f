//! Id or name → container and its cgroups.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Instant};

use super::{
    Container, Init, Resolver, Runtime, StateRoots,
    describe::describe,
    inits,
    layout::delegated_to,
    locate::{Located, locate},
    pod,
    record::Record,
    runtime::bundle::Pod,
};
use crate::cgroup::is_within;

/// A container and where it is.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which.
    pub container: Arc<Container>,
    /// Its cgroups, hierarchy id and path: v2 first, then v1 in the order in
    /// which [`cgroupfs::rank`](crate::source::cgroupfs::rank) puts the hierarchies. Each one's subtree is the
    /// container's.
    pub cgroups: Vec<(u32, String)>,
    /// Its init process, if it lives and can be told: the runtime recorded it,
    /// or it is pid 1 of the container's own namespace.
    pub init: Option<Init>,
    /// The same as a list, which for a pod has one for each of its containers.
    pub inits: Vec<Init>,
}

/// A container that what was asked for may mean.
#[derive(Clone, Debug)]
pub struct Match {
    /// Which.
    pub container: Arc<Container>,
    /// User whose it is, 0 for root.
    pub owner: u32,
    /// One of its cgroups, if it has one.
    pub cgroup: Option<String>,
}

/// Why no container was found.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FindError {
    /// No runtime knows it.
    #[error("no container '{wanted}'")]
    Unknown {
        /// What was asked for.
        wanted: String,
    },
    /// It could be several.
    #[error("'{wanted}' may be any of:{}", list(.matches))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// What it may be.
        matches: Vec<Match>,
    },
}

fn list(matches: &[Match]) -> String {
    let lines: Vec<_> = matches.iter().map(|it| format!("\n  {it}")).collect();
    lines.concat()
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHORT: usize = 12;
        let Container {
            runtime, id, name, ..
        } = self.container.as_ref();
        let short = id.get(..SHORT).filter(|_| id.len() == 64).unwrap_or(id);
        write!(f, "{} {short}", runtime.as_str())?;
        if let Some(name) = name.as_ref().filter(|&name| name != id) {
            write!(f, " ({name})")?;
        }
        match self.owner {
            0 => write!(f, " of root")?,
            owner => write!(f, " of uid {owner}")?,
        }
        match &self.cgroup {
            Some(cgroup) => write!(f, " in {cgroup}"),
            None => write!(f, " without a cgroup"),
        }
    }
}

/// Everything known of one container while a search goes on.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) container: Container,
    pub(super) pod: Option<Pod>,
    pub(super) owner: u32,
    cgroups: Vec<(u32, String)>,
    init: Option<Init>,
}

/// How well a container fits what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Id,
    /// Its name, or the beginning of its id.
    Loose,
}

impl Resolver {
    /// Finds a container by its id, a beginning of it that no other has, or its
    /// name; in Kubernetes also by `POD/NAME` and `NAMESPACE/POD/NAME`, and a
    /// whole pod by `pod:NAMESPACE/NAME`: then the container found stands for all
    /// of the pod's, with the pod's uid as its id. `cgroups` are all there are,
    /// hierarchy id and path.
    ///
    /// A whole id decides, unless the container of that id is another user's
    /// than one that also fits: nobody can take over the name of somebody
    /// else's container. Otherwise what fits several is ambiguous.
    pub fn find(&mut self, wanted: &str, cgroups: &[(u32, String)]) -> Result<Found, FindError> {
        self.find_among(wanted, cgroups, |_| true)
    }

    /// The same among the containers of which `may_be` allows the cgroups: the
    /// others are as if they were not there.
    pub fn find_among(
        &mut self,
        wanted: &str,
        cgroups: &[(u32, String)],
        may_be: impl Fn(&[(u32, String)]) -> bool,
    ) -> Result<Found, FindError> {
        self.index.check_now(Instant::now());
        let mut candidates = self.candidates(cgroups);
        candidates.retain(|it| may_be(&it.cgroups));
        if let Some(named) = pod::asked(wanted) {
            return self.find_pod(wanted, named, candidates, cgroups);
        }
        let mut fitting: Vec<_> = candidates
            .into_iter()
            .filter_map(|candidate| Some((candidate.fit(wanted)?, candidate)))
            .collect();
        decide(&mut fitting);
        if fitting.len() > 1 {
            return Err(FindError::Ambiguous {
                wanted: wanted.to_owned(),
                matches: fitting.into_iter().map(|(_, it)| it.into_match()).collect(),
            });
        }
        let Some((_, found)) = fitting.pop() else {
            let wanted = wanted.to_owned();
            return Err(FindError::Unknown { wanted });
        };
        Ok(found.into_found(&self.index.roots))
    }

    fn candidates(&mut self, cgroups: &[(u32, String)]) -> Vec<Candidate> {
        let mut candidates = BTreeMap::new();
        for (hierarchy, path) in cgroups {
            let Some(located) = locate(&self.index, path).filter(|it| it.top == path) else {
                continue;
            };
            let (container, pod) = describe(&mut self.index, &located);
            let owner = self.owner(*hierarchy, &located);
            let init = located.record().and_then(|record| record.init);
            let new = Candidate {
                container,
                pod,
                owner,
                cgroups: Vec::new(),
                init: None,
            };
            let candidate = candidates.entry(new.key()).or_insert(new);
            candidate.init = candidate.init.or(init);
            candidate.cgroups.push((*hierarchy, path.clone()));
        }
        for record in self.index.present() {
            // The same one may be there by the name of its cgroup: as docker's,
            // or crun recorded a sub-cgroup.
            let known = candidates.values_mut().find(|it: &&mut Candidate| {
                it.container.id == record.container.id && it.owner == record.owner
            });
            if let Some(known) = known {
                known.init = known.init.or(record.init);
            } else {
                let candidate = Candidate::without_cgroup(record);
                candidates.insert(candidate.key(), candidate);
            }
        }
        candidates.into_values().collect()
    }

    /// Whose container a cgroup is: its state tells, else who could make the
    /// cgroup. Its own directory may belong to a uid inside the container.
    fn owner(&self, hierarchy: u32, located: &Located<'_>) -> u32 {
        if let Some(record) = located.record() {
            return record.owner;
        }
        let evidence = &self.index.roots.evidence;
        evidence
            .cgroup_owner(Some(hierarchy), located.top)
            .map(|owner| owner.parent)
            .or_else(|| delegated_to(located.top))
            .unwrap_or(0)
    }
}

/// Leaves what can be meant.
fn decide(fitting: &mut Vec<(Fit, Candidate)>) {
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
    fn without_cgroup(record: &Record) -> Self {
        Self {
            container: record.container.clone(),
            pod: record.pod.clone(),
            owner: record.owner,
            cgroups: Vec::new(),
            init: record.init,
        }
    }

    /// Two with the same id are two containers if they are two users'.
    fn key(&self) -> (Runtime, String, u32) {
        (
            self.container.runtime,
            self.container.id.clone(),
            self.owner,
        )
    }

    fn fit(&self, wanted: &str) -> Option<Fit> {
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
