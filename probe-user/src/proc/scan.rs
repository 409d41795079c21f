//! Scans `/proc` for every process, by files that all users may read.
//!
//! The scan uses one buffer and makes a handful of system calls for each process, so a
//! thousand processes take milliseconds.

use std::{io, os::fd::AsFd};

use rustix::io::Errno;

use super::{
    directory::{Pids, ProcessDirectory, is_gone, is_shortage, malformed},
    look::{Shown, settle},
    membership,
    stat::Stat,
    status::Status,
    user_namespace, visibility,
};
use crate::{
    cgroup::mounts::rank_of,
    model::{Comm, ProcessState, ScannedProcess},
};

/// A process and its cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The process, without the id of its cgroup, because `/proc` shows only the path.
    pub process: ScannedProcess,
    /// The cgroup that the BPF programs would report; `None` if the process ended
    /// meanwhile.
    pub place: Option<CgroupPath>,
    /// Its other v1 cgroups, without roots, the best-ranked first.
    pub v1_places: Vec<CgroupPath>,
}

impl Found {
    /// The cgroups of the process, in the order in which they decide on its container.
    pub fn places(&self) -> impl Iterator<Item = &CgroupPath> {
        self.place.iter().chain(&self.v1_places)
    }
}

/// A cgroup, as `/proc/PID/cgroup` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPath {
    /// 0 for v2.
    pub hierarchy: u32,
    /// Path below the root of the hierarchy.
    pub path: String,
}

/// Begins a scan. With `reads_owners` it finds the owners of user namespaces, which takes the
/// right to trace every process, and one more system call for each.
pub fn scan(reads_owners: bool) -> io::Result<Scan> {
    Ok(Scan {
        pids: Pids::list()?,
        reads_owners,
        buffer: Vec::with_capacity(4096),
        is_complete: !visibility::hides_processes(),
    })
}

/// A scan, which yields each process. A process that ends meanwhile is left out. An error means
/// that the scan cannot go on.
#[derive(Debug)]
pub struct Scan {
    pids: Pids,
    reads_owners: bool,
    buffer: Vec<u8>,
    is_complete: bool,
}

impl Scan {
    /// Whether the scan has found every process so far. If not, `/proc` hides processes from
    /// this one, or their files could not be read.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl Iterator for Scan {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<io::Result<Found>> {
        loop {
            let found = match self.pids.next()? {
                Ok(pid) => look(pid, self.reads_owners, &mut self.buffer),
                Err(error) => return Some(Err(error)),
            };
            match found {
                Err(error) if is_gone(&error) => {}
                Err(error) if is_shortage(&error) => return Some(Err(error)),
                Err(error) => {
                    tracing::debug!(%error, "cannot read the files of a process");
                    self.is_complete = false;
                }
                found => return Some(found),
            }
        }
    }
}

fn look(tgid: u32, reads_owners: bool, buffer: &mut Vec<u8>) -> io::Result<Found> {
    let directory = ProcessDirectory::open(tgid)?;
    directory.read("stat", buffer)?;
    let stat = Stat::read(buffer)?;
    let mut process = ScannedProcess {
        tgid,
        start_ticks: stat.start_ticks,
        ppid: stat.ppid,
        uid: 0,
        comm: Comm::cut(stat.comm),
        state: ProcessState::Running,
        ns_pid: None,
        owners: None,
        cgroup: None,
        v1_cgroup_id: None,
    };
    match stat.process_state() {
        Some(state) if !state.has_exited() => process.state = state,
        // One look does not prove an end.
        _ => match settle(|| directory.shown(process.start_ticks, buffer))? {
            Shown::State(state) => process.state = state,
            _ => return Err(Errno::SRCH.into()),
        },
    }
    directory.read("status", buffer)?;
    let status = Status::new(buffer);
    process.uid = status.uid().ok_or_else(|| malformed("status"))?;
    process.ns_pid = status.ns_pids().last();
    let cgroup = directory.read("cgroup", buffer);
    let mut places = cgroup.map_or_else(|_gone| Vec::new(), |()| cgroups(buffer));
    let place = (!places.is_empty()).then(|| places.remove(0));
    if reads_owners {
        process.owners = user_namespace::owners(directory.as_fd());
    }
    Ok(Found {
        process,
        place,
        v1_places: places,
    })
}

/// The cgroups of a process that records of its exit may name, the most likely one first. There
/// are none if the process is gone or its file cannot be read.
#[must_use]
pub fn cgroups_of(tgid: u32) -> Vec<CgroupPath> {
    let mut buffer = Vec::new();
    let read = ProcessDirectory::open(tgid).and_then(|it| it.read("cgroup", &mut buffer));
    read.map_or_else(|_gone| Vec::new(), |()| cgroups(&buffer))
}

/// The cgroup that the BPF programs report, and then the other v1 cgroups that are not
/// roots, by rank. The first is the v2 cgroup unless that is the root, else the best-ranked
/// v1 cgroup that is not a root, else the v2 root. Between equal ranks the oldest hierarchy
/// wins; it is the last one in the file and the first one for the BPF programs.
fn cgroups(bytes: &[u8]) -> Vec<CgroupPath> {
    let text = membership::text(bytes);
    let mut ranked = Vec::new();
    for membership in membership::parse(&text) {
        let Some(membership) = membership else {
            return Vec::new();
        };
        let rank = match (membership.hierarchy, membership.path) {
            (0, "/") => u8::MAX,
            (0, _) => 0,
            (_, "/") => continue,
            _ => 1 + rank_of(membership.controllers()),
        };
        ranked.push((rank, membership.hierarchy, membership.path));
    }
    ranked.reverse();
    ranked.sort_by_key(|(rank, ..)| *rank);
    if ranked.len() > 1 {
        ranked.retain(|(rank, ..)| *rank != u8::MAX);
    }
    let ranked = ranked.into_iter();
    let path = |(_, hierarchy, path): (u8, u32, &str)| CgroupPath {
        hierarchy,
        path: path.to_owned(),
    };
    ranked.map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_is_the_one_that_the_bpf_programs_report() {
        let of = |text: &str| {
            let first = cgroups(text.as_bytes()).into_iter().next();
            first.map(|it| (it.hierarchy, it.path))
        };
        let is = |hierarchy, path: &str| Some((hierarchy, path.to_owned()));
        assert_eq!(of("3:pids:/p\n0::/v2:x\n"), is(0, "/v2:x"));
        assert_eq!(of("9:memory:/m\n3:pids:/p\n0::/\n"), is(3, "/p"));
        assert_eq!(of("9:memory:/m\n3:pids:/\n0::/\n"), is(9, "/m"));
        assert_eq!(of("9:cpuset:/s\n3:cpu,cpuacct:/c\n0::/\n"), is(3, "/c"));
        assert_eq!(of("9:cpuset:/s\n1:name=systemd:/d\n"), is(1, "/d"));
        assert_eq!(of("3:pids:/\n0::/\n"), is(0, "/"));
        assert_eq!(of("0:"), None);
    }

    #[test]
    fn the_other_v1_cgroups_follow_by_rank() {
        let of = |text: &str| -> Vec<String> {
            let all = cgroups(text.as_bytes()).into_iter();
            all.map(|it| format!("{}{}", it.hierarchy, it.path))
                .collect()
        };
        let hybrid = "9:memory:/m\n5:cpu:/c\n3:pids:/p\n2:devices:/\n0::/v2\n";
        assert_eq!(of(hybrid), ["0/v2", "3/p", "9/m", "5/c"]);
        assert_eq!(of("9:memory:/m\n3:pids:/p\n0::/\n"), ["3/p", "9/m"]);
        assert_eq!(of("3:pids:/\n0::/\n"), ["0/"]);
    }

    #[test]
    fn a_scan_finds_this_process_and_its_parent() {
        let found: io::Result<Vec<_>> = scan(true).expect("there is a /proc").collect();
        let found = found.expect("the scan has found everything");
        let this = found
            .iter()
            .find(|it| it.process.tgid == std::process::id());
        let this = this.expect("this process runs");
        assert_eq!(this.process.state, ProcessState::Running);
        assert_eq!(this.process.uid, rustix::process::getuid().as_raw());
        assert!(this.place.is_some());
        let parent = found.iter().any(|it| it.process.tgid == this.process.ppid);
        assert!(parent, "{this:?}");
    }
}
