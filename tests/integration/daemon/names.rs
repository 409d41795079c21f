//! Names of containers in a daemon with the privileges of the shipped unit: those of an ordinary
//! user and two capabilities.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    process::Command,
};

use probe_tests::{Cgroup, Daemon, Deadline, Runc, Running, conditions, requirements};
use serde_json::Value;
use tempfile::TempDir;

use super::Place;

const NAMED: &str = "4f5c2d1e0b9a8877665544332211ffeeddccbbaa99887766554433221100abcd";
const UNNAMED: &str = "4f5c2d1e0b9a8877665544332211ffeeddccbbaa99887766554433221100dcba";

/// A process in the cgroup, and its parent, which has the command line of a conmon of podman.
fn monitored(cgroup: &Cgroup, id: &str) -> (Running, TempDir) {
    let directory = TempDir::new().expect("a directory");
    let script = directory.path().join("conmon");
    let procs = cgroup.file("cgroup.procs");
    let member = format!(
        "sh -c 'echo $$ > {}; exec sleep 600' &\nwait\n",
        procs.display()
    );
    fs::write(&script, member).expect("our own directory");
    let mut conmon = Command::new("sh");
    conmon.arg0("/usr/bin/conmon").arg(&script);
    conmon.args(["-c", id, "-n", "web", "--exit-command", "/usr/bin/podman"]);
    (Running::spawn(&mut conmon), directory)
}

fn container(daemon: &Daemon, id: &str) -> Option<Value> {
    let answer = daemon.get(&format!("/v1/containers/{id}"));
    (answer.status == 200).then(|| answer.json())
}

#[test]
#[ignore = "needs root"]
fn a_daemon_without_rights_names_containers_by_their_monitor_and_never_wrongly() {
    requirements::require_bpf();
    // The directory with the state of runc exists, and only root may read it.
    let _secret = Runc::in_host_pids("secret", "read -r line");
    let place = Place::new();
    chown(place.directory.path(), Some(65534), Some(65534)).expect("root may change the owner");
    let daemon = place.serve_in(conditions::with_two_capabilities, "");
    let parent = Cgroup::v2("names");
    let cgroups = [NAMED, UNNAMED].map(|id| parent.sub(id));
    let _named = monitored(&cgroups[0], NAMED);
    let _unnamed = monitored(&cgroups[1], NAMED);
    for (id, runtime, name) in [
        (NAMED, "podman", Value::from("web")),
        (UNNAMED, "unknown", Value::Null),
    ] {
        let mut found = None;
        Deadline::start().until("the container is known", || {
            found = container(&daemon, id).filter(|it| it["live"] == 1 && it["name"] == name);
            found.is_some()
        });
        assert_eq!(found.expect("found")["runtime"], runtime);
    }
    daemon
        .stop()
        .assert_ended(0, &["names of containers are unknown", "--runtime-names"]);
}
