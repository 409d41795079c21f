//! The command `probe why`.

use probe_tests::{Cgroup, Daemon, Victim, mounts, run};
use rustix::mount::{UnmountFlags, unmount};

#[test]
#[ignore = "needs root"]
fn a_living_process_has_no_reason() {
    let cgroup = Cgroup::v2("living");
    let (victim, pid) = Victim::ready(&["ready", "pause"], &cgroup);
    for target in [pid.to_string(), format!("--cgroup {}", cgroup.path())] {
        let output = run(&format!("why --json {target}"));
        let line = output.json().remove(0);
        assert_eq!(line["survivors"][0]["pid"], victim.pid(), "{output:#?}");
        assert!(line["survivors"][0]["reason"].is_null(), "{output:#?}");
        let summary = line["summary"].as_str().unwrap_or_default();
        assert!(summary.ends_with("is alive"), "{output:#?}");
    }
}

#[test]
#[ignore = "needs root"]
fn the_history_tells_how_a_process_ended() {
    let daemon = Daemon::start(&[]);
    let cgroup = Cgroup::v2("ended");
    let (mut victim, pid) = Victim::ready(&["ready", "pause"], &cgroup);
    victim.kill();
    let socket = daemon.socket().display();
    let output = run(&format!("why --json {pid} --socket {socket}"));
    let lines = output.json();
    assert_eq!(lines[0]["survivors"].as_array().map(Vec::len), Some(0));
    assert_eq!(lines[1]["pid"], pid, "{output:#?}");
    assert_eq!(lines[1]["status"]["signal"], "SIGKILL", "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_process_that_never_existed_is_an_error() {
    let output = run("why 4194303 --socket /nonexistent/probe.sock");
    output.assert_refused(4, &["does not exist", "hint:"]);
}

/// The codes and the paths of what keeps a cgroup without processes.
fn obstacles(cgroup: &Cgroup) -> Vec<(String, String)> {
    let output = run(&format!("why --json --cgroup {}", cgroup.path()));
    let line = output.json().remove(0);
    let obstacles = line["obstacles"].as_array().expect("an array");
    let word =
        |it: &serde_json::Value, field: &str| it[field].as_str().unwrap_or_default().to_owned();
    obstacles
        .iter()
        .map(|it| (word(it, "code"), word(it, "path")))
        .collect()
}

#[test]
#[ignore = "needs root"]
fn an_empty_cgroup_that_rmdir_does_not_remove_tells_what_keeps_it() {
    let cgroup = Cgroup::v2("busy");
    assert_eq!(obstacles(&cgroup), []);
    let child = cgroup.sub("child");
    let of_child = ("children".to_owned(), child.path().to_owned());
    assert_eq!(obstacles(&cgroup), [of_child.clone()]);
    let output = run(&format!(
        "wait --until removed -t 0.1 --cgroup {}",
        cgroup.path()
    ));
    let told = format!("rmdir fails while the cgroup {} is below it", child.path());
    output.assert_ended(3, &[&told, "probe kill --rm"]);

    mounts::mount_at("tmpfs", child.path(), None).expect("root may mount");
    let found = obstacles(&cgroup);
    unmount(child.path(), UnmountFlags::DETACH).expect("mounted above");
    let mount = ("mount".to_owned(), child.path().to_owned());
    assert_eq!(found, [mount, of_child]);
}
