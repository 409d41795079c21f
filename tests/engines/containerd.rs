//! containerd, controlled by ctr.

use std::{
    process::{Command, Stdio},
    rc::Rc,
};

use probe_tests::{
    Deadline, Running,
    engine::{Engine, Pids, Place, View, attempt, script, succeed},
};

use crate::{
    cell::{Started, require, version},
    image,
};

struct Containerd {
    place: Place,
    pids: Pids,
    namespace: &'static str,
    daemon: Rc<Running>,
}

cells!("containerd", start);

fn start(place: &Place, pids: Pids) -> Started<Containerd> {
    require(place, "/usr/bin/ctr")?;
    image::write(place)?;
    let version = version(&attempt(place.command("containerd").arg("--version"))?);
    let mut daemon = place.command("containerd");
    daemon
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let daemon = Rc::new(Running::spawn(&mut daemon));
    let [containerd, twin] = ["default", "twin"].map(|namespace| Containerd {
        place: place.clone(),
        pids,
        namespace,
        daemon: Rc::clone(&daemon),
    });
    Deadline::start().until("containerd answers", || {
        attempt(containerd.command().arg("version")).is_ok() || !daemon.is_running()
    });
    for it in [&containerd, &twin] {
        let import = [
            "images",
            "import",
            "--snapshotter",
            "native",
            image::ARCHIVE,
        ];
        attempt(it.command().args(import))?;
    }
    Ok((containerd, version))
}

impl Containerd {
    fn command(&self) -> Command {
        let mut command = self.place.command("ctr");
        command.args(["--namespace", self.namespace]);
        command
    }
}

impl Engine for Containerd {
    fn runtime(&self) -> &'static str {
        "containerd"
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn start(&self, name: &str) -> Result<(), String> {
        let mut run = self.command();
        run.args(["run", "--detach", "--null-io", "--snapshotter", "native"]);
        if self.pids == Pids::Host {
            run.args(["--with-ns", "pid:/proc/self/ns/pid"]);
        }
        attempt(run.args([image::NAME, name, "sh", "-c", &script()])).map(drop)
    }

    fn init(&self, name: &str) -> u32 {
        let tasks = succeed(self.command().args(["task", "ls"]));
        let task = tasks
            .lines()
            .map(|it| it.split_whitespace().collect::<Vec<_>>());
        let task = task.into_iter().find(|it| it.first() == Some(&name));
        task.expect("a task")[1].parse().expect("a pid")
    }

    fn kill(&self, name: &str) {
        succeed(
            self.command()
                .args(["task", "kill", "--all", "--signal", "KILL", name]),
        );
    }

    fn remove(&self, name: &str) -> Result<(), String> {
        attempt(self.command().args(["task", "rm", name]))?;
        attempt(self.command().args(["containers", "rm", name])).map(drop)
    }

    fn settle(&self, name: &str) {
        let tasks = || succeed(self.command().args(["task", "ls"]));
        let is_it = |line: &str| line.starts_with(name) && line.contains("STOPPED");
        Deadline::start().until("the task is STOPPED", || tasks().lines().any(is_it));
    }

    fn clean_up(&self, name: &str) {
        let _removed = self
            .command()
            .args(["task", "rm", "--force", name])
            .output();
        let _removed = self.command().args(["containers", "rm", name]).output();
    }

    fn target(&self, name: &str) -> Vec<String> {
        let name = format!("{}/{name}", self.namespace);
        vec!["--container".to_owned(), name]
    }

    fn twin(&self) -> Box<dyn Engine> {
        Box::new(Self {
            place: self.place.clone(),
            namespace: "twin",
            daemon: Rc::clone(&self.daemon),
            pids: self.pids,
        })
    }
}
