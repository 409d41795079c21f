//! Docker with its own containerd.

use std::process::{Command, Stdio};

use probe_tests::{
    Deadline, Running,
    engine::{Engine, Pids, Place, View, attempt, script, succeed},
};

use crate::{
    cell::{Started, require},
    image,
    systemd::Machine,
};

pub(crate) struct Docker {
    daemon: Running,
    /// The machine in which the daemon runs, if it is not this one. Dropped before its place.
    machine: Option<Machine>,
    place: Place,
    pids: Pids,
}

cells!("Docker", |place, pids| {
    image::write(place)?;
    start(place, pids, None)
});

/// Starts the daemon and loads the image.
pub(crate) fn start(place: &Place, pids: Pids, machine: Option<Machine>) -> Started<Docker> {
    require(place, "/usr/sbin/dockerd")?;
    let mut daemon = place.command("dockerd");
    daemon.args(["--iptables=false", "--ip6tables=false", "--bridge=none"]);
    daemon.args(["--storage-driver=vfs"]);
    daemon
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let daemon = Running::spawn(&mut daemon);
    let docker = Docker {
        place: place.clone(),
        pids,
        daemon,
        machine,
    };
    let format = ["version", "--format", "{{.Server.Version}}"];
    let mut version = Err(String::new());
    Deadline::start().until("dockerd answers", || {
        version = attempt(docker.command().args(format));
        version.is_ok() || !docker.daemon.is_running()
    });
    attempt(docker.command().args(["load", "--input", image::ARCHIVE]))?;
    Ok((docker, crate::cell::version(&version?)))
}

impl Docker {
    fn command(&self) -> Command {
        self.place.command("docker")
    }
}

impl Engine for Docker {
    fn runtime(&self) -> &'static str {
        "docker"
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
        self.place.outer_pid(pid.parse().expect("a pid"))
    }

    fn kill(&self, name: &str) {
        succeed(self.command().args(["kill", name]));
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        attempt(self.command().args(["rm", name])).map(drop)
    }

    fn settle(&self, name: &str) {
        succeed(self.command().args(["wait", name]));
    }

    fn clean_up(&self, name: &str) {
        let _removed = self.command().args(["rm", "--force", name]).output();
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if self.machine.is_none() {
            self.daemon.signal(rustix::process::Signal::TERM);
            let _status = self.daemon.wait();
        }
    }
}
