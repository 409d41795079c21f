//! Who is still there when the time is up, and why it may hang.

use std::fs;

use procfs::{
    ProcError,
    process::{Process, Stat},
};

use crate::{
    cgroup::mounts::Mounts,
    clock::{boottime_ns, tick_ns},
};

/// A process that outlived a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Thread group id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Letter of `/proc/PID/stat`: `R`, `S`, `D`, `Z`, `T`, `t`, …
    pub state: char,
    /// Kernel function it sleeps in; `None` without the privilege to see it.
    pub wchan: Option<String>,
    /// Time since its start.
    pub age_ns: Option<u64>,
    /// Why it may not die, where its state tells.
    pub reason: Option<String>,
}

/// A process that left what was waited for alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrant {
    /// Thread group id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Where it is now: path of its v2 cgroup unless that is the root, else of
    /// the first v1 cgroup that is not.
    pub cgroup: Option<String>,
}

/// Of processes that were members of a cgroup, each with a moment in
/// `CLOCK_BOOTTIME` nanoseconds by which it was seen, those that still run.
#[must_use]
pub fn migrants(seen: &[(u32, u64)]) -> Vec<Migrant> {
    seen.iter()
        .filter_map(|&(pid, by_boottime_ns)| migrant(pid, by_boottime_ns).ok().flatten())
        .collect()
}

/// `None`: a zombie, or another that has the pid since.
fn migrant(pid: u32, seen_by_boottime_ns: u64) -> Result<Option<Migrant>, ProcError> {
    let number = i32::try_from(pid).map_err(|_too_large| ProcError::NotFound(None))?;
    let process = Process::new(number)?;
    let stat = process.stat()?;
    let start_ns = stat.starttime.saturating_mul(tick_ns());
    let is_dead = matches!(stat.state, 'Z' | 'X') && stat.num_threads <= 1;
    if is_dead || start_ns > seen_by_boottime_ns {
        return Ok(None);
    }
    let cgroups = process.cgroups()?;
    let cgroup = cgroups
        .0
        .into_iter()
        .map(|it| (it.hierarchy != 0, it.pathname))
        .filter(|(_, path)| path != "/")
        .min();
    Ok(Some(Migrant {
        pid,
        comm: stat.comm,
        cgroup: cgroup.map(|(_, path)| path),
    }))
}

/// Looks at each pid; those that are gone meanwhile are left out.
#[must_use]
pub fn describe(pids: &[u32]) -> Vec<Survivor> {
    pids.iter().filter_map(|&pid| survivor(pid).ok()).collect()
}

fn survivor(pid: u32) -> Result<Survivor, ProcError> {
    let number = i32::try_from(pid).map_err(|_too_large| ProcError::NotFound(None))?;
    let process = Process::new(number)?;
    let stat = process.stat()?;
    Ok(Survivor {
        pid,
        state: stat.state,
        reason: reason(&process, &stat),
        age_ns: age_ns(&stat),
        wchan: wchan(&process),
        comm: stat.comm,
    })
}

fn age_ns(stat: &Stat) -> Option<u64> {
    let start_ns = stat.starttime.checked_mul(tick_ns())?;
    Some(boottime_ns().saturating_sub(start_ns))
}

fn reason(process: &Process, stat: &Stat) -> Option<String> {
    match stat.state {
        // The v1 freezer shows as D.
        _ if is_frozen(process, stat.state) => Some("frozen by its cgroup: thaw it".into()),
        'D' => Some("in uninterruptible sleep (D): waits for a device or for a vfork child".into()),
        // The state is the leader's; the group lives while one thread does.
        'Z' if stat.num_threads > 1 => {
            let others = stat.num_threads - 1;
            let plural = if others == 1 { "" } else { "s" };
            Some(format!(
                "its leader has exited, {others} other thread{plural} live on"
            ))
        }
        'Z' => Some(format!("zombie: its parent {} does not reap it", stat.ppid)),
        't' => {
            let tracer = process.status().map_or(0, |status| status.tracerpid);
            Some(format!("stopped by its tracer {tracer}"))
        }
        'T' => Some("stopped by a signal; SIGKILL or SIGCONT wakes it".into()),
        _ => None,
    }
}

/// A v1-frozen task does not die until it is thawed. Some kernels (5.10) do not
/// say where a task sleeps: there it is its cgroup that tells.
fn is_frozen(process: &Process, state: char) -> bool {
    let sleeps_frozen = |wchan: String| wchan.contains("refrigerator") || wchan.contains("freeze");
    // User Mode Linux names any function.
    wchan(process).is_some_and(sleeps_frozen)
        || state == 'D' && freezer_state(process).is_some_and(|it| it != "THAWED")
}

/// What the v1 freezer says of the process's cgroup.
fn freezer_state(process: &Process) -> Option<String> {
    let mounts = Mounts::read().ok()?;
    let mount = mounts.of_controller("freezer")?;
    let cgroups = process.cgroups().ok()?.0;
    let cgroup = cgroups.iter().find(|it| it.hierarchy == mount.hierarchy)?;
    let directory = mount.directory_of(&cgroup.pathname)?;
    let state = fs::read_to_string(directory.join("freezer.state")).ok()?;
    Some(state.trim_end().to_owned())
}

fn wchan(process: &Process) -> Option<String> {
    process
        .wchan()
        .ok()
        .filter(|wchan| !wchan.is_empty() && wchan != "0")
}
