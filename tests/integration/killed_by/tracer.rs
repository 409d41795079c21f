//! Signals from a tracer.

use probe_tests::{TracedCgroup, record};
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
