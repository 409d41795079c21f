//! Finds the frozen cgroups that hold a task.

use std::{fs, path::Path};

use super::{cause::Thaw, observer::Observer, reason::Phase, task::Task};
use crate::{cgroup::mounts::Mount, proc::membership};

/// Functions in which the freezers hold a task.
const FREEZERS: [&str; 4] = [
    "__refrigerator",
    "do_freezer_trap",
    "get_signal",
    "cgroup_enter_frozen",
];

/// The frozen cgroups that hold a task, the innermost first; `None` if it is not frozen. A v2
/// cgroup does not hold a task that is killed.
pub(super) fn by(task: &Task<'_>, observer: &Observer) -> Option<Vec<Thaw>> {
    let phase = task.phase();
    if phase == Phase::Exiting || task.stat.letter == 'R' {
        return None;
    }
    // Some kernels (5.10) do not show where a task sleeps.
    let sleeps_in = task.wchan();
    let may_be_frozen = sleeps_in.is_none_or(|it| {
        FREEZERS.contains(&it) || it.contains("freeze") || it.contains("refrigerator")
    });
    if !may_be_frozen && task.stat.letter != 'D' {
        return None;
    }
    let file = task.directory.content("cgroup").ok()?;
    let text = membership::text(&file);
    for it in membership::parse(&text).flatten() {
        let frozen = if it.hierarchy == 0 && phase == Phase::Living {
            frozen_ancestors(observer, 0, it.path, &V2)
        } else if it.controllers().any(|it| it == "freezer") {
            frozen_ancestors(observer, it.hierarchy, it.path, &V1)
        } else {
            Vec::new()
        };
        if !frozen.is_empty() {
            return Some(frozen);
        }
    }
    let is_held = sleeps_in.is_some_and(|it| it.contains("refrigerator"));
    is_held.then(Vec::new)
}

/// The files of a freezer.
struct Freezer {
    /// The file and the line that say that a cgroup is frozen, by itself or by an ancestor.
    is_frozen: fn(&Path) -> bool,
    /// Whether the cgroup itself was frozen.
    is_cause: fn(&Path) -> bool,
    file: &'static str,
    thawed: &'static str,
}

const V2: Freezer = Freezer {
    is_frozen: |it| has_line(&it.join("cgroup.events"), b"frozen 1"),
    is_cause: |it| has_line(&it.join("cgroup.freeze"), b"1"),
    file: "cgroup.freeze",
    thawed: "0",
};

const V1: Freezer = Freezer {
    is_frozen: |it| {
        let file = it.join("freezer.state");
        has_line(&file, b"FROZEN") || has_line(&file, b"FREEZING")
    },
    is_cause: |it| has_line(&it.join("freezer.self_freezing"), b"1"),
    file: "freezer.state",
    thawed: "THAWED",
};

fn has_line(file: &Path, line: &[u8]) -> bool {
    let content = fs::read(file).unwrap_or_default();
    content.split(|&byte| byte == b'\n').any(|it| it == line)
}

/// The cgroup and its ancestors, as far as they were frozen by a write to their own file.
fn frozen_ancestors(
    observer: &Observer,
    hierarchy: u32,
    path: &str,
    freezer: &Freezer,
) -> Vec<Thaw> {
    let key = (hierarchy, path.to_owned());
    if let Some(known) = observer.frozen.borrow().get(&key) {
        return known.clone();
    }
    let mount = observer.mounts().of_hierarchy(hierarchy);
    let found = mount.map_or_else(Vec::new, |mount| search(mount, path, freezer));
    observer.frozen.borrow_mut().insert(key, found.clone());
    found
}

fn search(mount: &Mount, path: &str, freezer: &Freezer) -> Vec<Thaw> {
    let directory = mount.directory_of(path);
    let Some(directory) = directory.filter(|it| (freezer.is_frozen)(it)) else {
        return Vec::new();
    };
    let within = directory
        .ancestors()
        .take_while(|it| it.starts_with(&mount.mount_point));
    let causes = within.filter(|it| (freezer.is_cause)(it)).map(|it| Thaw {
        cgroup: mount.path_of(it).unwrap_or_default(),
        file: it.join(freezer.file).display().to_string(),
        value: freezer.thawed,
    });
    causes.collect()
}
