//! The processes and the cgroups of a running container.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};

use super::Place;
use crate::{Deadline, state};

/// Number of processes in each container: an init and its children.
pub const PROCESSES: usize = 10;

/// The script of the containers: starts children that sleep until they are killed.
#[must_use]
pub fn script() -> String {
    let children = PROCESSES - 1;
    format!("i=0; while [ $i -lt {children} ]; do sleep 1000 & i=$((i+1)); done; wait")
}

/// A container that runs, as it was when all its processes ran.
#[derive(Debug)]
pub struct Container {
    /// The pid of its first process.
    pub init: u32,
    /// The pid and the start time of each process.
    processes: Vec<(u32, String)>,
    /// The cgroups of the first process, as paths in the namespace. A cgroup with other
    /// processes than those of the container is left out.
    pub cgroups: Vec<PathBuf>,
    place: Place,
}

impl Container {
    /// The container of this init. Returns when it has this number of processes.
    #[must_use]
    pub fn of(init: u32, processes: usize, place: &Place) -> Self {
        let mut found = Vec::new();
        Deadline::start().until("all processes of the container run", || {
            found = descendants(init);
            found.len() == processes && found.iter().skip(1).all(|pid| is_settled(*pid))
        });
        let start = |pid: &u32| (*pid, start_time(*pid).expect("the process runs"));
        let mut container = Self {
            init,
            processes: found.iter().map(start).collect(),
            cgroups: cgroups(init, place),
            place: place.clone(),
        };
        let procs = |it: &PathBuf| procs(&container.place, it);
        let cgroups = container.cgroups.iter();
        let is_own = |it: &&PathBuf| procs(it).iter().all(|pid| found.contains(pid));
        container.cgroups = cgroups.filter(is_own).cloned().collect();
        container
    }

    /// The pids of its processes, init first.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(|(pid, _)| *pid).collect()
    }

    /// Sends SIGKILL to the processes that have not exited.
    pub fn kill(&self) {
        let living = self.processes.iter().filter(|it| lives(it));
        for pid in living.filter_map(|(pid, _)| Pid::from_raw(pid.cast_signed())) {
            // It may have exited since.
            let _sent = kill_process(pid, Signal::KILL);
        }
    }

    /// The processes that have not exited, and those that have joined its cgroups since.
    #[must_use]
    pub fn living(&self) -> Vec<u32> {
        let living = self.processes.iter().filter(|it| lives(it));
        let living = living.map(|(pid, _)| *pid);
        let members = self.cgroups.iter().flat_map(|it| procs(&self.place, it));
        let mut all: Vec<_> = living.chain(members).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The processes in one of the cgroups; empty if it has been removed.
    #[must_use]
    pub fn procs(&self, cgroup: usize) -> Vec<u32> {
        procs(&self.place, &self.cgroups[cgroup])
    }
}

/// Kills what an engine leaves: some kill the first process alone.
impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
    }
}

fn lives((pid, start): &(u32, String)) -> bool {
    start_time(*pid).as_ref() == Some(start) && state(*pid).is_some_and(|it| it != 'Z')
}

fn procs(place: &Place, cgroup: &Path) -> Vec<u32> {
    let below = cgroup.strip_prefix("/").expect("absolute");
    let file = place.root().join(below).join("cgroup.procs");
    let procs = match fs::read_to_string(&file) {
        Err(error) if is_gone(&error) => return Vec::new(),
        procs => procs.unwrap_or_else(|error| panic!("{}: {error}", file.display())),
    };
    procs.lines().map(|it| it.parse().expect("a pid")).collect()
}

fn is_gone(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::NODEV];
    Errno::from_io_error(error).is_some_and(|it| gone.contains(&it))
}

/// A process and its descendants, without zombies.
fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace();
    let below = children.flat_map(|it| descendants(it.parse().expect("a pid")));
    let alive = state(pid).is_some_and(|it| it != 'Z');
    alive.then_some(pid).into_iter().chain(below).collect()
}

/// Whether a process has executed its program and sleeps or waits for its children.
fn is_settled(pid: u32) -> bool {
    state(pid) == Some('S')
}

/// The start time of a process in clock ticks.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19).map(str::to_owned)
}

/// Directories of the cgroups of a process, without the roots and without those of this
/// process.
fn cgroups(pid: u32, place: &Place) -> Vec<PathBuf> {
    let listed = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup"));
    let own = listed("self").expect("this process runs");
    let listed = listed(&pid.to_string()).expect("init runs");
    let paths: Vec<_> = listed
        .lines()
        .filter(|line| !own.lines().any(|it| it == *line))
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .filter(|path| *path != "/")
        .collect();
    let mut found = Vec::new();
    for top in place.hierarchies() {
        for path in &paths {
            let cgroup = top.join(path.trim_start_matches('/'));
            if !found.contains(&cgroup) && procs(place, &cgroup).contains(&pid) {
                found.push(cgroup);
            }
        }
    }
    found
}
