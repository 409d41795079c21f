//! A container of runc that runs a shell script.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{Deadline, Running, bundle, requirements};

/// A running container. Dropping it deletes it with its processes.
#[derive(Debug)]
pub struct Runc {
    name: String,
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
        Self::start(own_name(label), script, true)
    }

    /// As [`Runc::in_host_pids`] with a fixed name. It panics if the name is taken.
    #[must_use]
    pub fn named(name: String, script: &str) -> Self {
        Self::start(name, script, false)
    }

    fn start(name: String, script: &str, has_own_pids: bool) -> Self {
        if !requirements::can_pivot_root() {
            requirements::inapplicable("pivot_root is refused on the initramfs");
        }
        let mut runc = requirements::tool("runc");
        assert!(state(&name).is_null(), "the container {name} exists");
        let bundle = tempfile::tempdir().expect("a bundle");
        bundle::write("runc", bundle.path(), script, has_own_pids);
        runc.args(["run", "--bundle"]).arg(bundle.path()).arg(&name);
        let process = Running::spawn(runc.stdin(Stdio::piped()));
        let runc = Self {
            name,
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

    /// A field of `runc state`; null if there is none.
    #[must_use]
    pub fn state(&self, field: &str) -> Value {
        state(&self.name)[field].clone()
    }

    /// Writes a line to the stdin of the script.
    pub fn release(&mut self) {
        let stdin = self.process.stdin.as_mut().expect("piped");
        stdin.write_all(b"\n").expect("the script reads it");
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        let _deleted = Command::new("runc")
            .args(["delete", "--force", &self.name])
            .output();
    }
}

fn own_name(label: &str) -> String {
    format!("probe-test-{}-{label}", std::process::id())
}

/// The output of `runc state`; null without such a container.
fn state(name: &str) -> Value {
    let output = Command::new("runc").args(["state", name]).output();
    let output = output.expect("runc runs");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}
