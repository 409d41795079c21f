//! A cgroup with processes in it, which is gone when its owner is done.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use super::interrupt::Interrupt;

/// Moves into the cgroup, says so, and becomes a process with nothing to do.
/// It ends by itself should this process be killed in a way that nothing can
/// be done about.
const MEMBER: &str = "echo $$ > \"$0/cgroup.procs\" && echo in && exec sleep 60 > /dev/null";

/// How long the last process may take to leave, when we clean up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Removes the directory and ends the processes when it is dropped.
pub(super) struct Cgroup {
    directory: PathBuf,
    members: Vec<Child>,
}

impl Cgroup {
    /// Makes one where this user may.
    pub(super) fn create() -> Result<Self> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").context("read mountinfo")?;
        let own = fs::read_to_string("/proc/self/cgroup").context("read /proc/self/cgroup")?;
        let mut refusal = anyhow!("no cgroup file system is mounted");
        for parent in parents(&mountinfo, &own) {
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
        fs::create_dir(&directory).with_context(|| format!("mkdir {}", directory.display()))?;
        let mut cgroup = Self {
            directory,
            members: Vec::new(),
        };
        cgroup.add_member()?;
        Ok(cgroup)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts one more process in it.
    pub(super) fn add_member(&mut self) -> Result<()> {
        let mut member = Command::new("sh")
            .args(["-c", MEMBER])
            .arg(&self.directory)
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
            bail!("cannot move a process into {}", self.directory.display());
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

    /// Freezes it where the kernel can (v2, Linux 5.2), and is back when it is.
    pub(super) fn freeze(&self) -> Result<()> {
        let file = self.directory.join("cgroup.freeze");
        if !file.exists() {
            return Ok(());
        }
        fs::write(file, "1").context("freeze")?;
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(self.events())?.contains("frozen 1") {
            if Instant::now() > deadline {
                bail!("{} does not freeze", self.directory.display());
            }
            thread::yield_now();
        }
        Ok(())
    }

    pub(super) fn thaw(&self) -> Result<()> {
        let file = self.directory.join("cgroup.freeze");
        if file.exists() {
            fs::write(file, "0").context("thaw")?;
        }
        Ok(())
    }

    /// The file that tells of changes; v2 only.
    pub(super) fn events(&self) -> PathBuf {
        self.directory.join("cgroup.events")
    }

    /// Reaps them on a thread of its own, as a container's parent does.
    pub(super) fn reap(&mut self) -> JoinHandle<()> {
        let members = std::mem::take(&mut self.members);
        thread::spawn(move || {
            for mut member in members {
                // It is killed, so it ends; it is ours, so it can be waited for.
                let _reaped = member.wait();
            }
        })
    }

    /// How many the kernel lists.
    pub(super) fn listed(&self) -> usize {
        fs::read_to_string(self.directory.join("cgroup.procs"))
            .map_or(0, |list| list.lines().count())
    }

    /// Kills all of them; says how, as one would type it.
    pub(super) fn kill(&mut self) -> String {
        let file = self.directory.join("cgroup.kill");
        if file.exists() && fs::write(&file, "1").is_ok() {
            return format!("echo 1 > {}", file.display());
        }
        for member in &mut self.members {
            // One that is gone already is what we want.
            let _gone = member.kill();
        }
        format!(
            "kill -KILL $(cat {}/cgroup.procs)",
            self.directory.display()
        )
    }

    /// Tries once.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir(&self.directory)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.directory.exists() {
            self.kill();
        }
        for member in &mut self.members {
            let _reaped = member.wait();
        }
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.remove() {
            if error.kind() == io::ErrorKind::NotFound {
                break;
            }
            if Instant::now() > deadline {
                eprintln!("left behind: {}: {error}", self.directory.display());
                break;
            }
            thread::yield_now();
        }
    }
}

/// Where a cgroup may be made: at the root of v2, below the one that we are
/// in (a user has one of its own under systemd), at the root of v1's pids.
fn parents(mountinfo: &str, own: &str) -> Vec<PathBuf> {
    let mut parents = Vec::new();
    if let Some(root) = mount_point(mountinfo, |kind, _| kind == "cgroup2") {
        parents.push(root.clone());
        let below = own.lines().find_map(|line| line.strip_prefix("0::/"));
        parents.extend(
            below
                .filter(|below| !below.is_empty())
                .map(|below| root.join(below)),
        );
    }
    parents.extend(mount_point(mountinfo, |kind, options| {
        kind == "cgroup" && options.split(',').any(|option| option == "pids")
    }));
    parents
}

/// Of the first mount whose type and options are wanted.
fn mount_point(mountinfo: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut file_system = file_system.split(' ');
        let (kind, options) = (file_system.next()?, file_system.nth(1)?);
        wanted(kind, options).then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(parents(HYBRID, own), expected.map(PathBuf::from));
    }

    #[test]
    fn a_machine_without_v2_has_the_pids_hierarchy() {
        let v1: String = HYBRID
            .lines()
            .filter(|line| !line.contains("cgroup2"))
            .fold(String::new(), |text, line| text + line + "\n");
        assert_eq!(
            parents(&v1, "3:pids:/job\n"),
            [PathBuf::from("/sys/fs/cgroup/pids")]
        );
    }
}
