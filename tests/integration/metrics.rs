//! What Prometheus' own checker says about the metrics: bad names and units, and
//! text that does not parse.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use probe_user::{
    container::{Container, Runtime},
    daemon::metrics::{Format, Metrics, Scope},
    event::Exit,
    exit_status::ExitStatus,
    process::{Comm, Process},
    record::{LossReason, Placed},
    source::counters::ProgramRuns,
    waiter::Outcome,
};

/// What `promtool check metrics` writes; nothing if it is content.
fn promtool(text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool: `cargo xtask setup` installs it (Debian package prometheus)");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    let mut said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() {
        said.push_str("(failed)");
    }
    said
}

/// Killed for want of memory, in a container whose name wants escaping.
fn exit() -> Placed<Exit> {
    Placed {
        boottime_ns: 1,
        what: Exit {
            process: Process {
                tid: 42,
                tgid: 42,
                ppid: None,
                uid: None,
                comm: Comm::new([0; 16]),
                start_boottime_ns: None,
                cgroup: None,
                wanted_cgroup_id: None,
                ns_pid: None,
                pid_ns: None,
            },
            group_dead: true,
            leader: true,
            status: Some(ExitStatus::from_wait_status(9)),
            killed_by: None,
            oom: true,
            usage: None,
        },
        cgroup: None,
        container: Some(Arc::new(Container {
            runtime: Runtime::Docker,
            id: "\\\"\n\u{1b}é".to_owned(),
            name: None,
            pod_uid: None,
        })),
    }
}

#[test]
#[ignore = "needs promtool"]
fn promtool_has_nothing_to_say() {
    let metrics = Metrics::new(SystemTime::now());
    metrics.exit(&exit());
    metrics.lost(LossReason::RingFull, 1);
    let wait = metrics.wait_began();
    wait.ended(Outcome::Done, Duration::from_micros(300));
    metrics.set_program_runs(&[ProgramRuns {
        name: "sched_process_exit".to_owned(),
        count: 1,
        run_time: Duration::from_nanos(250),
    }]);
    let text = metrics.render(Format::Prometheus, Scope::Everything);
    assert!(text.contains("probe_container_exits_total"), "{text}");
    assert_eq!(promtool(&text), "");
}

#[test]
#[ignore = "needs promtool"]
fn promtool_has_something_to_say_about_a_counter_without_total() {
    assert_ne!(promtool("# TYPE probe_exits counter\nprobe_exits 1\n"), "");
}
