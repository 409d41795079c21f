//! `probe trace` on a kernel without BTF.

use probe_tests::{Cgroup, Probe, Victim, conditions, probe_in, requirements, words};
use serde_json::Value;

/// Lines with the log level of a warning.
fn warnings(stderr: &[String]) -> Vec<&String> {
    stderr.iter().filter(|line| line.contains("WARN")).collect()
}

#[test]
#[ignore = "needs root"]
fn without_btf_records_have_nulls_and_one_warning_is_printed() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("no-btf");
    let args = ["trace", "--json", "--cgroup", cgroup.path()];
    let mut probe = Probe::trace_in(&mut conditions::without_btf(&args));
    let mut victim = Victim::start(&["exit", "7"], Some(&cgroup));
    victim.wait();
    let exit = probe.exit_of(victim.pid());
    for unknown in words("status ppid start_boottime_ns age_ns killed_by usage ns") {
        assert_eq!(exit[unknown], Value::Null, "{unknown} in {exit}");
    }
    assert_eq!(exit["comm"], "victim");
    assert_eq!(exit["uid"], 0);
    assert_eq!(exit["cgroup"]["id"], cgroup.id());
    assert_eq!(exit["cgroup"]["path"], cgroup.name());
    let reported = probe.finish();
    let warnings = warnings(&reported.stderr);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("BTF"), "{warnings:#?}");
}

#[test]
#[ignore = "needs root"]
fn without_btf_an_unknown_condition_lets_records_pass_with_a_note() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("no-btf-filters");
    let line = format!(
        "trace --json --failed --max-age 0 --cgroup {}",
        cgroup.path()
    );
    let args = words(&line);
    let mut probe = Probe::trace_in(&mut conditions::without_btf(&args));
    let mut victim = Victim::start(&["exit", "0"], Some(&cgroup));
    victim.wait();
    probe.exit_of(victim.pid());
    let reported = probe.finish();
    assert_eq!(warnings(&reported.stderr).len(), 1, "{reported:#?}");
    let note = reported
        .stderr
        .iter()
        .find(|line| line.starts_with("note: "));
    let note = note.unwrap_or_else(|| panic!("no note in {reported:#?}"));
    assert!(
        note.contains("--failed") && note.contains("--max-age"),
        "{note}"
    );
}

#[test]
#[ignore = "needs root"]
fn without_btf_known_conditions_still_hold() {
    let cgroup = Cgroup::v2("no-btf-pid");
    let mut wanted = Victim::spawn(&["exit", "0"], Some(&cgroup));
    let mut other = Victim::spawn(&["exit", "0"], Some(&cgroup));
    let pid = wanted.pid().to_string();
    let args = [
        "trace", "--json", "--pid", &pid, "--comm", "vict*", "--uid", "0",
    ];
    let mut probe = Probe::trace_in(&mut conditions::without_btf(&args));
    other.release();
    other.wait();
    wanted.release();
    wanted.wait();
    probe.exit_of(wanted.pid());
    assert_eq!(probe.finish().lines.len(), 1);
}

#[test]
#[ignore = "needs root"]
fn without_btf_a_v1_cgroup_cannot_be_traced() {
    requirements::require_bpf();
    let cgroup = Cgroup::v1("pids", "no-btf");
    let mut trace = conditions::without_btf(&["trace", "--cgroup", cgroup.path()]);
    probe_in(&mut trace).assert_refused(5, &["BTF", "hint: "]);
}
