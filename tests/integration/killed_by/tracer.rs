//! Tracees.

use probe_tests::{TracedCgroup, record};
use serde_json::Value;

use super::by_no_process;

#[test]
#[ignore = "needs root"]
fn a_tracer_that_kills_is_the_killer() {
    let mut trial = TracedCgroup::new("tracer");
    let judged = trial.judge(&["tracer-kills", "pause"]);
    let tracer = u32::try_from(record::number(&judged.report, "parent")).expect("a pid");
    assert_eq!(record::wait_status(&judged.exit), 9);
    assert_eq!(judged.exit["killed_by"]["pid"], tracer, "{}", judged.exit);
    assert_eq!(judged.exit["killed_by"]["via"], "ptrace", "{}", judged.exit);
}

#[test]
#[ignore = "needs root"]
fn a_tracee_killed_at_the_exit_of_its_tracer_is_killed_by_the_kernel() {
    let mut trial = TracedCgroup::new("tracer-exits");
    let judged = trial.judge(&["tracer-exits", "pause"]);
    let expected = by_no_process("SIGKILL", "kernel", None);
    assert_eq!(judged.exit["killed_by"], expected);
}

#[test]
#[ignore = "needs root"]
fn a_signal_injected_by_a_tracer_has_no_killer() {
    let mut trial = TracedCgroup::new("tracer-swaps");
    let judged = trial.judge(&["tracer-swaps", "15", "signal", "10"]);
    assert_eq!(record::wait_status(&judged.exit), 15);
    assert_eq!(judged.exit["killed_by"], Value::Null);
}
