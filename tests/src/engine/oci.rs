//! runc and crun, controlled by their command line.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Engine, Pids, Place, attempt, script, succeed};
use crate::bundle;

/// A runtime and the bundle of its containers.
#[derive(Debug)]
pub struct Oci {
    program: &'static str,
    pids: Pids,
    place: Place,
    bundle: TempDir,
    /// The directory of the state, if it is not the default.
    root: Option<String>,
}

/// The root of [`Engine::twin`].
const TWIN: &str = "/run/twin";

/// The cgroup in which [`Oci::as_docker`] makes others.
const PARENT: &str = "/probe-test-twin";

impl Oci {
    /// Writes the bundle.
    #[must_use]
    pub fn new(program: &'static str, pids: Pids, place: Place) -> Self {
        let bundle = tempfile::tempdir_in(place.scratch()).expect("a bundle");
        let spec = place.command(program);
        bundle::write(spec, bundle.path(), &script(), pids == Pids::Own);
        Self {
            program,
            pids,
            place,
            bundle,
            root: None,
        }
    }

    /// The runtime with its containers in a cgroup that looks like one of Docker.
    #[must_use]
    pub fn as_docker(self) -> Self {
        let cgroup = format!("{PARENT}/docker/{:064x}", std::process::id());
        self.configure(|spec| spec["linux"]["cgroupsPath"] = json!(cgroup));
        self
    }

    /// Changes the configuration of the containers.
    pub fn configure(&self, change: impl FnOnce(&mut Value)) {
        bundle::change(self.bundle.path(), change);
    }

    /// Creates `/go` in the containers.
    pub fn release(&self) {
        let go = self.bundle.path().join("rootfs/go");
        fs::write(go, "").expect("our own bundle");
    }

    fn command(&self) -> Command {
        let mut command = self.place.command(self.program);
        command.args(self.root.iter().flat_map(|root| ["--root", root]));
        command
    }

    fn default_root(&self) -> String {
        format!("/run/{}", self.program)
    }
}

impl Engine for Oci {
    fn runtime(&self) -> &'static str {
        self.program
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, name: &str) -> Result<(), String> {
        let log = self.bundle.path().join("log");
        let stderr = fs::File::create(&log).expect("our own bundle");
        let status = self
            .command()
            .args(["run", "--detach", "--bundle"])
            .arg(self.bundle.path())
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .status()
            .map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(());
        }
        Err(fs::read_to_string(log).unwrap_or_default())
    }

    fn init(&self, name: &str) -> u32 {
        let state = succeed(self.command().args(["state", name]));
        let state: Value = serde_json::from_str(&state).expect("JSON");
        let pid = state["pid"].as_u64().expect("a pid");
        self.place.outer_pid(u32::try_from(pid).expect("a pid"))
    }

    fn kill(&self, name: &str) {
        let mut command = self.command();
        command.arg("kill");
        if self.pids == Pids::Host {
            // Without `--all`, runc before 1.2 kills only init.
            command.arg("--all");
        }
        succeed(command.args([name, "KILL"]));
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        attempt(self.command().args(["delete", name])).map(drop)
    }

    fn clean_up(&self, name: &str) {
        let _deleted = self.command().args(["delete", "--force", name]).output();
        for mount in self.place.hierarchies() {
            // crun leaves the cgroup of a container that failed to start.
            for cgroup in [name, &format!("{PARENT}/docker")[1..], &PARENT[1..]] {
                let cgroup = mount.join(cgroup);
                let below = cgroup.strip_prefix("/").expect("absolute");
                let _removed = fs::remove_dir(self.place.root().join(below));
            }
        }
    }

    fn target(&self, name: &str) -> Vec<String> {
        let root = self.root.clone().unwrap_or_else(|| self.default_root());
        words(&["--runtime-root", &root, "--container", name])
    }

    fn ambiguous(&self, name: &str) -> Option<Vec<String>> {
        let root = self.default_root();
        Some(words(&[
            "--runtime-root",
            &root,
            "--runtime-root",
            TWIN,
            "--container",
            name,
        ]))
    }

    fn twin(&self) -> Box<dyn Engine> {
        let twin = Self {
            root: Some(TWIN.to_owned()),
            ..Self::new(self.program, self.pids, self.place.clone())
        };
        Box::new(twin.as_docker())
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|it| (*it).to_owned()).collect()
}
