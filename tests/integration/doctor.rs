//! `probe doctor`, and its findings if something is missing.

use std::{fs, path::Path, process::Command};

use probe_tests::{Cgroup, Daemon, conditions, probe, probe_in, requirements};
use serde_json::{Value, json};

fn examine(mut command: Command, code: i32) -> Value {
    let output = probe_in(&mut command);
    assert_eq!(output.code, Some(code), "{output:#?}");
    let lines = output.json();
    let [report] = lines.as_slice() else {
        panic!("not one line: {output:#?}");
    };
    assert_eq!(report["type"], "doctor");
    assert_eq!(report["event_driven"], code == 0);
    report.clone()
}

const JSON: [&str; 2] = ["doctor", "--json"];

/// All backends and checks.
fn checks(report: &Value) -> impl Iterator<Item = &Value> {
    let lists = [&report["backends"], &report["checks"]];
    let lists = lists.map(|list| list.as_array().expect("an array"));
    lists.into_iter().flatten()
}

/// The backend or the check with this name.
fn find<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found = checks(report).find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

fn assert_no(report: &Value, name: &str, hint: &str) {
    let check = find(report, name);
    assert_eq!(check["ok"], false, "{check}");
    assert!(
        check["hint"].as_str().is_some_and(|it| it.contains(hint)),
        "{check}"
    );
}

fn assert_yes(report: &Value, names: &[&str]) {
    for name in names {
        let check = find(report, name);
        assert_eq!(check["ok"], true, "{check}");
    }
}

fn names(report: &Value) -> Vec<&str> {
    let names = checks(report).map(|check| check["name"].as_str());
    names.map(|name| name.expect("a word")).collect()
}

#[test]
#[ignore = "needs root"]
fn with_every_privilege_all_backends_but_the_daemon_work() {
    let report = examine(conditions::unrestricted(&JSON), 0);
    assert_yes(&report, &["pidfd", "poll", "capabilities"]);
    assert_yes(&report, &["cgroup", "cgroup.events", "pidfd_open"]);
    if requirements::has_bpf() {
        assert_yes(&report, &["bpf", "btf", "ring_buffer", "bpf_programs"]);
    } else {
        assert_no(&report, "bpf", "");
        assert_no(&report, "bpf_programs", "");
    }
    assert_eq!(names(&report)[..4], ["daemon", "bpf", "pidfd", "poll"]);
    assert_eq!(report["backends"].as_array().map(Vec::len), Some(4));
}

#[test]
#[ignore = "needs root"]
fn with_bpf_denied_an_event_driven_backend_is_left() {
    let report = examine(conditions::denied("bpf,perf_event_open", "EPERM", &JSON), 0);
    assert_no(&report, "bpf", "seccomp");
    assert_no(&report, "ring_buffer", "seccomp");
    assert_no(&report, "bpf_programs", "seccomp");
    assert_yes(&report, &["pidfd", "pidfd_open", "poll"]);
    assert_eq!(find(&report, "btf")["ok"], requirements::has_btf());
}

#[test]
#[ignore = "needs root"]
fn with_bpf_and_pidfds_denied_only_polling_is_left() {
    let denied = conditions::denied("bpf,perf_event_open,pidfd_open", "ENOSYS", &JSON);
    let report = examine(denied, 5);
    assert_no(&report, "bpf", "seccomp");
    assert_no(&report, "pidfd", "Linux 5.3");
    assert_yes(&report, &["poll"]);
}

#[test]
#[ignore = "needs root"]
fn without_btf_the_programs_run_and_doctor_names_the_loss() {
    requirements::require_bpf();
    let report = examine(conditions::without_btf(&JSON), 0);
    assert_no(&report, "btf", "CONFIG_DEBUG_INFO_BTF");
    assert_yes(
        &report,
        &[
            "bpf",
            "ring_buffer",
            "bpf_programs",
            "tracepoint.sched_process_exit",
        ],
    );
}

#[test]
#[ignore = "needs root"]
fn without_privilege_doctor_names_the_capabilities() {
    // Without privilege it checks an existing cgroup, because it cannot make one.
    let cgroup = Cgroup::v2("unprivileged");
    let report = examine(conditions::without_privilege(&JSON), 0);
    assert_no(&report, "capabilities", "cap_bpf,cap_perfmon");
    assert_no(&report, "bpf", "CAP_BPF and CAP_PERFMON");
    assert_yes(&report, &["pidfd", "cgroup", "cgroup.events"]);
    let kill = find(&report, "cgroup.kill");
    assert_eq!(kill["ok"], cgroup.has_kill(), "{kill}");
    let report = examine(conditions::with_two_capabilities(&JSON), 0);
    assert_yes(&report, &["capabilities"]);
    for name in ["bpf", "bpf_programs"] {
        assert_eq!(find(&report, name)["ok"], requirements::has_bpf());
    }
}

#[test]
#[ignore = "needs root"]
fn every_failed_check_has_a_hint_and_the_checks_are_always_the_same() {
    let whole = examine(conditions::unrestricted(&JSON), 0);
    for (command, code) in [
        (
            conditions::denied("bpf,perf_event_open,pidfd_open", "EPERM", &JSON),
            5,
        ),
        (conditions::without_privilege(&JSON), 0),
        (conditions::without_btf(&JSON), 0),
    ] {
        let report = examine(command, code);
        assert_eq!(names(&report), names(&whole));
        for name in names(&report) {
            let check = find(&report, name);
            assert!(check["ok"] == true || check["hint"].is_string(), "{check}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn human_output_has_a_plain_line_for_each_check() {
    let report = examine(conditions::unrestricted(&JSON), 0);
    let output = probe(&["doctor"]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    // Without BTF, loading a program prints what is lost.
    assert_eq!(
        output.stderr.is_empty(),
        requirements::has_btf(),
        "{output:#?}"
    );
    assert!(!output.stdout.contains('\u{1b}'), "{output:#?}");
    for name in names(&report) {
        let answer = match find(&report, name)["ok"] == true {
            // The line of the programs counts them.
            true if name.starts_with("tracepoint.") && !name.ends_with("_exit") => continue,
            true => "yes",
            false if name.starts_with("daemon") => "off",
            false => "no",
        };
        let is_it = |line: &str| line.split_whitespace().take(2).eq([name, answer]);
        assert!(
            output.stdout.lines().any(is_it),
            "no {name} {answer} in {output:#?}"
        );
    }
    assert!(
        output.stdout.contains("\ncontainer engines\n"),
        "{output:#?}"
    );
    let hints = output.stdout.lines().filter(|line| line.contains("hint: "));
    let mut hints: Vec<_> = hints.map(str::trim).collect();
    let all = hints.len();
    hints.sort_unstable();
    hints.dedup();
    assert_eq!(hints.len(), all, "a hint is repeated: {output:#?}");
    let last = output.stdout.lines().last().unwrap_or_default();
    if requirements::has_bpf() {
        assert!(
            last.starts_with("Everything works for ") && last.contains("but `probe last`"),
            "{last}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn doctor_asks_the_daemon_of_the_option_or_the_environment() {
    let daemon = Daemon::start(&["--mode", "0666"]);
    let socket = daemon.socket().to_str().expect("UTF-8");
    let of_option = conditions::unrestricted(&[&JSON[..], &["--socket", socket]].concat());
    let mut of_environment = conditions::unrestricted(&JSON);
    of_environment.env("PROBE_SOCKET", socket);
    for command in [of_option, of_environment] {
        let report = examine(command, 0);
        assert_yes(&report, &["daemon", "daemon.socket"]);
        assert_eq!(find(&report, "daemon.socket")["detail"], socket);
    }
    let user = conditions::without_privilege(&["doctor", "--socket", socket]);
    let output = probe_in(&mut { user });
    let last = output.stdout.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("Everything works for ") && last.contains(" by the daemon"),
        "{output:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn without_privilege_the_last_line_says_what_to_do_for_more() {
    let output = probe_in(&mut conditions::without_privilege(&["doctor"]));
    let last = output.stdout.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("wait, kill, run and ps work for "),
        "{output:#?}"
    );
    assert!(last.contains("start `probe daemon`"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn doctor_removes_its_cgroup() {
    let ours = Cgroup::v2("doctor");
    let root = ours
        .path()
        .strip_suffix(ours.name())
        .expect("below the mount");
    assert_eq!(probe(&["doctor", "--json"]).code, Some(0));
    let left = fs::read_dir(root).expect("the mount").filter_map(|entry| {
        let name = entry.expect("an entry").file_name();
        let pid = name.to_str()?.strip_prefix("probe-doctor-")?.to_owned();
        // Another test may be running `probe doctor`: its cgroup does not count.
        (!Path::new("/proc").join(&pid).exists()).then_some(pid)
    });
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

/// Mounts empty directories in place of the state of all engines but runc and Docker, which have
/// one container and none.
const TWO_ENGINES: &str = "
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /var/lib; mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -p /run/runc/web
mkdir -p -m 700 /var/lib/docker/containers
exec \"$@\"
";

#[test]
#[ignore = "needs root"]
fn doctor_lists_the_engines_with_state_and_what_it_may_read() {
    let listed = |probe: Command| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", TWO_ENGINES, "sh"]);
        command.arg(probe.get_program()).args(probe.get_args());
        let report = examine(command, 0);
        let engines = report["engines"].as_array().expect("an array").clone();
        let row = |it: &Value| {
            let [engine, location] = ["engine", "location"].map(|field| it[field].clone());
            (
                engine,
                location,
                it["containers"].clone(),
                it["error"].is_string(),
            )
        };
        engines.iter().map(row).collect::<Vec<_>>()
    };
    let docker = (json!("docker"), json!("/var/lib/docker/containers"));
    let runc = (json!("runc"), json!("/run/runc"));
    assert_eq!(
        listed(conditions::unrestricted(&JSON)),
        [
            (docker.0.clone(), docker.1.clone(), json!(0), false),
            (runc.0.clone(), runc.1.clone(), json!(1), false),
        ]
    );
    assert_eq!(
        listed(conditions::without_privilege(&JSON)),
        [
            (docker.0, docker.1, Value::Null, true),
            (runc.0, runc.1, json!(1), false),
        ]
    );
}
