//! A container of runc that runs a shell script.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{Deadline, Running, bundle, requirements};

/// A running container. Dropping it deletes it with its processes.
#[derive(Debug)]
pub struct Runc {
    name: String,
    root: Option<PathBuf>,
    process: Running,
    _bundle: tempfile::TempDir,
}

impl Runc {
    /// Runs a script for `sh` in the pid namespace of the host.
    #[must_use]
    pub fn in_host_pids(label: &str, script: &str) -> Self {
        Self::named(own_name(label), script)
    }

    /// Runs a script for `sh` in a new pid namespace.
    #[must_use]
    pub fn in_own_pids(label: &str, script: &str) -> Self {
        Self::start(own_name(label), script, true, NOT_PLACED)
    }

    /// As [`Runc::in_host_pids`] with a fixed name. It panics if the name is taken.
    #[must_use]
    pub fn named(name: String, script: &str) -> Self {
        Self::start(name, script, false, NOT_PLACED)
    }

    /// As [`Runc::in_own_pids`], with its state in `root` and this path as its cgroup.
    #[must_use]
    pub fn placed(label: &str, script: &str, root: &Path, cgroup: &str) -> Self {
        Self::configured(label, script, root, |spec| {
            spec["linux"]["cgroupsPath"] = json!(cgroup);
        })
    }

    /// As [`Runc::in_own_pids`], with its state in `root` and a changed configuration.
    #[must_use]
    pub fn configured(
        label: &str,
        script: &str,
        root: &Path,
        configure: impl FnOnce(&mut Value),
    ) -> Self {
        Self::start(own_name(label), script, true, Some((root, configure)))
    }

    fn start(
        name: String,
        script: &str,
        has_own_pids: bool,
        placed: Option<(&Path, impl FnOnce(&mut Value))>,
    ) -> Self {
        if !requirements::can_pivot_root() {
            requirements::inapplicable("pivot_root is refused on the initramfs");
        }
        let _installed = requirements::tool("runc");
        let (root, configure) = placed.unzip();
        let root = root.map(Path::to_owned);
        let mut runc = command(root.as_deref());
        let is_taken = !state(root.as_deref(), &name).is_null();
        assert!(!is_taken, "the container {name} exists");
        let bundle = tempfile::tempdir().expect("a bundle");
        bundle::write(Command::new("runc"), bundle.path(), script, has_own_pids);
        if let Some(configure) = configure {
            bundle::change(bundle.path(), configure);
        }
        runc.args(["run", "--bundle"]).arg(bundle.path());
        // Otherwise runc deletes the container when it ends.
        runc.args(root.is_some().then_some("--detach")).arg(&name);
        let process = Running::spawn(runc.stdin(Stdio::piped()));
        let runc = Self {
            name,
            root,
            process,
            _bundle: bundle,
        };
        Deadline::start().until("the container runs", || runc.state("status") == "running");
        runc
    }

    /// The name, which is the id.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command of runc for this container.
    #[must_use]
    pub fn run(&self, verb: &str) -> Output {
        let output = command(self.root.as_deref())
            .args([verb, &self.name])
            .output();
        output.expect("runc runs")
    }

    /// A field of `runc state`; null if there is none.
    #[must_use]
    pub fn state(&self, field: &str) -> Value {
        state(self.root.as_deref(), &self.name)[field].clone()
    }

    /// Writes a line to the stdin of the script.
    pub fn release(&mut self) {
        let stdin = self.process.stdin.as_mut().expect("piped");
        stdin.write_all(b"\n").expect("the script reads it");
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        let _deleted = command(self.root.as_deref())
            .args(["delete", "--force", &self.name])
            .output();
    }
}

/// A change of the configuration.
type Change = fn(&mut Value);

/// A container with its state in the default directory and an unchanged configuration.
const NOT_PLACED: Option<(&Path, Change)> = None;

fn own_name(label: &str) -> String {
    format!("probe-test-{}-{label}", std::process::id())
}

/// `runc` with its state in `root`, by default in its own directory.
fn command(root: Option<&Path>) -> Command {
    let mut runc = Command::new("runc");
    if let Some(root) = root {
        runc.arg("--root").arg(root);
    }
    runc
}

/// The output of `runc state`; null without such a container.
fn state(root: Option<&Path>, name: &str) -> Value {
    let output = command(root).args(["state", name]).output();
    let output = output.expect("runc runs");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}
