//! Finds a container and its cgroups by id or name.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    time::Instant,
};

use super::{
    FindError, Found, Resolver,
    candidate::{Candidate, Fit, Origin, merge_unclaimed, retain_best},
    describe::describe,
    index::Index,
    layout::{delegated_to, is_full_id},
    locate::{Located, Source, locate},
    pod, running,
    runtime::{docker, lxc, podman},
};
use crate::model::{Container, Runtime};

impl Resolver {
    /// Finds a container by its id, a unique prefix of its id, or its name. Before the id or
    /// name may stand the containerd namespace, the last directory of the runtime's root, or
    /// the runtime: `default/web`, `lxc/web`. In Kubernetes a container is also found by
    /// `POD/NAME` and `NAMESPACE/POD/NAME`, and a whole pod by `pod:NAMESPACE/NAME`.
    /// For a pod one container stands for all of them, with the pod's uid as its id.
    /// `cgroups` are the hierarchy id and path of all cgroups of the machine.
    ///
    /// A whole random id overrules names, and both overrule prefixes, but only those of the
    /// same user, or of any user if the container is root's: no user can take over the name
    /// of another user's container. A name that still matches several containers means the
    /// one in a root that the user named, if there is one, and otherwise is ambiguous.
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
        if let Some(pod) = pod::parse(wanted) {
            candidates.retain(|it| is_visible(&it.cgroups));
            return self.find_pod(wanted, pod, candidates, cgroups);
        }
        let mut fitting = self.fitting(wanted, candidates, is_visible);
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

    /// The visible containers that `wanted` may mean: several if it is ambiguous.
    pub(super) fn fitting(
        &self,
        wanted: &str,
        candidates: Vec<Candidate>,
        is_visible: impl Fn(&[(u32, String)]) -> bool,
    ) -> Vec<(Fit, Candidate)> {
        let mut fitting: Vec<_> = candidates
            .into_iter()
            .filter_map(|candidate| Some((candidate.fit(wanted)?, candidate)))
            .filter(|(_, it)| is_visible(&it.cgroups))
            .collect();
        retain_best(&mut fitting);
        self.retain_chosen(&mut fitting);
        self.remove_leftovers(&mut fitting);
        fitting
    }

    /// Keeps the containers in roots that the user named, if there are any.
    fn retain_chosen(&self, fitting: &mut Vec<(Fit, Candidate)>) {
        let is_chosen = |(_, it): &(Fit, Candidate)| it.is_chosen(&self.index.roots);
        if fitting.iter().any(is_chosen) {
            fitting.retain(is_chosen);
        }
    }

    /// Removes cgroups that an earlier run of the same container left behind: LXC takes
    /// another name for the cgroup then.
    fn remove_leftovers(&self, fitting: &mut Vec<(Fit, Candidate)>) {
        if fitting.len() < 2 {
            return;
        }
        let identity = |it: &Candidate| (it.container.runtime, it.container.id.clone(), it.owner);
        let roots = &self.index.roots;
        let (living, dead): (Vec<_>, Vec<_>) = std::mem::take(fitting)
            .into_iter()
            .partition(|(_, it)| it.has_state() || it.may_live(roots));
        let is_leftover = |it: &Candidate| {
            living
                .iter()
                .any(|(_, other)| identity(other) == identity(it))
        };
        let kept: Vec<_> = dead
            .into_iter()
            .filter(|(_, it)| !is_leftover(it))
            .collect();
        fitting.extend(living.into_iter().chain(kept));
    }

    pub(super) fn candidates(&mut self, cgroups: &[(u32, String)]) -> Vec<Candidate> {
        let mut candidates = BTreeMap::new();
        // A path has the same container in every hierarchy.
        let mut known = HashMap::new();
        for (hierarchy, path) in cgroups {
            let known = known.entry(path).or_insert_with(|| {
                let located = locate(&self.index, path).filter(|it| it.top == path)?;
                let described = describe(&mut self.index, &located);
                Some((located, described))
            });
            let Some((located, container)) = known else {
                continue;
            };
            let owner = self.owner(*hierarchy, located);
            let init = located.record().and_then(|record| record.init);
            let new = Candidate {
                container: container.clone(),
                owner,
                origin: origin(located),
                cgroups: Vec::new(),
                has_own_cgroup: true,
                init: None,
            };
            let candidate = candidates.entry(new.key()).or_insert(new);
            candidate.init = candidate.init.or(init);
            candidate.cgroups.push((*hierarchy, path.clone()));
        }
        for record in self.index.present() {
            // A cgroup may already have named this container: docker's containers are also
            // runc's, and crun records a sub-cgroup.
            let known = candidates.values_mut().find(|it| it.is_of(record));
            if let Some(known) = known {
                known.init = known.init.or(record.init);
            } else {
                let mut candidate = Candidate::without_cgroup(record);
                // The state of another container may claim the same cgroup.
                let claimed = cgroups.iter().filter(|it| record.claims(it));
                candidate.cgroups.extend(claimed.cloned());
                candidates.insert(candidate.key(), candidate);
            }
        }
        let mut candidates = merge_unclaimed(candidates.into_values().collect());
        for stopped in self.stopped_containers() {
            let Container { runtime, id, .. } = &stopped.container;
            let is_known = |it: &Candidate| {
                it.container.id == *id && (is_full_id(id) || it.container.runtime == *runtime)
            };
            if !candidates.iter().any(is_known) {
                candidates.push(stopped);
            }
        }
        candidates
    }

    /// The containers that Docker, LXC and podman know and that do not run. They have no cgroup,
    /// but their engine still knows their names.
    fn stopped_containers(&mut self) -> Vec<Candidate> {
        let candidate = |runtime, id, name, root: &Path| Candidate {
            container: Container {
                runtime,
                id,
                name,
                pod_uid: None,
                pod: None,
                location: None,
            },
            owner: 0,
            origin: Origin::State(root.to_owned()),
            cgroups: Vec::new(),
            has_own_cgroup: true,
            init: None,
        };
        let Index { roots, names, .. } = &mut self.index;
        let mut found = Vec::new();
        for root in &roots.docker {
            let stopped = docker::containers(root).filter(|it| !it.is_running);
            for docker::Known { id, name, .. } in stopped {
                found.push(candidate(Runtime::Docker, id, name, root));
            }
        }
        // Without the sockets a container of LXC may run in a cgroup of any name.
        if let Some(sockets) = roots.unix_sockets() {
            for root in &roots.lxc {
                for name in lxc::stopped(root, &sockets) {
                    found.push(candidate(Runtime::Lxc, name.clone(), Some(name), root));
                }
            }
        }
        let running: HashSet<_> = running::ids(roots).collect();
        for driver in roots.stores.iter().flat_map(|it| podman::drivers(it)) {
            for (id, name) in names.all(&driver) {
                if is_full_id(&id) && !running.contains(&id) {
                    found.push(candidate(Runtime::Podman, id, Some(name), &driver));
                }
            }
        }
        found
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

fn origin(located: &Located<'_>) -> Origin {
    match &located.source {
        Source::Recorded(record) | Source::Path(_, Some(record)) => {
            Origin::State(record.location.clone())
        }
        Source::Path(layout, None) => Origin::Cgroup(layout.id.to_string()),
    }
}
