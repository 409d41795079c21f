//! Finds a whole Kubernetes pod by `pod:NAMESPACE/NAME`.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    FindError, Found, Resolver,
    candidate::{Candidate, without_nested},
    layout::delegated_to,
    runtime::kubernetes,
    trust::{self, InitVerdict},
};
use crate::model::Container;

const PREFIX: &str = "pod:";

/// Identifies a pod: its owner, and its uid if that is known.
type Key = (u32, Option<String>);

/// The `NAMESPACE/NAME` in `pod:NAMESPACE/NAME`. No runtime allows a colon in the name of a
/// container.
pub(super) fn parse(wanted: &str) -> Option<&str> {
    let pod = wanted.strip_prefix(PREFIX)?;
    let (namespace, name) = pod.split_once('/')?;
    let is_whole = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
    is_whole.then_some(pod)
}

impl Resolver {
    /// Joins the containers of the pod with this name, and the cgroups that the kubelet made
    /// for the pod.
    pub(super) fn find_pod(
        &self,
        wanted: &str,
        pod: &str,
        candidates: Vec<Candidate>,
        cgroups: &[(u32, String)],
    ) -> Result<Found, FindError> {
        let has_name = |it: &&Candidate| it.container.pod.as_deref() == Some(pod);
        let named: Vec<_> = candidates.iter().filter(has_name).collect();
        let keys: BTreeSet<Key> = named.iter().map(|it| key(it)).collect();
        let mut keys = keys.into_iter();
        let wanted = wanted.to_owned();
        let Some(key) = keys.next() else {
            return Err(FindError::Unknown { wanted });
        };
        if keys.next().is_some() {
            let matches = named.into_iter().cloned().map(Candidate::into_match);
            let matches = matches.collect();
            return Err(FindError::Ambiguous { wanted, matches });
        }
        // The uid also finds containers with a bundle that does not have the pod's name.
        let members = candidates.into_iter().filter(|it| self::key(it) == key);
        let members: Vec<_> = match &key {
            (_, Some(_)) => members.collect(),
            (_, None) => members.filter(|it| has_name(&it)).collect(),
        };
        Ok(self.joined(wanted, &key, members, cgroups))
    }

    fn joined(
        &self,
        wanted: String,
        (owner, uid): &Key,
        members: Vec<Candidate>,
        cgroups: &[(u32, String)],
    ) -> Found {
        let runtime = members[0].container.runtime;
        let mut found = Found {
            container: Arc::new(Container {
                runtime,
                id: uid.clone().unwrap_or_else(|| wanted.clone()),
                name: Some(wanted),
                pod_uid: uid.clone(),
                pod: members[0].container.pod.clone(),
                location: None,
            }),
            members: Vec::new(),
            cgroups: Vec::new(),
            inits: Vec::new(),
            owner: *owner,
            may_have_others: false,
        };
        if let Some(uid) = uid {
            let own = cgroups
                .iter()
                .filter(|it| self.is_pod_cgroup(*owner, uid, it));
            found.cgroups.extend(own.cloned());
        }
        for member in members {
            let member = member.into_found(&self.index.roots);
            found.members.extend(member.members);
            found.cgroups.extend(member.cgroups);
            found.inits.extend(member.inits);
            found.may_have_others |= member.may_have_others;
        }
        found.cgroups = without_nested(runtime, &found.cgroups);
        self.index.roots.evidence.sort(&mut found.cgroups);
        found.cgroups.dedup();
        found
    }

    /// Whether a cgroup is the pod's own. A user may write any uid into an annotation, so the
    /// cgroup must belong to that user, too.
    fn is_pod_cgroup(&self, owner: u32, uid: &str, (hierarchy, path): &(u32, String)) -> bool {
        if !kubernetes::is_pod(path, uid) {
            return false;
        }
        if owner == 0 {
            return delegated_to(path).is_none();
        }
        let evidence = &self.index.roots.evidence;
        let owned_by = evidence.cgroup_owner(Some(*hierarchy), path);
        trust::accepts_claim(owner, InitVerdict::Gone, owned_by)
    }
}

fn key(candidate: &Candidate) -> Key {
    (candidate.owner, candidate.container.pod_uid.clone())
}
