//! Describes the processes that left the target of a wait alive.

use std::io;

use serde::Serialize;

use super::{directory::ProcessDirectory, membership, stat::Stat, tasks};

/// A process that left the target of a wait alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Migrant {
    /// Thread group id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Path of its present cgroup: the v2 cgroup unless that is the root, else the first v1
    /// cgroup that is not a root.
    pub cgroup: Option<String>,
}

/// Describes those former members of a cgroup that live elsewhere. Each member comes with a
/// time in `CLOCK_BOOTTIME` nanoseconds at which it was seen. `is_target` says whether the path
/// of a v2 cgroup is that of a target, or below one.
#[must_use]
pub fn migrants(seen: &[(u32, u64)], is_target: impl Fn(&str) -> bool) -> Vec<Migrant> {
    let look = |&(pid, by_boottime_ns)| migrant(pid, by_boottime_ns, &is_target).ok().flatten();
    seen.iter().filter_map(look).collect()
}

/// Looks up one former member; `None` if it has exited or is exiting, if it is in the target
/// again, or if another process has its pid. A process of which every task has begun to exit
/// is in no list of members, but it has not moved.
fn migrant(
    pid: u32,
    seen_by_boottime_ns: u64,
    is_target: impl Fn(&str) -> bool,
) -> io::Result<Option<Migrant>> {
    let directory = ProcessDirectory::open(pid)?;
    let cgroups = directory.content("cgroup")?;
    let text = membership::text(&cgroups);
    let all = membership::parse(&text).flatten();
    if all
        .clone()
        .any(|it| it.hierarchy == 0 && is_target(it.path))
    {
        return Ok(None);
    }
    let cgroup = all
        .map(|it| (it.hierarchy != 0, it.path))
        .filter(|(_, path)| *path != "/")
        .min();
    let file = directory.content("stat")?;
    let stat = Stat::read(&file)?;
    // The cgroups are read first: an exiting process has left its cgroups.
    let state = tasks::process_state(&directory, &mut Vec::new())?;
    if state.has_begun_exit() || stat.start_ns() > seen_by_boottime_ns {
        return Ok(None);
    }
    Ok(Some(Migrant {
        pid,
        comm: name(&stat),
        cgroup: cgroup.map(|(_, path)| path.to_owned()),
    }))
}

fn name(stat: &Stat<'_>) -> String {
    String::from_utf8_lossy(stat.comm).into_owned()
}
