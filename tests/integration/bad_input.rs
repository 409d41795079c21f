//! Bad input and missing targets: messages and exit codes.

use probe_tests::{
    Cgroup, Probe, Victim, conditions, probe, probe_in, record, requirements, words,
};
use serde_json::Value;

/// The texts of these errors are in `tests/snapshots`.
#[test]
fn an_error_goes_to_stderr_and_nothing_to_stdout() {
    for args in [&[][..], &["trace", "--explode"], &["wait"]] {
        probe(args).assert_refused(2, &["Usage"]);
    }
    probe(&["wait", "--cgroup", "../a"]).assert_refused(2, &["hint: "]);
    probe(&["trace", "--pid", "4194305"]).assert_refused(4, &["probe: "]);
}

#[test]
#[ignore = "needs root"]
fn a_tid_of_a_thread_is_refused_as_trace_target() {
    let (crowd, pid) = Victim::ready(&["crowd", "1", "2", "0"], None);
    let words = ["is a thread of process", "hint: ", &pid.to_string()];
    probe(&["trace", "--pid", &crowd.other_tid()]).assert_refused(4, &words);
}

#[test]
#[ignore = "needs root"]
fn a_buffer_size_is_rounded_up_with_a_note() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("buffer");
    for (asked, size) in [("5000", "8192"), ("1", "4096"), ("3M", "4194304")] {
        let line = format!(
            "trace --duration 0 --buffer {asked} --cgroup {}",
            cgroup.path()
        );
        let output = probe(&words(&line));
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert!(
            output.stderr.contains(&format!("rounded up to {size}")),
            "{output:#?}"
        );
    }
    let line = format!("trace --duration 0 --buffer 64K --cgroup {}", cgroup.path());
    let output = probe(&words(&line));
    assert!(!output.stderr.contains("rounded"), "{output:#?}");
}

#[test]
#[ignore = "needs root"]
fn two_simultaneous_traces_report_the_same_exits() {
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
    let reported: Vec<_> = one.exits().map(record::pid).collect();
    assert_eq!(reported, pids);
}

/// Removes the times: each trace has its own programs, so they differ by microseconds.
fn without_times(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        let line = line.as_object_mut().expect("an object");
        line.retain(|key, _| !["time", "boottime_ns", "age_ns", "usage"].contains(&key.as_str()));
        if let Some(task) = line.get_mut("task").and_then(Value::as_object_mut) {
            task.remove("age_ns");
        }
    }
    lines
}

#[test]
#[ignore = "needs root"]
fn quiet_prints_only_data() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("quiet");
    let line = "-q trace --json --buffer 5000 --duration 0 --cgroup";
    let args = [&words(line)[..], &[cgroup.path()]].concat();
    let output = probe(&args);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let output = probe(&["-q", "trace", "--cgroup", "no-such-cgroup"]);
    output.assert_refused(4, &["no such cgroup"]);
}

#[test]
#[ignore = "needs root"]
fn output_to_a_pipe_has_no_colours() {
    requirements::require_bpf();
    let cgroup = Cgroup::v2("pipe");
    let args = ["trace", "--duration", "0", "-vv", "--cgroup", cgroup.path()];
    for mut command in [
        conditions::unrestricted(&args),
        conditions::without_btf(&args),
    ] {
        let output = probe_in(&mut command);
        assert_eq!(output.code, Some(0), "{output:#?}");
        let text = output.stdout + &output.stderr;
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
