//! `probe run` of a user without privileges.

use probe_tests::{Running, conditions, probe_in};
use rustix::process::Signal;

use super::{Delegated, assert_no_trace_of, cgroup_of, descendants_of};

const LEAVES: &str = "sleep 98761 & setsid sleep 98761 & \
                      (setsid sh -c 'trap \"\" TERM; sleep 98761 & sleep 98761' &); exit 4";

#[test]
#[ignore = "needs root"]
fn a_delegated_cgroup_gets_the_cgroup_of_the_run() {
    let delegated = Delegated::make("delegated");
    let output = probe_in(&mut delegated.probe(&["run", "--", "sh", "-c", LEAVES]));
    assert_eq!(output.code, Some(4), "{output:#?}");
    assert!(!output.stderr.contains("no cgroup"), "{output:#?}");
    assert_eq!(descendants_of("98761"), [0; 0]);
    let args = ["run", "--", "sh", "-c", "echo ready; sleep 98761"];
    let probe = Running::start(&mut delegated.probe(&args));
    assert_eq!(probe.next_line().as_deref(), Some("ready"));
    assert!(cgroup_of(probe.pid()).starts_with(delegated.cgroup.path()));
    probe.signal(Signal::TERM);
    assert_eq!(probe.finish().signal, Some(15));
    assert_no_trace_of("delegated");
}

#[test]
#[ignore = "needs root"]
fn without_rights_the_descendants_are_followed_by_their_parents() {
    for options in [&["run"][..], &["run", "--grace", "30ms"]] {
        let args = [options, &["--", "sh", "-c", LEAVES]].concat();
        let output = probe_in(&mut conditions::without_privilege(&args));
        assert_eq!(output.code, Some(4), "{output:#?}");
        let told = "probe: no cgroup for the command";
        assert_eq!(output.stderr.matches(told).count(), 1, "{output:#?}");
        assert!(output.stderr.contains("sleep["), "{output:#?}");
        assert_eq!(descendants_of("98761"), [0; 0]);
    }
}

#[test]
#[ignore = "needs root"]
fn without_rights_a_timeout_kills_every_descendant() {
    let script = "setsid sleep 98761 & sleep 98761";
    let args = ["run", "-t", "0.2", "--", "sh", "-c", script];
    let output = probe_in(&mut conditions::without_privilege(&args));
    assert_eq!(output.code, Some(124), "{output:#?}");
    assert_eq!(descendants_of("98761"), [0; 0]);
}
