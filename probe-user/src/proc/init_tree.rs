//! Finds the processes of a container that has no cgroup of its own, by its init process.

use std::{collections::HashSet, io};

use rustix::fs::{AtFlags, statat};

use super::{directory::ProcessDirectory, scan, stat::Stat};
use crate::model::{ProcessState, ScannedProcess};

/// The processes that descend from the init process of a container, or that are in its mount
/// namespace.
///
/// A process that has lost its parent and has left the mount namespace is not found.
#[derive(Clone, Copy, Debug)]
pub struct InitTree {
    pid: u32,
    start_ticks: u64,
    /// Uid of the owner of the container. Unless that is root, only its processes are found:
    /// a user could name a process that shares the namespace with those of other users.
    owner: u32,
    /// Inode number of the mount namespace, if the container has one of its own.
    mounts: Option<u64>,
}

/// The processes of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeMembers {
    /// Pid and start in clock ticks of each process.
    pub processes: Vec<(u32, u64)>,
    /// Whether these are all processes. If not, `/proc` does not show every process.
    pub is_complete: bool,
}

impl InitTree {
    /// The tree of a living init process, which the caller holds open. `owner` is the uid of
    /// the owner of the container.
    #[must_use]
    pub fn of(pid: u32, start_ticks: u64, owner: u32) -> Self {
        let own = mount_namespace(std::process::id());
        let of_parent = parent(pid).and_then(mount_namespace);
        // A container without a mount namespace of its own shares that of its parent.
        let mounts = mount_namespace(pid)
            .filter(|_| own.is_some() && of_parent.is_some())
            .filter(|it| Some(*it) != own && Some(*it) != of_parent);
        Self {
            pid,
            start_ticks,
            owner,
            mounts,
        }
    }

    /// The processes that have not exited.
    pub fn members(&self) -> io::Result<TreeMembers> {
        let mut scan = scan::scan(self.owner != 0)?;
        let found = scan.by_ref().map(|it| Ok(it?.process));
        let all: Vec<_> = found.collect::<io::Result<_>>()?;
        let is_top = |it: &ScannedProcess| {
            let is_init = (it.tgid, it.start_ticks) == (self.pid, self.start_ticks);
            is_init || self.mounts.is_some() && mount_namespace(it.tgid) == self.mounts
        };
        let tops = all.iter().filter(|it| is_top(it));
        let mut pids: HashSet<u32> = tops.map(|it| it.tgid).collect();
        loop {
            let before = pids.len();
            for process in &all {
                if pids.contains(&process.ppid) {
                    pids.insert(process.tgid);
                }
            }
            if pids.len() == before {
                break;
            }
        }
        let is_member = |it: &&ScannedProcess| {
            pids.contains(&it.tgid) && it.state < ProcessState::Exited && self.is_owners(it)
        };
        let members = all.iter().filter(is_member);
        Ok(TreeMembers {
            processes: members.map(|it| (it.tgid, it.start_ticks)).collect(),
            is_complete: scan.is_complete(),
        })
    }

    fn is_owners(&self, process: &ScannedProcess) -> bool {
        let owners = process.owners;
        let owns_namespace =
            || owners.is_some_and(|it| it.own == self.owner || it.top == self.owner);
        self.owner == 0 || process.uid == self.owner || owns_namespace()
    }
}

/// Inode number of the mount namespace; `None` if the process has exited, or if this process
/// may not trace it.
fn mount_namespace(pid: u32) -> Option<u64> {
    let directory = ProcessDirectory::open(pid).ok()?;
    let namespace = statat(&directory, "ns/mnt", AtFlags::empty());
    Some(namespace.ok()?.st_ino)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = ProcessDirectory::open(pid).ok()?.content("stat").ok()?;
    Some(Stat::parse(&stat)?.ppid)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_tree_has_the_descendants_of_a_process_without_a_mount_namespace_of_its_own() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & echo; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut line = [0];
        let stdout = child.stdout.as_mut().expect("a pipe");
        io::Read::read_exact(stdout, &mut line).expect("sh has started its child");
        let stat = ProcessDirectory::open(child.id()).and_then(|it| it.content("stat"));
        let stat = stat.expect("our own child");
        let start_ticks = Stat::parse(&stat).expect("a whole line").start_ticks;
        let uid = rustix::process::getuid().as_raw();
        let of = |start_ticks, owner| {
            let tree = InitTree::of(child.id(), start_ticks, owner);
            tree.members().expect("/proc is readable").processes
        };
        let members = of(start_ticks, uid);
        assert_eq!(members.len(), 2, "{members:?}");
        assert!(members.contains(&(child.id(), start_ticks)));
        assert!(of(start_ticks + 1, uid).is_empty(), "another process");
        assert!(of(start_ticks, uid + 1).is_empty(), "another user");
        for (pid, _) in members {
            let pid = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            let signal = rustix::process::Signal::KILL;
            _ = rustix::process::kill_process(pid.expect("a pid"), signal);
        }
        child.wait().expect("our own child");
    }
}
