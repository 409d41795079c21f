//! podman of root, with runc.

use std::process::Command;

use probe_tests::engine::{Engine, Pids, Place, View, attempt, script, succeed};

use crate::{
    cell::{Started, require, version},
    image,
};

pub(crate) struct Podman {
    place: Place,
    pids: Pids,
    /// The words of a command that runs podman as its user.
    user: Vec<String>,
}

cells!("podman", |place, pids| start(place, pids, &[]));

/// Loads the image.
pub(crate) fn start(place: &Place, pids: Pids, user: &[&str]) -> Started<Podman> {
    require(place, "/usr/bin/podman")?;
    image::write(place)?;
    let user = user.iter().map(|it| (*it).to_owned()).collect();
    let place = place.clone();
    let podman = Podman { place, pids, user };
    let version = version(&attempt(podman.command().arg("--version"))?);
    attempt(podman.command().args(["load", "--input", image::ARCHIVE]))?;
    Ok((podman, version))
}

impl Podman {
    fn command(&self) -> Command {
        let mut command = match self.user.split_first() {
            None => self.place.command("podman"),
            Some((program, words)) => {
                let mut command = self.place.command(program);
                command.args(words).arg("podman");
                command
            }
        };
        command.args(["--cgroup-manager=cgroupfs", "--storage-driver=vfs"]);
        command.args(["--events-backend=file", "--runtime=runc"]);
        command
    }
}

impl Engine for Podman {
    fn runtime(&self) -> &'static str {
        "podman"
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, name: &str) -> Result<(), String> {
        let mut run = self.command();
        run.args(["run", "--detach", "--network=none", "--name", name]);
        run.args((self.pids == Pids::Host).then_some("--pid=host"));
        attempt(run.args([image::NAME, "sh", "-c", &script()])).map(drop)
    }

    fn init(&self, name: &str) -> u32 {
        let inspect = ["inspect", "--format", "{{.State.Pid}}", name];
        let pid = succeed(self.command().args(inspect));
        pid.parse().expect("a pid")
    }

    fn kill(&self, name: &str) {
        succeed(self.command().args(["kill", "--signal", "KILL", name]));
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        attempt(self.command().args(["rm", name])).map(drop)
    }

    fn settle(&self, name: &str) {
        succeed(self.command().args(["wait", name]));
    }

    /// A name means a container of root rather than one of a user.
    fn ambiguous(&self, name: &str) -> Option<Vec<String>> {
        let is_root = self.user.is_empty();
        is_root.then(|| vec!["--container".to_owned(), name.to_owned()])
    }

    fn clean_up(&self, name: &str) {
        let remove = ["rm", "--force", "--time", "0", name];
        let _removed = self.command().args(remove).output();
    }
}

/// Ends the process with which podman keeps the namespaces of its user.
impl Drop for Podman {
    fn drop(&mut self) {
        let end = "for it in /run/user/*/libpod/tmp/pause.pid; do kill -9 $(cat $it); done";
        let _ended = self.place.script(end).output();
    }
}
