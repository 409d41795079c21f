//! The backend that is selected if a feature is missing, on every kernel, as the verdict
//! reports it.

use std::{fs, path::Path, process::Command};

use probe_tests::{Cgroup, Victim, Waiting, conditions, requirements};
use serde_json::Value;

/// Makes the command that runs `probe` without a feature.
type Condition = fn(&[&str]) -> Command;

/// Whether the kernel can run the BPF programs: it has tracing and is not locked down. Without
/// BTF the programs read no kernel memory, so lockdown does not matter.
fn can_trace(missing: &str) -> bool {
    let has_tracing = Path::new("/sys/kernel/tracing").is_dir();
    requirements::has_bpf() || has_tracing && missing == "BTF"
}

/// The missing feature, and the best remaining backend with and without tracing.
const MISSING: [(&str, Condition, [&str; 2]); 8] = [
    ("nothing", conditions::unrestricted, ["bpf", "pidfd"]),
    ("BTF", conditions::without_btf, ["bpf", "pidfd"]),
    ("tracefs", conditions::without_tracefs, ["bpf", "pidfd"]),
    (
        "the capabilities",
        conditions::without_bpf_capabilities,
        ["pidfd", "pidfd"],
    ),
    (
        "every privilege",
        conditions::without_privilege,
        ["pidfd", "pidfd"],
    ),
    (
        "bpf, by seccomp",
        |args| conditions::denied("bpf,perf_event_open", "EPERM", args),
        ["pidfd", "pidfd"],
    ),
    (
        "pidfds",
        |args| conditions::denied("pidfd_open", "ENOSYS", args),
        ["bpf", "poll"],
    ),
    (
        "bpf, pidfds and inotify",
        |args| {
            let calls = "bpf,perf_event_open,pidfd_open,inotify_init1,inotify_add_watch";
            conditions::denied(calls, "ENOSYS", args)
        },
        ["poll", "poll"],
    ),
];

fn verdict(condition: Condition, more: &[&str]) -> Value {
    let v2 = verdict_of(condition, more, &Cgroup::v2("ladder"));
    assert_eq!(v2["exact"], true, "{v2}");
    // A v1 cgroup has other wakers.
    let _v1 = verdict_of(condition, more, &Cgroup::v1("pids", "ladder"));
    v2
}

fn verdict_of(condition: Condition, more: &[&str], cgroup: &Cgroup) -> Value {
    let mut victim = Victim::spawn(&["pause"], Some(cgroup));
    let args = [&["--cgroup", cgroup.path()], more].concat();
    let waiting = Waiting::armed_in(&mut condition(&Waiting::args(&args)));
    victim.kill();
    let output = waiting.finish();
    let verdict = output.verdict("done");
    let removed = fs::remove_dir(cgroup.path());
    assert!(removed.is_ok(), "{removed:?} after {output:#?}");
    verdict
}

#[test]
#[ignore = "needs root"]
fn each_missing_feature_leaves_the_best_remaining_backend() {
    for (missing, condition, best) in MISSING {
        let expected = best[usize::from(!can_trace(missing))];
        let verdict = verdict(condition, &[]);
        assert_eq!(verdict["backend"], expected, "without {missing}: {verdict}");
    }
}

/// Request for by name it serves wherever it is left.
#[test]
#[ignore = "needs root"]
fn each_remaining_backend_serves_when_it_is_named() {
    for (missing, condition, best) in MISSING {
        let best = best[usize::from(!can_trace(missing))];
        let named = verdict(condition, &["--backend", best]);
        assert_eq!(named["backend"], best, "without {missing}: {named}");
    }
}
