//! Waits for memory of a cgroup.

use std::{fs, path::PathBuf};

use super::{cause::Cause, observer::Observer, task::Task};
use crate::proc::membership;

/// The cause of a task that waits for memory of its cgroup.
pub(super) fn cause(task: &Task<'_>, observer: &Observer) -> Option<Cause> {
    if task.is_in(&["mem_cgroup_oom_synchronize"]) {
        let found = ancestors(task, observer)
            .into_iter()
            .find(|(_, directory)| {
                let control = fs::read_to_string(directory.join("memory.oom_control"));
                control.is_ok_and(|it| it.lines().any(|it| it == "under_oom 1"))
            });
        let (cgroup, file) = found.map_or((None, None), |(cgroup, directory)| {
            let file = directory.join("memory.oom_control");
            (Some(cgroup), Some(file.display().to_string()))
        });
        return Some(Cause::MemoryLimit { cgroup, file });
    }
    if task.is_in(&[
        "mem_cgroup_handle_over_high",
        "__mem_cgroup_handle_over_high",
    ]) {
        let number = |directory: &PathBuf, file| {
            let text = fs::read_to_string(directory.join(file)).ok()?;
            text.trim().parse::<u64>().ok()
        };
        let is_above = |directory: &PathBuf| {
            let high = number(directory, "memory.high");
            let current = number(directory, "memory.current");
            high.zip(current)
                .is_some_and(|(high, current)| current > high)
        };
        let found = ancestors(task, observer)
            .into_iter()
            .find(|(_, directory)| is_above(directory));
        return Some(Cause::MemoryHigh {
            cgroup: found.map(|(cgroup, _)| cgroup),
        });
    }
    None
}

/// The memory cgroup of a task and its ancestors, by path and directory, the innermost first.
fn ancestors(task: &Task<'_>, observer: &Observer) -> Vec<(String, PathBuf)> {
    with_controller(task, observer, "memory")
}

/// The cgroups of a task that may have this controller: in its v1 hierarchy, else in v2.
pub(super) fn with_controller(
    task: &Task<'_>,
    observer: &Observer,
    controller: &str,
) -> Vec<(String, PathBuf)> {
    let file = task.directory.content("cgroup").unwrap_or_default();
    let text = membership::text(&file);
    let all = membership::parse(&text).flatten();
    let v1 = all
        .clone()
        .find(|it| it.controllers().any(|it| it == controller));
    let Some(membership) = v1.or_else(|| all.clone().find(|it| it.hierarchy == 0)) else {
        return Vec::new();
    };
    let Some(mount) = observer.mounts().of_hierarchy(membership.hierarchy) else {
        return Vec::new();
    };
    let Some(directory) = mount.directory_of(membership.path) else {
        return Vec::new();
    };
    let within = directory
        .ancestors()
        .take_while(|it| it.starts_with(&mount.mount_point));
    let paths = within.map(|it| (mount.path_of(it).unwrap_or_default(), it.to_owned()));
    paths.collect()
}
