//! Checks the cgroup mounts, and which files a cgroup of this kernel has.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use probe_user::unstable::{
    cgroup::mounts::{self, Mount, Mounts},
    kernel::departure,
};

use super::{Check, no, yes};

/// Adds all checks, and returns the one that polling requires: a hierarchy is mounted.
pub(super) fn examine(checks: &mut Vec<Check>) -> Check {
    let mounts = Mounts::read().unwrap_or_default();
    let layout = layout(&mounts);
    checks.push(layout.clone());
    checks.push(departure());
    if let Some(v2) = mounts.of_hierarchy(0) {
        checks.extend(files(v2));
    }
    layout
}

fn layout(mounts: &Mounts) -> Check {
    const NAME: &str = "cgroup";
    let v2 = mounts.of_hierarchy(0).map(|v2| v2.mount_point.display());
    let v1 = mounts.iter().filter(|mount| mount.hierarchy != 0).count();
    match (v2, v1) {
        (None, 0) => no(
            NAME,
            "no cgroup file system is mounted",
            "run `mount -t cgroup2 none /sys/fs/cgroup`",
        ),
        (None, v1) => yes(NAME, format!("v1: {v1} hierarchies")),
        (Some(v2), 0) => yes(NAME, format!("v2 at {v2}")),
        (Some(v2), v1) => yes(NAME, format!("hybrid: v2 at {v2}, {v1} v1 hierarchies")),
    }
}

fn departure() -> Check {
    let detail = if departure::is_late() {
        "after the end of the task: probe searches for exiting tasks that no list shows"
    } else {
        "before the parent is notified"
    };
    yes("cgroup.departure", detail)
}

/// Looks for the files in a new cgroup, because the root cgroup has neither. Without the
/// privilege to create a cgroup, any existing cgroup is used.
fn files(v2: &Mount) -> [Check; 2] {
    let temporary = TemporaryCgroup::new(v2);
    let directory = match &temporary {
        Ok(cgroup) => Some(cgroup.0.clone()),
        Err(_not_permitted) => any_child(v2),
    };
    let Some(directory) = directory else {
        let unknown = |name| no(name, "no cgroup to check", "run probe as root");
        return [unknown("cgroup.events"), unknown("cgroup.kill")];
    };
    [
        file(&directory, "cgroup.events", "needs Linux 4.15"),
        file(
            &directory,
            "cgroup.kill",
            "needs Linux 5.14; without it, probe signals each process",
        ),
    ]
}

fn file(directory: &Path, name: &'static str, hint: &'static str) -> Check {
    match fs::metadata(directory.join(name)) {
        Ok(_there) => yes(name, "exists"),
        Err(error) => no(name, error.to_string(), hint),
    }
}

fn any_child(v2: &Mount) -> Option<PathBuf> {
    let mut found = None;
    let walked = mounts::walk(v2, &mut |_, path| {
        if found.is_none() {
            let below = path.strip_prefix(v2.root.trim_end_matches('/'));
            let below = below.unwrap_or(&path).trim_start_matches('/').to_owned();
            found = Some(v2.mount_point.join(below));
        }
    });
    walked.ok().and(found)
}

/// A cgroup that is removed when this value is dropped.
struct TemporaryCgroup(PathBuf);

impl TemporaryCgroup {
    fn new(v2: &Mount) -> io::Result<Self> {
        let name = format!("probe-doctor-{}", std::process::id());
        let directory = v2.mount_point.join(name);
        fs::create_dir(&directory)?;
        Ok(Self(directory))
    }
}

impl Drop for TemporaryCgroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            tracing::warn!(%error, cgroup = %self.0.display(), "cannot remove the cgroup");
        }
    }
}
