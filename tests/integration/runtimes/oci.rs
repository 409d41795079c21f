//! runc and crun, controlled by their command line.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use probe_tests::{Running, bundle};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Runtime,
    container::{Place, run, script, succeed},
};

/// A runtime and the bundle of its containers.
#[derive(Debug)]
pub(super) struct Oci {
    program: &'static str,
    has_own_pids: bool,
    place: Place,
    bundle: TempDir,
}

impl Oci {
    pub(super) fn new(program: &'static str, has_own_pids: bool, place: Place) -> Self {
        let bundle = tempfile::tempdir().expect("a bundle");
        bundle::write(program, bundle.path(), &script(), has_own_pids);
        Self {
            program,
            has_own_pids,
            place,
            bundle,
        }
    }

    /// Changes the configuration of the containers.
    pub(super) fn configure(&self, change: impl FnOnce(&mut Value)) {
        bundle::change(self.bundle.path(), change);
    }

    /// Creates `/go` in the containers.
    pub(super) fn release(&self) {
        let go = self.bundle.path().join("rootfs/go");
        fs::write(go, "").expect("our own bundle");
    }

    fn command(&self) -> Command {
        self.place.command(self.program)
    }
}

impl Runtime for Oci {
    fn name(&self) -> &'static str {
        self.program
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn try_start(&self, name: &str) -> Result<u32, String> {
        let log = self.bundle.path().join("log");
        let said_to = fs::File::create(&log).expect("our own bundle");
        let status = self
            .command()
            .args(["run", "--detach", "--bundle"])
            .arg(self.bundle.path())
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said_to)
            .status()
            .map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(fs::read_to_string(log).unwrap_or_default());
        }
        let state = succeed(self.command().args(["state", name]));
        let state: Value = serde_json::from_str(&state).expect("JSON");
        let pid = state["pid"].as_u64().expect("a pid");
        Ok(u32::try_from(pid).expect("a pid"))
    }

    fn kill(&self, name: &str) {
        let mut command = self.command();
        command.arg("kill");
        if !self.has_own_pids {
            // Without `--all`, runc before 1.2 kills only init.
            command.arg("--all");
        }
        succeed(command.args([name, "KILL"]));
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        run(self.command().args(["delete", name])).map(drop)
    }

    fn clean_up(&self, name: &str) {
        let _deleted = self.command().args(["delete", "--force", name]).output();
        // crun leaves the cgroup of a container that failed to start.
        let cgroup = Path::new("/sys/fs/cgroup").join(name);
        let _removed = self.place.command("rmdir").arg(cgroup).output();
    }
}

/// A mount namespace with cgroup v2 alone, kept by a process.
#[derive(Debug)]
pub(super) struct PureV2 {
    holder: Running,
}

impl PureV2 {
    /// `None` if the namespace cannot be made.
    pub(super) fn new() -> Option<Self> {
        let script = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup || exit; \
                      echo ready; read end";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let holder = Running::spawn(command.stderr(Stdio::null()));
        (holder.next_line()? == "ready").then_some(Self { holder })
    }

    pub(super) fn place(&self) -> Place {
        Place {
            holder: Some(self.holder.pid()),
        }
    }
}
