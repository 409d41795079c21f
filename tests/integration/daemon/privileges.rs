//! Privileges of a serving daemon, read from `/proc`.

use std::{fs, os::unix::fs::chown};

use probe_tests::{Daemon, and_probe, conditions, requirements};

use super::{Place, mode_and_group};

const DAC_READ_SEARCH: u64 = 1 << 2;
const PERFMON: u64 = 1 << 38;
const BPF: u64 = 1 << 39;

/// Asserts that every thread has at most these capabilities and cannot get more.
fn assert_confined(daemon: &Daemon, uid: &str, allowed: u64) {
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("the process runs");
    for thread in threads {
        let path = thread
            .expect("the directory is readable")
            .path()
            .join("status");
        let status = fs::read_to_string(&path).expect("the process runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|it| it.strip_prefix(':'));
            value
                .unwrap_or_else(|| panic!("no {name} in {status}"))
                .trim()
        };
        let set = |name: &str| u64::from_str_radix(field(name), 16).expect("a capability set");
        for name in ["CapPrm", "CapEff"] {
            assert_eq!(set(name) & !allowed, 0, "{name} of {status}");
        }
        for name in ["CapInh", "CapAmb"] {
            assert_eq!(set(name), 0, "{name} of {status}");
        }
        assert_eq!(field("NoNewPrivs"), "1", "{status}");
        assert_eq!(field("Seccomp"), "2", "{status}");
        for name in ["Uid", "Gid"] {
            let ids: Vec<_> = field(name).split_whitespace().collect();
            assert_eq!(ids, [uid; 4], "{name} of {status}");
        }
    }
}

fn set(daemon: &Daemon, name: &str) -> u64 {
    u64::from_str_radix(&daemon.status(name), 16).expect("a capability set")
}

fn has_dac_read_search(daemon: &Daemon) -> bool {
    set(daemon, "CapEff") & DAC_READ_SEARCH != 0
}

#[test]
#[ignore = "needs root"]
fn a_daemon_of_root_changes_its_user_and_drops_all_privileges() {
    let daemon = Daemon::start(&["--user", "4242"]);
    assert_confined(&daemon, "4242", BPF);
    assert_eq!(set(&daemon, "CapBnd"), 0);
    assert_eq!(daemon.status("Groups"), "");
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_stays_root_drops_all_privileges() {
    let daemon = Daemon::start(&["--user", "0"]);
    assert_confined(&daemon, "0", BPF);
    assert_eq!(set(&daemon, "CapBnd"), 0);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn runtime_names_keep_one_more_capability() {
    let daemon = Daemon::start(&["--user", "4242", "--runtime-names"]);
    assert_confined(&daemon, "4242", BPF | DAC_READ_SEARCH);
    let may_read = has_dac_read_search(&daemon);
    let stderr = daemon.stop_keeping_socket().stderr;
    assert_eq!(may_read, !stderr.contains("needs Landlock"), "{stderr}");
}

#[test]
#[ignore = "needs root"]
fn a_daemon_without_landlock_warns_and_keeps_no_right_to_read_files() {
    let without = |args: &[&str]| conditions::denied("landlock_create_ruleset", "ENOSYS", args);
    let place = Place::new();
    let daemon = place.serve_in(without, "--runtime-names");
    assert_confined(&daemon, "0", BPF);
    assert!(!has_dac_read_search(&daemon));
    let words = ["files are not limited", "runtime-names needs Landlock"];
    daemon.stop().assert_ended(0, &words);
}

#[test]
#[ignore = "needs root"]
fn a_daemon_that_cannot_drop_its_privileges_does_not_start() {
    requirements::require_bpf();
    let denied = |args: &[&str]| conditions::denied("setresuid", "EPERM", args);
    let place = Place::new();
    let words = ["change the user", "--user 0"];
    place.assert_refused_in(denied, "--user 4242", 1, &words);
    assert!(!place.socket.exists(), "no daemon serves");
}

#[test]
#[ignore = "needs root"]
fn two_capabilities_are_enough_to_start() {
    let place = Place::new();
    chown(place.directory.path(), Some(65534), Some(65534)).expect("root may change the owner");
    let daemon = place.serve_in(conditions::with_two_capabilities, "");
    assert_confined(&daemon, "65534", BPF);
    // Emptying the set needs CAP_SETPCAP; no_new_privs makes the set irrelevant.
    assert_eq!(set(&daemon, "CapBnd"), BPF | PERFMON);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn root_in_a_container_gives_the_socket_to_one_of_its_groups() {
    requirements::require_bpf();
    let contained = |groups: &str, args: &[&str]| {
        let mut command = conditions::with_locked_memory("setpriv");
        command.args(["--groups", groups, "--bounding-set", "-all,+bpf,+perfmon"]);
        command.args(["--inh-caps", "-all"]);
        and_probe(command, args)
    };
    let place = Place::new();
    let options = "--user 0 --group 4242";
    let outside = |args: &[&str]| contained("4343", args);
    place.assert_refused_in(outside, options, 1, &["group '4242'"]);
    assert!(!place.socket.exists(), "no daemon serves");
    let daemon = place.serve_in(|args| contained("4242", args), options);
    assert_confined(&daemon, "0", BPF);
    assert_eq!(mode_and_group(&place.socket).1, 4242);
    let _output = daemon.stop();
}

#[test]
#[ignore = "needs root"]
fn a_daemon_without_cap_bpf_does_not_start() {
    let place = Place::new();
    place.assert_refused_in(conditions::without_bpf_capabilities, "", 5, &["CAP_BPF"]);
    assert!(!place.socket.exists(), "no daemon serves");
}
