//! Finds a container and its cgroups by id or name.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Instant};

use super::{
    Init, Resolver,
    candidate::{Candidate, retain_best},
    describe::describe,
    layout::delegated_to,
    locate::{Located, locate},
    pod,
};
use crate::model::Container;

/// A container or pod, its cgroups and its init processes.
#[derive(Clone, Debug)]
pub struct Found {
    /// The container. If the name is that of a pod, one container describes the whole pod.
    pub container: Arc<Container>,
    /// Hierarchy id and path of each cgroup: v2 first, then v1 hierarchies by
    /// [`rank`](crate::cgroup::mounts::rank). The subtree of each belongs to the container.
    pub cgroups: Vec<(u32, String)>,
    /// The living init processes that are known, at most one for each container: the runtime
    /// recorded it, or it is pid 1 of the container's own namespace.
    pub inits: Vec<Init>,
}

/// A container that matches the wanted name.
#[derive(Clone, Debug)]
pub struct Match {
    /// The container.
    pub container: Arc<Container>,
    /// Uid of the user that owns it.
    pub owner: u32,
    /// One of its cgroups, if it has one.
    pub cgroup: Option<String>,
}

/// Why no container was found.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FindError {
    /// No container matches.
    #[error("no container '{wanted}'")]
    Unknown {
        /// The wanted id or name.
        wanted: String,
    },
    /// Several containers match.
    #[error("'{wanted}' matches several containers:{}", list(.matches))]
    Ambiguous {
        /// The wanted id or name.
        wanted: String,
        /// The matching containers.
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
    /// Finds a container by its id, a unique prefix of its id, or its name; in Kubernetes
    /// also by `POD/NAME` and `NAMESPACE/POD/NAME`, and a whole pod by `pod:NAMESPACE/NAME`.
    /// For a pod one container stands for all of them, with the pod's uid as its id.
    /// `cgroups` are the hierarchy id and path of all cgroups of the machine.
    ///
    /// The whole id of a container overrules names and prefixes, but only those of the same
    /// user, or of any user if the container is root's: no user can take over the name of
    /// another user's container. A name that still matches several containers is ambiguous.
    pub fn find(&mut self, wanted: &str, cgroups: &[(u32, String)]) -> Result<Found, FindError> {
        self.find_visible(wanted, cgroups, |_| true)
    }

    /// [`Resolver::find`] among the containers with cgroups that `is_visible` accepts. The
    /// other containers neither match nor make a name ambiguous.
    pub fn find_visible(
        &mut self,
        wanted: &str,
        cgroups: &[(u32, String)],
        is_visible: impl Fn(&[(u32, String)]) -> bool,
    ) -> Result<Found, FindError> {
        self.index.check_now(Instant::now());
        let mut candidates = self.candidates(cgroups);
        candidates.retain(|it| is_visible(&it.cgroups));
        if let Some(pod) = pod::parse(wanted) {
            return self.find_pod(wanted, pod, candidates, cgroups);
        }
        let mut fitting: Vec<_> = candidates
            .into_iter()
            .filter_map(|candidate| Some((candidate.fit(wanted)?, candidate)))
            .collect();
        retain_best(&mut fitting);
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
            // A cgroup may already have named this container: docker's containers are also
            // runc's, and crun records a sub-cgroup.
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

    /// The user that owns a located container: the writer of its state, or else the owner
    /// of the cgroup's parent. The cgroup's own directory may belong to a uid inside the
    /// container.
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
