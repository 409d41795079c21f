//! Finds a container by state on disk, without a walk over all cgroups: the state of a runtime
//! names the cgroups of its container.

use std::{
    collections::{BTreeSet, HashSet},
    time::Instant,
};

use super::{
    Found, Resolver,
    candidate::{Candidate, Fit},
    layout::{is_full_id, is_id},
    pod,
    record::Record,
    running,
    runtime::lxc,
};
use crate::cgroup::path::ancestors;

impl Resolver {
    /// Finds a container as [`Resolver::find_visible`] does, but looks only at the cgroups that
    /// state on disk names, so the cost grows with the containers and not with the cgroups.
    ///
    /// `None` if the state does not decide, because the container has no cgroup where its state
    /// says, or because a container that is known only by its cgroup could be meant as well.
    /// Then [`Resolver::find_visible`] decides, which takes the cgroups of the whole machine.
    pub fn find_by_state(
        &mut self,
        wanted: &str,
        is_visible: impl Fn(&[(u32, String)]) -> bool,
    ) -> Option<Found> {
        if pod::parse(wanted).is_some() {
            return None;
        }
        self.index.check_now(Instant::now());
        let own = rustix::process::geteuid().as_raw();
        // The state of another user must not hide a container of root.
        let is_trusted = |it: &Candidate| it.owner == 0 || it.owner == own;
        let mut candidates = self.candidates(&self.claimed_cgroups(wanted));
        let trusted = candidates.iter().filter(|it| is_trusted(it));
        let known: HashSet<_> = trusted.map(|it| it.container.id.clone()).collect();
        candidates.retain(|it| it.fit(wanted).is_some());
        for candidate in &mut candidates {
            candidate.cgroups.retain(|it| self.exists(it));
        }
        candidates.retain(|it| it.has_state() || !it.cgroups.is_empty());
        let mut fitting = self.fitting(wanted, candidates, is_visible);
        let (fit, found) = fitting.pop().filter(|_| fitting.is_empty())?;
        if !found.has_state() || found.cgroups.is_empty() || !is_trusted(&found) {
            return None;
        }
        let is_unique = match fit {
            Fit::RandomId => true,
            _ if is_full_id(wanted) => false,
            Fit::ChosenId | Fit::Name => !self.may_have_rival(wanted, &known),
            // No other id begins with so many random digits.
            Fit::Prefix => is_id(wanted) && !self.may_have_rival(wanted, &known),
        };
        is_unique.then(|| found.into_found(&self.index.roots))
    }

    fn exists(&self, (hierarchy, path): &(u32, String)) -> bool {
        self.index.roots.evidence.exists(*hierarchy, path)
    }

    /// The cgroups that state names, whether they exist or not, and the existing ones with a
    /// name that engines without state use, each with its ancestors: the container of an
    /// ancestor may own the cgroup, too.
    fn claimed_cgroups(&self, wanted: &str) -> Vec<(u32, String)> {
        let mut found = BTreeSet::new();
        let mut add = |hierarchy, path: &str| {
            found.extend(ancestors(path).map(|it| (hierarchy, it.to_owned())));
        };
        let evidence = &self.index.roots.evidence;
        for record in self.index.present() {
            for claim in &record.cgroups {
                for mount in evidence.mounts.iter() {
                    if claim.hierarchy.is_none_or(|it| it == mount.hierarchy) {
                        add(mount.hierarchy, &claim.path);
                    }
                }
            }
            if let Record {
                unit: Some(unit),
                init: Some(init),
                ..
            } = record.as_ref()
            {
                for (hierarchy, path) in evidence.cgroups_in_unit(init.pid, unit) {
                    add(hierarchy, &path);
                }
            }
        }
        for path in usual_paths(wanted) {
            for mount in evidence.mounts.iter() {
                let cgroup = (mount.hierarchy, path.clone());
                if self.exists(&cgroup) {
                    add(mount.hierarchy, &path);
                }
            }
        }
        found.into_iter().collect()
    }

    /// Whether a container that no known state describes may have this name. `known` are the
    /// ids of the containers that state describes.
    fn may_have_rival(&self, wanted: &str, known: &HashSet<String>) -> bool {
        let name = last(wanted);
        let roots = &self.index.roots;
        // A job of Slurm is known only by its number.
        let is_number = name.bytes().all(|it| it.is_ascii_digit() || it == b'.');
        // The state of a container that starts now is not written yet.
        is_number
            || self.index.pending.keys().any(|id| id.starts_with(name))
            || roots
                .unix_sockets()
                .is_none_or(|sockets| lxc::may_run(name, &sockets))
            || running::ids(roots).any(|id| !known.contains(&id))
    }
}

/// The paths of cgroups that LXC and Garden, and systemd-nspawn, runc and crun without a state
/// that we know, usually give a container of this name.
fn usual_paths(wanted: &str) -> Vec<String> {
    if is_full_id(wanted) {
        return Vec::new();
    }
    let name = last(wanted);
    let escaped = name.replace('-', r"\x2d");
    let mut paths = vec![
        format!("/lxc.payload.{name}"),
        format!("/lxc.payload/{name}"),
        format!("/lxc/{name}"),
        format!("/garden/{name}"),
        format!("/garden/good/{name}"),
        format!("/garden/bad/{name}"),
        format!("/system.slice/runc-{name}.scope"),
        format!("/system.slice/crun-{name}.scope"),
    ];
    for name in BTreeSet::from([name, &escaped]) {
        paths.push(format!("/machine.slice/systemd-nspawn@{name}.service"));
        paths.push(format!("/machine.slice/machine-{name}.scope"));
    }
    paths
}

/// The name without the qualifiers before it.
fn last(wanted: &str) -> &str {
    wanted.rsplit('/').next().unwrap_or(wanted)
}
