//! The command `probe why`.

use probe_tests::{Cgroup, Daemon, Victim, run};

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
