//! Bad input and bad surroundings: what `probe` says, and with which exit code.

use probe_tests::{
    Cgroup, Daemon, Output, Probe, Victim, Waiting, applicable, conditions, kernel, probe,
    probe_in, record,
};
use rustix::process::Signal;
use serde_json::Value;

pub(super) fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:#?}");
    assert_eq!(output.stdout, "", "no data of a command that failed");
    for word in words {
        assert!(output.stderr.contains(word), "no '{word}' in {output:#?}");
    }
}

#[test]
fn an_unknown_verb_or_flag_is_wrong_usage() {
    for args in [
        &["explode"][..],
        &["trace", "--explode"],
        &["wait"],
        &[],
        &["-q", "-v", "doctor"],
    ] {
        assert_refused(&probe(args), 2, &["Usage"]);
    }
}

#[test]
fn a_value_that_does_not_parse_is_named_with_what_would() {
    for (args, word) in [
        (&["trace", "--comm", "[a"][..], "'[a' is no glob"),
        (&["trace", "--comm", "a***"], "is no glob"),
        (&["trace", "--buffer", "0"], "is no size from"),
        (&["trace", "--buffer", "1025M"], "is no size from"),
        (&["trace", "--buffer", "4294967296"], "is no size from"),
        (&["trace", "--buffer", "4X"], "write 64K or 4M"),
        (&["trace", "--buffer", ""], "is no size from"),
        (&["trace", "--duration", "soon"], "write 250ms"),
        (&["trace", "--duration=-1"], "is no span of time"),
        (&["trace", "--duration", "nan"], "is no span of time"),
        (&["trace", "--min-age", "1y2"], "write 250ms"),
        (&["trace", "--max-age", ""], "write 250ms"),
        (&["trace", "--count", "0"], "0 is not in"),
        (&["trace", "--count", "many"], "invalid digit"),
        (&["trace", "--pid", "0"], "0 is not in"),
        (&["trace", "--pid=-1"], "invalid"),
        (&["trace", "--pid", "4294967296"], "is not in"),
        (&["trace", "--uid", "root"], "invalid digit"),
        (
            &["wait", "--cgroup", "a", "-t", "1 fortnight"],
            "write 250ms",
        ),
        (&["wait", "--cgroup", "../a"], "is no cgroup path"),
        (&["completions", "no-such-shell"], "invalid value"),
        (&["wait", "--cgroup"], "a value is required"),
        (&["wait", "--cgroup", ""], "a value is required"),
        (
            &["trace", "--cgroup", "a", "--hierarchy", "x"],
            "there are: ",
        ),
    ] {
        assert_refused(&probe(args), 2, &[word]);
    }
}

#[test]
fn a_least_age_above_the_greatest_is_refused() {
    let output = probe(&["trace", "--min-age", "2s", "--max-age", "1s"]);
    assert_refused(&output, 2, &["--min-age", "--max-age", "hint: "]);
}

#[test]
fn what_is_not_there_is_no_such_target() {
    for args in [
        &["trace", "--cgroup", "no-such-cgroup"][..],
        &["trace", "--cgroup", "/sys/fs/cgroup/no-such-cgroup"],
        &["trace", "--cgroup", "/etc"],
        &["trace", "--container", "no-such-container"],
        &["trace", "--container", ""],
        // Beyond the largest pid_max there is.
        &["trace", "--pid", "4194305"],
        &["wait", "--cgroup", "no/such/cgroup"],
    ] {
        assert_refused(&probe(args), 4, &["probe: "]);
    }
}

#[test]
#[ignore = "needs root"]
fn an_unknown_target_comes_with_a_hint() {
    for flag in ["--cgroup", "--container"] {
        assert_refused(
            &probe(&["trace", flag, "nothing-of-this-name"]),
            4,
            &["hint: "],
        );
    }
}

#[test]
#[ignore = "needs root"]
fn a_thread_is_no_process() {
    let mut crowd = Victim::spawn_as("crowd", &["1", "2", "0"], None);
    crowd.release();
    let pid = record::pid(&crowd.report());
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it lives");
    let mut tids = tasks.map(|task| task.expect("an entry").file_name());
    let tid = tids.find(|tid| tid.to_str() != Some(&pid.to_string()));
    let tid = tid
        .expect("a second thread")
        .into_string()
        .expect("a number");
    let words = ["no process", "hint: ", &pid.to_string()];
    assert_refused(&probe(&["trace", "--pid", &tid]), 4, &words);
}

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
    assert_refused(&probe_in(&mut nobody), 5, &words);
    let mut confined = conditions::without_bpf_capabilities(&["trace"]);
    assert_refused(&probe_in(&mut confined), 5, &words);
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
fn a_limit_on_locked_memory_is_named_where_bpf_counts_and_is_nothing_elsewhere() {
    let little = conditions::with_little_locked_memory;
    let counts = kernel::counts_bpf_as_locked_memory();
    if counts && applicable::has_bpf() {
        let words = ["65536 bytes of RLIMIT_MEMLOCK", "ulimit -l unlimited"];
        assert_refused(&probe_in(&mut little(&["trace"])), 5, &words);
        let report = probe_in(&mut little(&["doctor"]));
        assert!(report.stdout.contains("CAP_SYS_RESOURCE"), "{report:#?}");
    }
    // What a wait needs is there all the same.
    let mut victim = Victim::spawn(&["pause"], None);
    let pid = victim.pid().to_string();
    let waiting = Waiting::armed_in(&mut little(&Waiting::args(&[&pid])));
    victim.signal(Signal::KILL);
    victim.wait();
    let output = waiting.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
    let verdict = output.json().pop().expect("a verdict");
    let serves_bpf = !counts && applicable::has_bpf();
    let backend = if serves_bpf { "bpf" } else { "pidfd" };
    assert_eq!(verdict["backend"], backend, "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn where_the_kernel_lets_nobody_trace_pidfds_serve_and_the_reason_is_told() {
    let mut victim = Victim::spawn(&["pause"], None);
    let waiting = Waiting::armed(&[&victim.pid().to_string()]);
    victim.signal(Signal::KILL);
    victim.wait();
    let output = waiting.finish();
    assert_eq!(output.code, Some(0), "{output:#?}");
    let verdict = output.json().pop().expect("a verdict");
    assert_eq!(
        verdict["backend"],
        applicable::best_backend(),
        "{output:#?}"
    );
    if applicable::has_bpf() {
        return;
    }
    let why = if applicable::is_locked_down() {
        "lockdown=confidentiality"
    } else {
        "cannot attach to tracepoint"
    };
    let socket = Daemon::directory();
    let socket = socket.path().join("probe.sock");
    let socket = socket.to_str().expect("text");
    for command in [&["trace"][..], &["daemon", "--socket", socket]] {
        assert_refused(&probe(command), 5, &[why, "probe wait"]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_seccomp_filter_against_bpf_is_not_permitted_and_hinted_at() {
    let mut denied = conditions::denied("bpf,perf_event_open", "EPERM", &["trace"]);
    assert_refused(&probe_in(&mut denied), 5, &["not permitted", "seccomp"]);
}

#[test]
#[ignore = "needs root"]
fn a_buffer_size_is_rounded_up_and_said_so() {
    applicable::needs_bpf();
    let cgroup = Cgroup::v2("buffer");
    for (asked, size) in [("5000", "8192"), ("1", "4096"), ("3M", "4194304")] {
        let args = [
            "trace",
            "--duration",
            "0",
            "--buffer",
            asked,
            "--cgroup",
            cgroup.path(),
        ];
        let output = probe(&args);
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert!(
            output.stderr.contains(&format!("rounded up to {size}")),
            "{output:#?}"
        );
    }
    let args = [
        "trace",
        "--duration",
        "0",
        "--buffer",
        "64K",
        "--cgroup",
        cgroup.path(),
    ];
    let output = probe(&args);
    assert!(!output.stderr.contains("rounded"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn two_traces_at_once_see_the_same() {
    let cgroup = Cgroup::v2("two");
    let mut traces = [(); 2].map(|()| Probe::trace(&["--cgroup", cgroup.path()]));
    let pids: Vec<_> = (0..20)
        .map(|code: u8| {
            let mut victim = Victim::start(&["exit", &code.to_string()], Some(&cgroup));
            victim.wait();
            victim.pid()
        })
        .collect();
    for trace in &mut traces {
        trace.exit_of(*pids.last().expect("twenty"));
    }
    let [one, other] = traces.map(Probe::finish);
    assert_eq!(without_times(one.lines.clone()), without_times(other.lines));
    let told: Vec<_> = one.exits().map(record::pid).collect();
    assert_eq!(told, pids);
}

/// Each trace has programs of its own, so the moments differ by microseconds.
fn without_times(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        let line = line.as_object_mut().expect("an object");
        line.retain(|key, _| !["time", "boottime_ns", "age_ns", "usage"].contains(&key.as_str()));
    }
    lines
}

#[test]
#[ignore = "needs root"]
fn quiet_says_nothing_but_data() {
    applicable::needs_bpf();
    let cgroup = Cgroup::v2("quiet");
    let args = [
        "-q",
        "trace",
        "--json",
        "--buffer",
        "5000",
        "--duration",
        "0",
        "--cgroup",
        cgroup.path(),
    ];
    let output = probe(&args);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let output = probe(&["-q", "trace", "--cgroup", "no-such-cgroup"]);
    assert_refused(&output, 4, &["no cgroup"]);
}

#[test]
#[ignore = "needs root"]
fn nothing_is_coloured_in_a_pipe() {
    applicable::needs_bpf();
    let cgroup = Cgroup::v2("pipe");
    let args = ["trace", "--duration", "0", "-vv", "--cgroup", cgroup.path()];
    for mut command in [conditions::as_it_is(&args), conditions::without_btf(&args)] {
        let output = probe_in(&mut command);
        assert_eq!(output.code, Some(0), "{output:#?}");
        let text = output.stdout + &output.stderr;
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_wait_without_privilege_is_right_all_the_same() {
    let cgroup = Cgroup::v2("unprivileged-wait");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let args = Waiting::args(&["--cgroup", cgroup.path()]);
    let waiting = Waiting::armed_in(&mut conditions::without_privilege(&args));
    victim.signal(Signal::KILL);
    let output = waiting.finish();
    victim.wait();
    assert_eq!(output.code, Some(0), "{output:#?}");
    let lines = output.json();
    assert_eq!(
        (lines.len(), &lines[0]["backend"]),
        (1, &Value::from("pidfd"))
    );
}
