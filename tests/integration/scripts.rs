//! What scripts rely on: `--ready-fd`, the line `armed`, the counts of a verdict, and the exit code
//! of a container.

use std::{
    fs::File,
    io::Read,
    process::{Command, Stdio},
};

use probe_tests::{Cgroup, Output, Runc, Running, Victim, Waiting, assert_fields, binaries, run};
use serde_json::{Value, json};

/// The first line of stdout, which is JSON.
fn first_line(output: &Output) -> Value {
    output.json().into_iter().next().expect("a line")
}

#[test]
#[ignore = "needs root"]
fn the_descriptor_gets_a_line_when_the_wait_is_armed_and_is_then_closed() {
    let cgroup = Cgroup::v2("ready");
    let mut victim = Victim::paused(&cgroup);
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .expect("a FIFO");
    let probe = binaries::probe();
    let script = format!(
        "exec {} wait --cgroup {} --ready-fd 3 3>{}",
        probe.display(),
        cgroup.path(),
        fifo.display()
    );
    let waiting = Running::start(
        Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null()),
    );
    let mut received = String::new();
    // The read ends when the last writer has closed the FIFO, and probe runs on.
    let mut reader = File::open(&fifo).expect("a reader");
    reader.read_to_string(&mut received).expect("text");
    assert_eq!(received, "\n");
    assert!(waiting.is_running(), "the wait goes on");
    cgroup.kill();
    assert_eq!(waiting.finish().code, Some(0));
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn a_descriptor_that_is_not_open_or_has_another_use_is_refused() {
    for (number, word) in [("2", "from 3 on"), ("77", "not open"), ("x", "from 3 on")] {
        let output = run(&format!("wait 1 -t 0 --ready-fd {number}"));
        output.assert_refused(2, &[word]);
    }
}

#[test]
#[ignore = "needs root"]
fn the_first_line_of_json_says_that_the_wait_is_armed() {
    for verb in ["wait -t 0", "kill"] {
        let cgroup = Cgroup::v2("armed");
        let mut victims = [(); 2].map(|()| Victim::paused(&cgroup));
        let output = run(&format!(
            "{verb} --json --backend pidfd --cgroup {}",
            cgroup.path()
        ));
        let expected = json!({"type": "armed", "live": 2, "reports_exits": false});
        assert_fields(&first_line(&output), &expected);
        cgroup.kill();
        let _status = victims.each_mut().map(Victim::wait);
    }
}

#[test]
#[ignore = "needs root"]
fn a_kill_counts_the_processes_that_got_the_signal() {
    for options in ["", "--signal TERM", "--grace 20s"] {
        let cgroup = Cgroup::v2("killed");
        let mut victims = [(); 3].map(|()| Victim::paused(&cgroup));
        let line = format!("kill {options} --backend pidfd --cgroup {}", cgroup.path());
        let output = run(&format!("{line} --json"));
        let expected = json!({"outcome": "done", "exits": null, "lost": null, "killed": 3});
        assert_fields(&output.last_line(), &expected);
        let _status = victims.each_mut().map(Victim::wait);

        let mut victims = [(); 3].map(|()| Victim::paused(&cgroup));
        let output = run(&line);
        assert!(
            output.stdout.contains("(killed 3 processes, pidfd)"),
            "{output:#?}"
        );
        let _status = victims.each_mut().map(Victim::wait);
    }
}

#[test]
#[ignore = "needs root"]
fn a_wait_that_sees_no_exits_counts_none() {
    let cgroup = Cgroup::v2("unseen");
    let mut victim = Victim::paused(&cgroup);
    let waiting = Waiting::armed(&["--backend", "pidfd", "--cgroup", cgroup.path()]);
    cgroup.kill();
    let verdict = waiting.finish().last_line();
    assert_fields(
        &verdict,
        &json!({"outcome": "done", "exits": null, "lost": null}),
    );
    victim.wait();
}

#[test]
#[ignore = "needs root"]
fn the_exit_code_of_a_container_is_that_of_its_init() {
    let mut runc = Runc::in_own_pids("status", "read line; exit 7");
    let mut waiting = Command::new(binaries::probe());
    waiting.args(["-v", "wait", "--status", "--container", runc.name()]);
    let waiting = Waiting::armed_in(&mut waiting);
    runc.release();
    assert_eq!(waiting.finish().code, Some(7));
}
