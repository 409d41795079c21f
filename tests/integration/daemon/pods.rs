//! The daemon and the pods of Kubernetes, with the bundle that containerd writes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use probe_tests::{Cgroup, Daemon, Deadline, Victim, probe};
use serde_json::json;

const UID: &str = "1b0fa1b4-7c4d-4f0e-9a3a-2f7d5d1c9e11";

/// A bundle in a namespace of its own, removed with the directories above it that were not there.
struct Bundle {
    top: PathBuf,
}

impl Bundle {
    fn write(id: &str, pod: &str) -> Self {
        let namespace = format!("probe-test-{}", std::process::id());
        let tasks = Path::new("/run/containerd/io.containerd.runtime.v2.task");
        let bundle = tasks.join(namespace).join(id);
        let missing = bundle.ancestors().filter(|it| !it.exists()).last();
        let top = missing.expect("the namespace is ours").to_owned();
        fs::create_dir_all(&bundle).expect("root may write to /run");
        let config = json!({ "annotations": {
            "io.kubernetes.cri.container-name": "nginx",
            "io.kubernetes.cri.sandbox-name": pod,
            "io.kubernetes.cri.sandbox-namespace": "prod",
            "io.kubernetes.cri.sandbox-uid": UID,
        }});
        let written = fs::write(bundle.join("config.json"), config.to_string());
        written.expect("our own bundle");
        Self { top }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.top).expect("our own bundle");
    }
}

#[test]
#[ignore = "needs root"]
fn a_pod_is_listed_while_it_lives_and_its_exits_are_found_after_it_is_gone() {
    let parent = Cgroup::v2("pods");
    let id = format!("{:064x}", parent.id());
    let name = format!("shop-{}", parent.id());
    let bundle = Bundle::write(&id, &name);
    let kubepods = parent.sub("kubepods");
    let pod = kubepods.sub(&format!("pod{UID}"));
    let cgroup = pod.sub(&id);
    let daemon = Daemon::start(&[]);
    let (mut victim, pid) = Victim::ready(&["crowd", "1", "1", "0"], &cgroup);
    let pod_name = format!("pod:prod/{name}");
    let live = || {
        let answer = daemon.get(&format!("/v1/containers/pod:prod%2F{name}"));
        (answer.status == 200).then(|| answer.json())
    };
    Deadline::start().until("the daemon knows the pod", || {
        live().is_some_and(|it| it["live"] == 1)
    });
    let answer = live().expect("the pod lives");
    assert_eq!(answer["processes"][0]["pid"], pid, "{answer}");
    assert_eq!(answer["pod"], format!("prod/{name}"), "{answer}");
    let socket = daemon.socket().to_str().expect("UTF-8");
    let listed = probe(&["ps", "--json", "--socket", socket, "--container", &pod_name]);
    assert_eq!(listed.json()[0]["pid"], pid, "{listed:#?}");
    cgroup.kill();
    victim.wait();
    drop((cgroup, pod, kubepods, bundle));
    for container in [&pod_name, &format!("prod/{name}/nginx"), &id] {
        let past = || {
            probe(&[
                "last",
                "--json",
                "--socket",
                socket,
                "--container",
                container,
            ])
        };
        Deadline::start().until("the exit is in the history", || past().json().len() == 1);
        let past = past();
        let exit = &past.json()[0];
        assert_eq!(exit["pid"], pid, "{past:#?}");
        assert_eq!(
            exit["container"]["pod"],
            format!("prod/{name}"),
            "{past:#?}"
        );
    }
    let never = probe(&["last", "--socket", socket, "--container", "pod:prod/never"]);
    never.assert_refused(4, &["pod:prod/never"]);
}
