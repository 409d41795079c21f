//! A cgroup with processes in it, which is removed with them when it is dropped.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use probe_fixture::{Mount, Scratch, mounts};

use super::interrupt::Interrupt;

/// Moves into the cgroup, says so, and becomes a process with nothing to do.
/// It ends by itself should this process be killed in a way that nothing can
/// be done about.
const MEMBER: &str = "echo $$ > \"$0/cgroup.procs\" && echo in && exec sleep 60 > /dev/null";

/// How long the cgroup may take to freeze.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends and reaps its processes when it is dropped.
pub(super) struct Cgroup {
    scratch: Scratch,
    members: Vec<Child>,
}

impl Cgroup {
    /// Makes one where this user may.
    pub(super) fn create() -> Result<Self> {
        let mounts = mounts().context("read mountinfo")?;
        let own = fs::read_to_string("/proc/self/cgroup").context("read /proc/self/cgroup")?;
        let mut refusal = anyhow!("no cgroup file system is mounted");
        for parent in parents(&mounts, &own) {
            match Self::create_below(&parent) {
                Ok(cgroup) => return Ok(cgroup),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// With a first process in it: making a directory and filling it take
    /// different rights.
    fn create_below(parent: &Path) -> Result<Self> {
        let directory = parent.join(format!("probe-demo-{}", process::id()));
        let mkdir = || format!("mkdir {}", directory.display());
        let mut cgroup = Self {
            scratch: Scratch::create(directory.clone()).with_context(mkdir)?,
            members: Vec::new(),
        };
        cgroup.add_member()?;
        Ok(cgroup)
    }

    pub(super) fn directory(&self) -> &Path {
        self.scratch.directory()
    }

    /// Starts one more process in it.
    pub(super) fn add_member(&mut self) -> Result<()> {
        let mut member = Command::new("sh")
            .args(["-c", MEMBER])
            .arg(self.directory())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start a process")?;
        let stdout = member.stdout.take();
        self.members.push(member);
        let mut said = String::new();
        stdout.context("its output")?.read_to_string(&mut said)?;
        if said.is_empty() {
            bail!("cannot move a process into {}", self.directory().display());
        }
        Ok(())
    }

    /// Starts so many that there are `count`.
    pub(super) fn fill(&mut self, count: usize, interrupt: &Interrupt) -> Result<()> {
        while self.members.len() < count {
            self.add_member()?;
            interrupt.check()?;
        }
        Ok(())
    }

    /// Of all that were started.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(Child::id).collect()
    }

    /// Freezes it where the kernel can (v2, Linux 5.2), and returns when it is frozen.
    pub(super) fn freeze(&self) -> Result<()> {
        if !self.can_freeze() {
            return Ok(());
        }
        let frozen = self.scratch.freeze(PATIENCE);
        frozen.with_context(|| format!("freeze {}", self.directory().display()))
    }

    pub(super) fn thaw(&self) -> Result<()> {
        if !self.can_freeze() {
            return Ok(());
        }
        self.scratch.thaw().context("thaw")
    }

    fn can_freeze(&self) -> bool {
        self.scratch.file("cgroup.freeze").exists()
    }

    /// The file that tells of changes; v2 only.
    pub(super) fn events(&self) -> PathBuf {
        self.scratch.file("cgroup.events")
    }

    /// Reaps its processes on a thread, as a container's parent does.
    pub(super) fn reap(&mut self) -> JoinHandle<()> {
        let members = std::mem::take(&mut self.members);
        thread::spawn(move || {
            for mut member in members {
                // It is killed, so it ends; it is ours, so it can be waited for.
                let _reaped = member.wait();
            }
        })
    }

    /// The number of processes that the kernel lists.
    pub(super) fn listed(&self) -> usize {
        self.scratch.procs().len()
    }

    /// Kills all of them; returns the shell command that does the same.
    pub(super) fn kill(&mut self) -> String {
        let file = self.scratch.file("cgroup.kill");
        if file.exists() && fs::write(&file, "1").is_ok() {
            return format!("echo 1 > {}", file.display());
        }
        for member in &mut self.members {
            // One that is gone already is what we want.
            let _gone = member.kill();
        }
        format!(
            "kill -KILL $(cat {}/cgroup.procs)",
            self.directory().display()
        )
    }

    /// Tries once.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir(self.directory())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.directory().exists() {
            self.kill();
        }
        for member in &mut self.members {
            let _reaped = member.wait();
        }
    }
}

/// Where a cgroup may be made: at the root of v2, below the one that we are
/// in (a user has one of its own under systemd), at the root of v1's pids.
fn parents(mounts: &[Mount], own: &str) -> Vec<PathBuf> {
    let mut parents = Vec::new();
    if let Some(Mount { point, .. }) = mounts.iter().find(|it| it.is_v2) {
        parents.push(point.clone());
        let below = own.lines().find_map(|line| line.strip_prefix("0::/"));
        let below = below.filter(|below| !below.is_empty());
        parents.extend(below.map(|below| point.join(below)));
    }
    let pids = mounts.iter().find(|it| it.has_controller("pids"));
    parents.extend(pids.map(|it| it.point.clone()));
    parents
}

#[cfg(test)]
mod tests {
    use probe_fixture::parse;

    use super::*;

    const HYBRID: &str = "\
29 23 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
30 29 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
33 29 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 29 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
";

    #[test]
    fn v2_comes_before_v1_and_the_root_before_what_is_ours() {
        let own = "3:pids:/job\n0::/user.slice/job\n";
        let expected = [
            "/sys/fs/cgroup/unified",
            "/sys/fs/cgroup/unified/user.slice/job",
            "/sys/fs/cgroup/pids",
        ];
        assert_eq!(parents(&parse(HYBRID), own), expected.map(PathBuf::from));
    }

    #[test]
    fn a_machine_without_v2_has_the_pids_hierarchy() {
        let v1: String = HYBRID
            .lines()
            .filter(|line| !line.contains("cgroup2"))
            .fold(String::new(), |text, line| text + line + "\n");
        assert_eq!(
            parents(&parse(&v1), "3:pids:/job\n"),
            [PathBuf::from("/sys/fs/cgroup/pids")]
        );
    }
}
