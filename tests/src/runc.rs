//! A container of runc that runs a shell script.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{Deadline, requirements};

/// A running container. Dropping it deletes it with its processes.
#[derive(Debug)]
pub struct Runc {
    name: String,
    child: Child,
    _bundle: tempfile::TempDir,
}

/// The pid namespace of a container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pids {
    Own,
    OfHost,
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
        Self::start(own_name(label), script, Pids::Own)
    }

    /// As [`Runc::in_host_pids`] with a fixed name. It panics if the name is taken.
    #[must_use]
    pub fn named(name: String, script: &str) -> Self {
        Self::start(name, script, Pids::OfHost)
    }

    fn start(name: String, script: &str, pids: Pids) -> Self {
        if !requirements::can_pivot_root() {
            requirements::inapplicable("pivot_root is refused on the initramfs");
        }
        let mut runc = requirements::tool("runc");
        assert!(state(&name).is_null(), "the container {name} exists");
        let bundle = tempfile::tempdir().expect("a bundle");
        write_bundle(bundle.path(), script, pids);
        let child = runc
            .args(["run", "--bundle"])
            .arg(bundle.path())
            .arg(&name)
            .stdin(Stdio::piped())
            .spawn()
            .expect("runc runs");
        let runc = Self {
            name,
            child,
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
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(b"\n").expect("the script reads it");
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        let _deleted = Command::new("runc")
            .args(["delete", "--force", &self.name])
            .output();
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
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

/// Writes a bundle with the programs of this machine, read-only. It sets no limits, because
/// setting them needs a capability that a virtual machine may lack.
fn write_bundle(bundle: &Path, script: &str, pids: Pids) {
    let spec = Command::new("runc")
        .args(["spec", "--bundle"])
        .arg(bundle)
        .status();
    let spec = spec.expect("runc runs");
    assert!(spec.success(), "runc spec: {spec}");
    let config = bundle.join("config.json");
    let text = fs::read_to_string(&config).expect("runc wrote it");
    let mut spec: Value = serde_json::from_str(&text).expect("JSON");
    let process = spec["process"].as_object_mut().expect("an object");
    process.insert("terminal".to_owned(), json!(false));
    process.insert("args".to_owned(), json!(["sh", "-c", script]));
    process.remove("rlimits");
    let namespaces = spec["linux"]["namespaces"].as_array_mut();
    let namespaces = namespaces.expect("an array");
    namespaces.retain(|it| it["type"] != "pid" || pids == Pids::Own);
    let mounts = spec["mounts"].as_array_mut().expect("an array");
    mounts.push(json!({
        "destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"],
    }));
    fs::write(config, spec.to_string()).expect("our own bundle");
    let root = bundle.join("rootfs");
    fs::create_dir(&root).expect("our own bundle");
    for directory in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{directory}"), root.join(directory)).expect("our own bundle");
    }
}
