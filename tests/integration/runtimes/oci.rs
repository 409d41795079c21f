//! runc and crun, controlled by their command line.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Runtime,
    container::{Place, said, script, succeed},
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
        write_bundle(program, bundle.path(), has_own_pids);
        Self {
            program,
            has_own_pids,
            place,
            bundle,
        }
    }

    /// Changes the configuration of the containers.
    pub(super) fn configure(&self, change: impl FnOnce(&mut Value)) {
        let config = self.bundle.path().join("config.json");
        let text = fs::read_to_string(&config).expect("our own bundle");
        let mut spec: Value = serde_json::from_str(&text).expect("JSON");
        change(&mut spec);
        fs::write(config, spec.to_string()).expect("our own bundle");
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
        let output = self.command().args(["delete", name]).output();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(said(&output))
    }

    fn clean_up(&self, name: &str) {
        let _deleted = self.command().args(["delete", "--force", name]).output();
        // crun leaves the cgroup of a container that failed to start.
        let cgroup = Path::new("/sys/fs/cgroup").join(name);
        let _removed = self.place.command("rmdir").arg(cgroup).output();
    }
}

/// Writes a bundle with the programs of this machine. It sets no limits, because setting them
/// needs a capability that a virtual machine may lack. It has no policy for devices either: crun
/// raises a limit before it loads the BPF program of the policy.
fn write_bundle(program: &str, bundle: &Path, has_own_pids: bool) {
    succeed(Command::new(program).arg("spec").current_dir(bundle));
    let config = bundle.join("config.json");
    let text = fs::read_to_string(&config).expect("the runtime wrote it");
    let mut spec: Value = serde_json::from_str(&text).expect("JSON");
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["sh", "-c", script()]);
    let process = spec["process"].as_object_mut().expect("an object");
    process.remove("rlimits");
    let linux = spec["linux"].as_object_mut().expect("an object");
    linux.remove("resources");
    let namespaces = spec["linux"]["namespaces"].as_array_mut();
    let namespaces = namespaces.expect("an array");
    namespaces.retain(|it| has_own_pids || it["type"] != "pid");
    let usr = json!({
        "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"],
    });
    spec["mounts"].as_array_mut().expect("an array").push(usr);
    fs::write(config, spec.to_string()).expect("our own bundle");
    make_root(&bundle.join("rootfs"));
}

/// Makes a root directory for a mount of `/usr`.
pub(super) fn make_root(root: &Path) {
    fs::create_dir_all(root.join("usr")).expect("our own bundle");
    for directory in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{directory}"), root.join(directory)).expect("our own bundle");
    }
}

/// A mount namespace with cgroup v2 alone, kept by a process.
#[derive(Debug)]
pub(super) struct PureV2 {
    holder: Child,
}

impl PureV2 {
    /// `None` if the namespace cannot be made.
    pub(super) fn new() -> Option<Self> {
        use std::io::BufRead;
        let script = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup || exit; \
                      echo ready; read end";
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare runs");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("piped");
        let read = std::io::BufReader::new(stdout).read_line(&mut line);
        let made = Self { holder };
        (read.is_ok() && line.trim() == "ready").then_some(made)
    }

    pub(super) fn place(&self) -> Place {
        Place {
            holder: Some(self.holder.id()),
        }
    }
}

impl Drop for PureV2 {
    fn drop(&mut self) {
        let _ended = self.holder.kill();
        let _reaped = self.holder.wait();
    }
}
