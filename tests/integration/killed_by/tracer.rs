//! Signals from a tracer.

use probe_tests::{TracedCgroup, kernel, record};
use serde_json::Value;

use super::by_no_process;

#[test]
#[ignore = "needs root"]
fn a_tracer_that_kills_is_the_killer() {
    let mut traced = TracedCgroup::new("tracer");
    let death = traced.run_parent(&["tracer-kills", "pause"]);
    let tracer = u32::try_from(record::number(&death.report, "parent")).expect("a pid");
    assert_eq!(record::wait_status(&death.exit), 9);
    assert_eq!(death.exit["killed_by"]["pid"], tracer, "{}", death.exit);
    assert_eq!(death.exit["killed_by"]["via"], "ptrace", "{}", death.exit);
}

#[test]
#[ignore = "needs root"]
fn a_tracer_that_kills_the_cgroup_is_the_writer_of_cgroup_kill() {
    let mut traced = TracedCgroup::new("tracer-cgroup");
    if !traced.cgroup.has_kill() {
        kernel::inapplicable("there is no cgroup.kill");
    }
    let inner = traced.cgroup.sub("inner");
    let death = traced.run_parent(&["tracer-kills-cgroup", inner.path(), "pause"]);
    let tracer = u32::try_from(record::number(&death.report, "parent")).expect("a pid");
    let killed_by = &death.exit["killed_by"];
    assert_eq!(killed_by["pid"], tracer, "{}", death.exit);
    if kernel::finds_registers() {
        assert_eq!(killed_by["via"], "cgroup.kill", "{}", death.exit);
    }
}

#[test]
#[ignore = "needs root"]
fn a_signal_that_a_tracer_suppressed_is_not_the_killer() {
    let mut traced = TracedCgroup::new("tracer-suppresses");
    let death = traced.run_parent(&["tracer-suppresses", "15", "pause"]);
    assert_eq!(record::wait_status(&death.exit), 15);
    assert_eq!(death.exit["killed_by"], Value::Null);
}

#[test]
#[ignore = "needs root"]
fn a_tracee_killed_at_the_exit_of_its_tracer_is_killed_by_the_kernel() {
    let mut traced = TracedCgroup::new("tracer-exits");
    let death = traced.run_parent(&["tracer-exits", "pause"]);
    let expected = by_no_process("SIGKILL", "kernel", None);
    assert_eq!(death.exit["killed_by"], expected);
}

#[test]
#[ignore = "needs root"]
fn a_signal_injected_by_a_tracer_has_no_killer() {
    let mut traced = TracedCgroup::new("tracer-swaps");
    let death = traced.run_parent(&["tracer-swaps", "15", "signal", "10"]);
    assert_eq!(record::wait_status(&death.exit), 15);
    assert_eq!(death.exit["killed_by"], Value::Null);
}
