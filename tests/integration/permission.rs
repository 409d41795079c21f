//! Missing permissions: hints, and the remaining functions.

use probe_tests::{
    Cgroup, Daemon, Probe, Victim, Waiting, conditions, kernel, probe, probe_in, record,
    requirements,
};
use rustix::process::Signal;

#[test]
#[ignore = "needs root"]
fn without_privilege_the_hint_names_the_capabilities_and_the_daemon() {
    let words = [
        "not permitted",
        "hint: ",
        "CAP_BPF",
        "CAP_PERFMON",
        "daemon",
    ];
    let mut nobody = conditions::without_privilege(&["trace"]);
    probe_in(&mut nobody).assert_refused(5, &words);
    let mut confined = conditions::without_bpf_capabilities(&["trace"]);
    probe_in(&mut confined).assert_refused(5, &words);
}

#[test]
#[ignore = "needs root"]
fn the_two_capabilities_of_the_hint_suffice() {
    let cgroup = Cgroup::v2("two-capabilities");
    let args = ["trace", "--json", "--cgroup", cgroup.path()];
    let mut probe = Probe::trace_in(&mut conditions::with_two_capabilities(&args));
    let mut victim = Victim::start(&["exit", "7"], Some(&cgroup));
    assert_eq!(
        record::wait_status(&probe.exit_of(victim.pid())),
        victim.wait()
    );
}

#[test]
#[ignore = "needs root"]
fn a_limit_on_locked_memory_is_named_where_bpf_counts_against_it() {
    let little = conditions::with_little_locked_memory;
    let counts = kernel::counts_bpf_as_locked_memory();
    if counts && requirements::has_bpf() {
        let words = ["65536 bytes of RLIMIT_MEMLOCK", "ulimit -l unlimited"];
        probe_in(&mut little(&["trace"])).assert_refused(5, &words);
        let report = probe_in(&mut little(&["doctor"]));
        assert!(report.stdout.contains("CAP_SYS_RESOURCE"), "{report:#?}");
    }
    // A wait works anyway.
    let mut victim = Victim::spawn(&["pause"], None);
    let pid = victim.pid().to_string();
    let waiting = Waiting::armed_in(&mut little(&Waiting::args(&[&pid])));
    victim.kill();
    let output = waiting.finish();
    let verdict = output.verdict("done");
    let serves_bpf = !counts && requirements::has_bpf();
    let backend = if serves_bpf { "bpf" } else { "pidfd" };
    assert_eq!(verdict["backend"], backend, "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn without_tracing_pidfds_serve_and_the_reason_is_printed() {
    let mut victim = Victim::spawn(&["pause"], None);
    let waiting = Waiting::armed(&[&victim.pid().to_string()]);
    victim.kill();
    let output = waiting.finish();
    let verdict = output.verdict("done");
    assert_eq!(
        verdict["backend"],
        requirements::best_backend(),
        "{output:#?}"
    );
    if requirements::has_bpf() {
        return;
    }
    let reason = if requirements::is_locked_down() {
        "lockdown=confidentiality"
    } else {
        "cannot attach to tracepoint"
    };
    let socket = Daemon::directory();
    let socket = socket.path().join("probe.sock");
    let socket = socket.to_str().expect("text");
    for command in [&["trace"][..], &["daemon", "--socket", socket]] {
        probe(command).assert_refused(5, &[reason, "probe wait"]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_seccomp_filter_against_bpf_is_named_in_the_hint() {
    let mut denied = conditions::denied("bpf,perf_event_open", "EPERM", &["trace"]);
    probe_in(&mut denied).assert_refused(5, &["not permitted", "seccomp"]);
}

#[test]
#[ignore = "needs root"]
fn a_wait_without_privilege_succeeds() {
    let (cgroup, mut victim) = Victim::in_v2("unprivileged-wait");
    let waiting = Waiting::for_cgroup(conditions::without_privilege, &cgroup);
    victim.signal(Signal::KILL);
    let output = waiting.finish();
    victim.wait();
    assert_eq!(output.verdict("done")["backend"], "pidfd", "{output:#?}");
    assert_eq!(output.json().len(), 2, "{output:#?}");
}
