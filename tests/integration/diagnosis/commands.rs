//! The command `probe why`.

use probe_tests::{Cgroup, Daemon, Deadline, Probe, Victim, mounts, record, run};
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
    assert_eq!(obstacles(&cgroup), std::slice::from_ref(&of_child));
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

#[test]
#[ignore = "needs root"]
fn a_trace_tells_how_long_a_slow_exit_took_and_what_it_waits_for() {
    let cgroup = Cgroup::v2("slow");
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket().to_str().expect("text");
    for source in [&[][..], &["--socket", socket]] {
        let args = [&["--cgroup", cgroup.path(), "--slow", "1ms"], source].concat();
        let mut trace = Probe::trace(&args);
        // This parent does not reap its child before it is told what holds the child.
        let (mut parent, pid) = Victim::ready(&["zombie"], &cgroup);
        let is_teardown = |line: &serde_json::Value| line["type"] == "teardown";
        let lasting = trace.wait_for(|it| is_teardown(it) && it["pid"] == pid);
        assert_eq!(lasting["is_complete"], false, "{lasting}");
        assert_eq!(lasting["reason"]["code"], "zombie", "{lasting}");
        assert_eq!(
            lasting["reason"]["parent"]["pid"],
            parent.pid(),
            "{lasting}"
        );
        let zombie_ns = record::number(&lasting, "zombie_ns");
        parent.kill();
        let is_last = |it: &serde_json::Value| is_teardown(it) && it["is_complete"] == true;
        let last = trace.wait_for(|it| is_last(it) && it["pid"] == pid);
        assert_eq!(record::number(&last, "zombie_ns"), zombie_ns, "{last}");
        assert!(
            record::number(&last, "reaped_ns") >= 1_000_000_000,
            "{last}"
        );
        assert!(last["reason"].is_null(), "{last}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_stuck_process_is_a_metric() {
    let cgroup = Cgroup::v2("metric");
    let daemon = Daemon::start(&[]);
    let zombies = || {
        let text = daemon.get("/metrics").text();
        let line = text.lines().find_map(|it| {
            it.strip_prefix("probe_stuck_processes{reason=\"zombie\"} ")
                .map(str::to_owned)
        });
        let count = line.unwrap_or_else(|| panic!("no such series in {text}"));
        count.parse::<u64>().expect("a number")
    };
    let _first = zombies();
    let (_parent, _pid) = Victim::ready(&["zombie"], &cgroup);
    Deadline::start().until("the zombie is counted", || zombies() > 0);
}

#[test]
#[ignore = "needs root"]
fn the_history_of_other_processes_is_not_that_of_the_target() {
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket().display();
    let cgroup = Cgroup::v2("others");
    let (mut other, _) = Victim::ready(&["ready", "pause"], &cgroup);
    other.kill();
    // A unit that is gone has no cgroup by which the history knows its exits.
    let output = run(&format!("why --unit probe-no-such --socket {socket}"));
    output.assert_refused(4, &["does not exist"]);
    let (living, _) = Victim::ready(&["ready", "pause"], &cgroup);
    let output = run(&format!("why --json {} --socket {socket}", living.pid()));
    assert_eq!(output.json().len(), 1, "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn the_name_of_a_process_reaches_no_terminal_as_an_escape() {
    let cgroup = Cgroup::v2("escape");
    let words = ["named", "a\u{1b}[31mb", "zombie"];
    let (_parent, pid) = Victim::ready(&words, &cgroup);
    for line in [
        format!("why {pid}"),
        format!("wait --until reaped -t 0.1 {pid}"),
    ] {
        let output = run(&line);
        let text = format!("{}{}", output.stdout, output.stderr);
        assert!(text.contains("hint: make a"), "{output:#?}");
        assert!(!text.contains('\u{1b}'), "{output:#?}");
    }
}
