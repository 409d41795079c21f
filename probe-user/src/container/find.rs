//! Id or name → container and its cgroups.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Instant};

use super::{
    Init, Resolver,
    candidate::{Candidate, decide},
    describe::describe,
    layout::delegated_to,
    locate::{Located, locate},
    pod,
};
use crate::model::Container;

/// A container and where it is.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which.
    pub container: Arc<Container>,
    /// Its cgroups, hierarchy id and path: v2 first, then v1 in the order in
    /// which [`cgroupfs::rank`](crate::cgroup::mounts::rank) puts the hierarchies. Each one's subtree is the
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
        self.find_visible(wanted, cgroups, |_| true)
    }

    /// The same among the containers of which `may_be` allows the cgroups: the
    /// others are as if they were not there.
    pub(crate) fn find_visible(
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
