//! Describes the processes that outlive a wait, and why each of them may hang.

use std::{fs, io};

use serde::Serialize;

use super::{
    directory::ProcessDirectory, membership, send::exists, stat::Stat, status::Status, tasks,
};
use crate::{
    cgroup::mounts::Mounts,
    clock::boottime_ns,
    model::{TaskFacts, TaskState},
};

/// A process that outlived a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survivor {
    /// Thread group id.
    pub pid: u32,
    /// Name; `?` if `/proc` does not show it.
    pub comm: String,
    /// Letter of `/proc/PID/stat`: `R`, `S`, `D`, `Z`, `T`, `t`, …, or `?` if `/proc` does not
    /// show it.
    pub state: char,
    /// State of its thread group leader.
    #[serde(skip)]
    pub leader: TaskState,
    /// Kernel function in which it sleeps; `None` without the privilege to see it.
    pub wchan: Option<String>,
    /// Time since its start.
    pub age_ns: Option<u64>,
    /// Why the process is possibly still there, as far as its state tells.
    pub reason: Option<String>,
}

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

/// Describes the process of each pid; processes that are gone meanwhile are left out.
#[must_use]
pub fn describe(pids: &[u32]) -> Vec<Survivor> {
    let one = |&pid| survivor(pid).ok().or_else(|| Survivor::hidden(pid));
    pids.iter().filter_map(one).collect()
}

impl Survivor {
    /// A process of which `/proc` shows nothing to this one; `None` if it is gone.
    fn hidden(pid: u32) -> Option<Self> {
        exists(pid).then(|| Self {
            pid,
            comm: "?".to_owned(),
            state: '?',
            leader: TaskState::Running,
            wchan: None,
            age_ns: None,
            reason: Some("/proc does not show it".to_owned()),
        })
    }
}

fn survivor(pid: u32) -> io::Result<Survivor> {
    let directory = ProcessDirectory::open(pid)?;
    let file = directory.content("stat")?;
    let stat = Stat::read(&file)?;
    let wchan = wchan(&directory);
    let status = directory.content("status").unwrap_or_default();
    let status = Status::new(&status);
    let is_frozen = is_frozen(&directory, &stat, wchan.as_deref());
    Ok(Survivor {
        pid,
        comm: name(&stat),
        state: stat.letter,
        leader: status.task_state(&stat, is_frozen),
        reason: reason(&stat, status, is_frozen),
        age_ns: Some(boottime_ns().saturating_sub(stat.start_ns())),
        wchan,
    })
}

fn name(stat: &Stat<'_>) -> String {
    String::from_utf8_lossy(stat.comm).into_owned()
}

/// Why a process does not die, by its `stat` and the freezer. A pending SIGKILL would hide
/// the reason, so it does not count here.
fn reason(stat: &Stat<'_>, status: Status<'_>, is_frozen: bool) -> Option<String> {
    let leader = TaskState::from(TaskFacts {
        is_frozen,
        ..TaskFacts::from_stat(stat.letter, stat.flags)
    });
    match leader {
        TaskState::Frozen => Some("frozen by its cgroup: thaw it".into()),
        // `stat` shows the leader, and the process lives while one of its threads does.
        TaskState::Zombie if stat.threads > 1 => {
            let others = stat.threads - 1;
            let plural = if others == 1 { "" } else { "s" };
            Some(format!(
                "its leader has exited, {others} other thread{plural} live on"
            ))
        }
        TaskState::Zombie => Some(format!("zombie: its parent {} does not reap it", stat.ppid)),
        TaskState::Traced => {
            let tracer = status.tracer_pid().unwrap_or(0);
            Some(format!("stopped by its tracer {tracer}"))
        }
        TaskState::Stopped => Some("stopped by a signal; SIGKILL or SIGCONT wakes it".into()),
        _ if stat.letter == 'D' => {
            Some("in uninterruptible sleep (D): waits for a device or for a vfork child".into())
        }
        _ => None,
    }
}

/// Whether the leader is frozen; in a v1 freezer it does not die until it is thawed. Some
/// kernels (5.10) do not show where a task sleeps; then its cgroup tells.
fn is_frozen(directory: &ProcessDirectory, stat: &Stat<'_>, wchan: Option<&str>) -> bool {
    // On User Mode Linux `wchan` can be the name of an unrelated function.
    wchan.is_some_and(|it| it.contains("refrigerator") || it.contains("freeze"))
        || stat.letter == 'D' && freezer_state(directory).is_some_and(|it| it != b"THAWED")
}

/// State of the v1 freezer cgroup of the process.
fn freezer_state(directory: &ProcessDirectory) -> Option<Vec<u8>> {
    let mounts = Mounts::read().ok()?;
    let mount = mounts.of_controller("freezer")?;
    let cgroups = directory.content("cgroup").ok()?;
    let text = membership::text(&cgroups);
    let cgroup = membership::parse(&text)
        .flatten()
        .find(|it| it.controllers().any(|it| it == "freezer"))?;
    let file = mount.directory_of(cgroup.path)?.join("freezer.state");
    let state = fs::read(file).ok()?;
    Some(state.trim_ascii_end().to_vec())
}

fn wchan(directory: &ProcessDirectory) -> Option<String> {
    let file = directory.content("wchan").ok()?;
    let wchan = String::from_utf8_lossy(&file);
    (!wchan.is_empty() && wchan != "0").then(|| wchan.into_owned())
}
