//! A mount namespace, kept by a process, with the processes and cgroups that engines leave in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Deadline, Running};

/// Names of cgroups at the top of a hierarchy that engines make and leave behind.
const PARENTS: [&str; 7] = [
    "docker",
    "default",
    "twin",
    "libpod_parent",
    "lxc.pivot",
    "machine.slice",
    "user.slice",
];

/// Dropping it kills the processes of a private namespace, and removes the cgroups that the
/// engines made.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) holder: Running,
    pub(super) is_private: bool,
    /// The cgroups with the names in [`PARENTS`] that existed before: they are not ours.
    others: Vec<PathBuf>,
}

impl Namespace {
    /// A namespace after this script of `sh` has run in it; `None` if the script fails.
    pub(super) fn hold(script: &str, is_private: bool) -> Option<Self> {
        let others = parents();
        let script = format!("set -e\n{script}\necho ready; read end");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let holder = Running::spawn(&mut command);
        (holder.next_line()? == "ready").then_some(Self {
            holder,
            is_private,
            others,
        })
    }

    /// The processes in the namespace but its holder. None if the holder has died: without it the
    /// namespace cannot be told from others.
    fn processes(&self) -> Vec<u32> {
        let place = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let holder = self.holder.pid();
        let Some(own) = place(&holder.to_string()).filter(|it| Some(it) != place("self").as_ref())
        else {
            return Vec::new();
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
        pids.filter(|pid: &u32| *pid != holder && place(&pid.to_string()).as_ref() == Some(&own))
            .collect()
    }

    /// Removes the empty cgroups that the engines made; returns whether some are left.
    fn has_parents(&self) -> bool {
        let mut ours = parents();
        ours.retain(|it| !self.others.contains(it));
        for parent in &ours {
            let mut find = Command::new("find");
            find.arg(parent).args(["-depth", "-type", "d"]);
            // A cgroup with a member stays for now.
            let _removed = find.args(["-exec", "rmdir", "{}", "+"]).output();
        }
        ours.iter().any(|it| it.exists())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.is_private {
            return;
        }
        let deadline = Deadline::start();
        let mut pids = self.processes();
        while !pids.is_empty() && !deadline.left().is_zero() {
            let pids_to_kill = pids.iter().map(|it| it.cast_signed());
            for pid in pids_to_kill.filter_map(Pid::from_raw) {
                // The process may have exited since.
                let _sent = kill_process(pid, Signal::KILL);
            }
            deadline.pause();
            pids = self.processes();
        }
        // A process that was killed is a member of its cgroup until it has exited. A cgroup that
        // stays belongs to another program.
        let patience = Deadline::after(Duration::from_secs(1));
        while self.has_parents() && !patience.left().is_zero() {
            patience.pause();
        }
    }
}

/// The cgroups with the names in [`PARENTS`], in every hierarchy.
fn parents() -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(top).into_iter().flatten().flatten();
    let mounts = below.map(|it| it.path()).chain([top.to_owned()]);
    let all = mounts.flat_map(|mount| PARENTS.map(|name| mount.join(name)));
    all.filter(|it| it.is_dir()).collect()
}
