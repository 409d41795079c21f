//! podman with runc and its own store.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use probe_tests::bundle::make_root;
use tempfile::TempDir;

use super::{
    Runtime,
    container::{Place, run, script, succeed},
};

/// A runtime for podman: removes the limits from the bundle, which need a capability that a
/// virtual machine may lack, and executes runc.
const WRAPPER: &str = r#"before=
for word; do
    if [ "$before" = --bundle ] && [ -f "$word/config.json" ]; then
        jq 'del(.process.rlimits)' "$word/config.json" >"$word/config.new" &&
            mv "$word/config.new" "$word/config.json"
    fi
    before=$word
done
exec runc "$@"
"#;

#[derive(Debug)]
pub(super) struct Podman {
    directory: TempDir,
    place: Place,
}

impl Podman {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let wrapper = directory.path().join("runtime");
        // podman sets its own PATH, which lacks the directory of an unpacked runc.
        let path = succeed(Command::new("sh").args(["-c", "echo \"$PATH\""]));
        let script = format!("#!/bin/sh\nPATH='{path}'\n{WRAPPER}");
        fs::write(&wrapper, script).expect("a file");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("a file");
        let root = directory.path().join("rootfs");
        for below in ["proc", "sys", "dev", "run", "tmp", "etc", "var"] {
            fs::create_dir_all(root.join(below)).expect("a directory");
        }
        make_root(&root);
        Self {
            directory,
            place: Place::default(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        let at = |below: &str| self.directory.path().join(below);
        command
            .arg("--root")
            .arg(at("store"))
            .arg("--runroot")
            .arg(at("run"))
            .arg("--tmpdir")
            .arg(at("tmp"))
            .arg("--runtime")
            .arg(at("runtime"))
            .args(["--cgroup-manager=cgroupfs", "--storage-driver=vfs"])
            .arg("--events-backend=file");
        command
    }
}

impl Runtime for Podman {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn try_start(&self, name: &str) -> Result<u32, String> {
        let mut command = self.command();
        command
            .args(["run", "--detach", "--network=none", "--name", name])
            .args(["--volume", "/usr:/usr:ro", "--rootfs"])
            .arg(self.directory.path().join("rootfs"))
            .args(["sh", "-c", &script()]);
        run(&mut command)?;
        let inspect = ["inspect", "--format", "{{.State.Pid}}", name];
        let pid = succeed(self.command().args(inspect));
        Ok(pid.parse().expect("a pid"))
    }

    fn kill(&self, name: &str) {
        succeed(self.command().args(["kill", "--signal", "KILL", name]));
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        run(self.command().args(["rm", name])).map(drop)
    }

    fn clean_up(&self, name: &str) {
        let remove = ["rm", "--force", "--time", "0", name];
        let _removed = self.command().args(remove).output();
    }
}
