//! The system calls that it takes to find a container.

use std::fs;

use probe_tests::{Cgroup, Runc, binaries, requirements};
use tempfile::TempDir;

/// The number of system calls of a command of probe.
fn system_calls(args: &[&str]) -> usize {
    let directory = TempDir::new().expect("a directory");
    let trace = directory.path().join("trace");
    let mut strace = requirements::tool("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&trace);
    strace.arg(binaries::probe()).args(args);
    let output = strace.output().expect("strace runs");
    let trace = fs::read_to_string(trace).expect("strace wrote it");
    let calls = trace.lines().count();
    assert!(calls > 50, "{output:?}");
    calls
}

#[test]
#[ignore = "needs root"]
fn the_cost_of_a_container_does_not_depend_on_the_number_of_cgroups() {
    /// Covers processes and containers of other tests that come and go.
    const TOLERANCE: usize = 100;
    let root = TempDir::new().expect("a directory");
    let cgroup = format!("/probe-test-{}-cost", std::process::id());
    let container = Runc::placed("cost", "exec sleep 600", root.path(), &cgroup);
    let root_arg = root.path().to_str().expect("UTF-8");
    let args = ["wait", "-t", "0", "--runtime-root", root_arg, "--container"];
    let args = [&args[..], &[container.name()]].concat();
    let parent = Cgroup::v2("cost");
    let mut others = Vec::new();
    let mut counts = [50, 1000].map(|count| {
        for number in others.len()..count {
            others.push(parent.sub(&format!("sub-{number}")));
        }
        system_calls(&args)
    });
    counts.sort_unstable();
    assert!(counts[1] - counts[0] < TOLERANCE, "{counts:?}");
}
