//! Who ended it: the sender where there is one, the reason where it can be
//! told, and nobody rather than a stranger.

use std::process::Command;

use probe_tests::{Cgroup, Trial, Victim, record};
use rustix::process::Signal;
use serde_json::{Value, json};

/// What `killed_by` must be for a signal that a process sent.
fn by(pid: u32, comm: &str, signal: &str, via: &str) -> Value {
    json!({"pid": pid, "comm": comm, "uid": 0, "signal": signal, "via": via, "cause": null})
}

/// What it must be where no process did.
fn by_no_process(signal: &str, via: &str, cause: Option<&str>) -> Value {
    json!({
        "pid": null, "comm": null, "uid": null, "signal": signal, "via": via, "cause": cause,
    })
}

/// Sends from a process of its own, which is reaped when this returns.
fn send(words: &[&str]) -> u32 {
    let mut sender = Victim::start(words, None);
    assert_eq!(sender.wait(), 0, "{words:?}");
    sender.pid()
}

fn send_to(how: &str, victim: &Victim, signal: &str) -> u32 {
    send(&["send", how, &victim.pid().to_string(), signal])
}

/// Name of the task that runs the test.
fn own_comm() -> String {
    let comm = std::fs::read_to_string("/proc/thread-self/comm").expect("there is a /proc");
    comm.trim_end().to_owned()
}

#[test]
#[ignore = "needs root"]
fn each_way_to_send_names_the_sender() {
    let mut trial = Trial::new("senders");
    for (how, via) in [
        ("kill", "kill"),
        ("pidfd", "kill"),
        ("sigqueue", "kill"),
        ("tgkill", "tkill"),
    ] {
        for (number, name) in [("9", "SIGKILL"), ("15", "SIGTERM"), ("36", "SIGRTMIN+2")] {
            let mut victim = trial.ready(&["ready", "pause"]);
            let sender = send_to(how, &victim, number);
            let exit = trial.judge_child(&mut victim);
            assert_eq!(exit["killed_by"], by(sender, "victim", name, via), "{how}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn the_kill_command_is_named() {
    let mut trial = Trial::new("command");
    let mut victim = trial.ready(&["ready", "pause"]);
    let kill = Command::new("kill")
        .args(["-TERM", &victim.pid().to_string()])
        .spawn();
    let mut kill = kill.expect("there is a kill(1)");
    assert!(kill.wait().expect("our child").success());
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["killed_by"], by(kill.id(), "kill", "SIGTERM", "kill"));
}

#[test]
#[ignore = "needs root"]
fn a_parent_that_kills_is_named() {
    let mut trial = Trial::new("parent");
    for (number, name) in [("9", "SIGKILL"), ("2", "SIGINT")] {
        let judged = trial.judge(&["named", "parent", "parent-kills", number, "pause"]);
        let parent = u32::try_from(record::number(&judged.report, "parent")).expect("a pid");
        assert_eq!(judged.exit["killed_by"], by(parent, "parent", name, "kill"));
    }
}

#[test]
#[ignore = "needs root"]
fn the_writer_of_cgroup_kill_is_named() {
    let mut trial = Trial::new("writer");
    let mut victims = [(); 3].map(|()| trial.ready(&["threads", "3", "ready", "pause"]));
    let sender = send(&["named", "runc", "send", "cgroup.kill", trial.cgroup.path()]);
    for victim in &mut victims {
        let exit = trial.judge_child(victim);
        assert_eq!(
            exit["killed_by"],
            by(sender, "runc", "SIGKILL", "cgroup.kill")
        );
    }
    // And by ourselves, from a thread.
    let mut victim = trial.ready(&["ready", "pause"]);
    trial.cgroup.kill();
    let exit = trial.judge_child(&mut victim);
    let expected = by(std::process::id(), &own_comm(), "SIGKILL", "cgroup.kill");
    assert_eq!(exit["killed_by"], expected);
}

#[test]
#[ignore = "needs root"]
fn a_sender_has_its_own_uid_and_name() {
    let mut trial = Trial::new("uid");
    let mut victim = trial.ready(&["as", "1234", "ready", "pause"]);
    let pid = victim.pid().to_string();
    let sender = send(&[
        "as",
        "1234",
        "named",
        "a \"name\"",
        "send",
        "kill",
        &pid,
        "15",
    ]);
    let exit = trial.judge_child(&mut victim);
    assert_eq!(
        exit["killed_by"],
        json!({
            "pid": sender, "comm": "a \"name\"", "uid": 1234, "signal": "SIGTERM",
            "via": "kill", "cause": null,
        })
    );
    // Root kills what is another's.
    let mut victim = trial.ready(&["as", "1234", "ready", "pause"]);
    let sender = send_to("kill", &victim, "9");
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["killed_by"], by(sender, "victim", "SIGKILL", "kill"));
    assert_eq!(exit["uid"], 1234);
}

#[test]
#[ignore = "needs root"]
fn what_a_process_does_to_itself_names_itself() {
    let mut trial = Trial::new("itself");
    let mut own: Vec<(&[&str], &str, &str)> = vec![
        (&["parent", "abort"], "SIGABRT", "tkill"),
        (&["parent", "raise", "12"], "SIGUSR2", "tkill"),
        (&["parent", "signal", "9"], "SIGKILL", "kill"),
        (&["parent", "in-thread", "abort"], "SIGABRT", "tkill"),
        (&["parent", "fault", "segv"], "SIGSEGV", "fault"),
        (
            &["parent", "in-thread", "fault", "segv"],
            "SIGSEGV",
            "fault",
        ),
        (&["parent", "fault", "ill"], "SIGILL", "fault"),
        (&["parent", "fault", "trap"], "SIGTRAP", "fault"),
        (&["parent", "fault", "bus"], "SIGBUS", "fault"),
        (&["parent", "fault", "seccomp"], "SIGSYS", "fault"),
    ];
    if cfg!(target_arch = "x86_64") {
        // Other processors divide by zero without complaint.
        own.push((&["parent", "fault", "fpe"], "SIGFPE", "fault"));
    }
    for (words, signal, via) in own {
        let judged = trial.judge(words);
        let pid = record::pid(&judged.exit);
        assert_eq!(
            judged.exit["killed_by"],
            by(pid, "victim", signal, via),
            "{words:?}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn timers_and_the_kernel_name_no_stranger() {
    let mut trial = Trial::new("kernel");
    let directory = tempfile::tempdir().expect("a place for a file");
    let file = directory.path().join("file");
    let file = file.to_str().expect("UTF-8");
    let cases: [(&[&str], &str, &str); 9] = [
        (&["parent", "posix-timer", "10"], "SIGUSR1", "timer"),
        (&["parent", "posix-timer", "9"], "SIGKILL", "timer"),
        (&["parent", "alarm"], "SIGALRM", "kernel"),
        (&["parent", "cpu-timer", "virtual"], "SIGVTALRM", "kernel"),
        (&["parent", "cpu-timer", "profiling"], "SIGPROF", "kernel"),
        (&["parent", "pipe"], "SIGPIPE", "kernel"),
        (
            &["parent", "limit", "cpu", "1", "4", "spin"],
            "SIGXCPU",
            "kernel",
        ),
        (
            &["parent", "limit", "cpu", "1", "1", "spin"],
            "SIGKILL",
            "kernel",
        ),
        (
            &["parent", "limit", "fsize", "4096", "4096", "fill", file],
            "SIGXFSZ",
            "kernel",
        ),
    ];
    for (words, signal, via) in cases {
        let judged = trial.judge(words);
        let expected = by_no_process(signal, via, None);
        assert_eq!(judged.exit["killed_by"], expected, "{words:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn what_a_terminal_sends_comes_from_the_kernel() {
    let mut trial = Trial::new("terminal");
    for (end, signal) in [("interrupt", "SIGINT"), ("hang-up", "SIGHUP")] {
        let judged = trial.judge(&["terminal", end, "pause"]);
        let expected = by_no_process(signal, "kernel", None);
        assert_eq!(judged.exit["killed_by"], expected, "{end}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_parent_death_signal_says_what_it_is() {
    let mut trial = Trial::new("orphan");
    for (number, name) in [("9", "SIGKILL"), ("15", "SIGTERM")] {
        let judged = trial.judge(&["parent-dies", number, "pause"]);
        let expected = by_no_process(name, "kernel", Some("parent_death"));
        assert_eq!(judged.exit["killed_by"], expected);
    }
}

#[test]
#[ignore = "needs root"]
fn teardown_of_a_pid_namespace_says_what_it_is() {
    let mut trial = Trial::new("teardown");
    let judged = trial.judge(&["pid-namespace", "siblings", "3", "exit", "4"]);
    let namespace = &judged.exit["ns"]["pid_ns"];
    assert_eq!(judged.exit["killed_by"], Value::Null);
    for inner in 2..=4 {
        let exit = trial
            .probe
            .wait_for(|line| line["ns"] == json!({"pid": inner, "pid_ns": namespace}));
        assert_eq!(record::wait_status(&exit), 9);
        let expected = by_no_process("SIGKILL", "kernel", Some("pid_namespace_teardown"));
        assert_eq!(exit["killed_by"], expected);
    }
    // Four in the namespace and the parent outside.
    assert_eq!(trial.finish().exits().count(), 5);
}

#[test]
#[ignore = "needs root"]
fn a_killed_init_takes_its_namespace_with_it_and_only_init_has_a_killer() {
    let mut trial = Trial::new("init");
    let words = ["pid-namespace", "siblings", "2", "ready", "pause"];
    let mut parent = trial.start(&words);
    assert_eq!(record::pid(&parent.report()), 1);
    let init = trial
        .cgroup
        .procs()
        .into_iter()
        .find(|&pid| ns_pid(pid) == 1);
    let init = init.expect("init is in the cgroup");
    let sender = send(&["send", "kill", &init.to_string(), "9"]);
    let exit = trial.probe.exit_of(init);
    assert_eq!(exit["killed_by"], by(sender, "victim", "SIGKILL", "kill"));
    assert_eq!(parent.wait(), 0);
    let told = trial.finish();
    let torn = told
        .exits()
        .filter(|line| line["killed_by"]["cause"] == "pid_namespace_teardown");
    assert_eq!(torn.count(), 2);
}

/// Its pid in the innermost namespace.
fn ns_pid(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is alive");
    let line = status.lines().find(|line| line.starts_with("NSpid:"));
    let last = line.and_then(|line| line.split_whitespace().last());
    last.and_then(|pid| pid.parse().ok()).expect("Linux 4.1")
}

#[test]
#[ignore = "needs root"]
fn a_normal_exit_names_nobody() {
    let mut trial = Trial::new("normal");
    let judged = trial.judge(&["parent", "exit", "9"]);
    assert_eq!(judged.exit["killed_by"], Value::Null);
    // A signal came, was caught, and had nothing to do with it.
    let mut victim = trial.ready(&["catching", "15", "ready", "held", "exit", "3"]);
    let _sender = send_to("kill", &victim, "15");
    victim.release();
    let exit = trial.judge_child(&mut victim);
    assert_eq!(record::wait_status(&exit), 3 << 8);
    assert_eq!(exit["killed_by"], Value::Null);
}

#[test]
#[ignore = "needs root"]
fn an_ignored_signal_is_not_what_killed() {
    let mut trial = Trial::new("ignored");
    let mut victim = trial.ready(&["ignoring", "15", "ready", "pause"]);
    let _first = send_to("kill", &victim, "15");
    let second = send_to("kill", &victim, "9");
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["killed_by"], by(second, "victim", "SIGKILL", "kill"));
}

#[test]
#[ignore = "needs root"]
fn a_caught_signal_is_not_what_killed_later() {
    let mut trial = Trial::new("caught");
    let mut victim = trial.ready(&["catching", "15", "ready", "pause"]);
    let _first = send_to("kill", &victim, "15");
    let second = send_to("kill", &victim, "3");
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["killed_by"], by(second, "victim", "SIGQUIT", "kill"));
    // The same signal, first caught and then deadly.
    let words = [
        "blocking",
        "15",
        "ready",
        "taking",
        "15",
        "unblocking",
        "15",
        "ready",
        "pause",
    ];
    let mut victim = trial.ready(&words);
    let _first = send_to("kill", &victim, "15");
    let _taken = victim.report();
    let second = send_to("kill", &victim, "15");
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["killed_by"], by(second, "victim", "SIGTERM", "kill"));
}

#[test]
#[ignore = "needs root"]
fn a_blocked_signal_that_kills_later_names_its_sender() {
    let mut trial = Trial::new("blocked");
    let words = [
        "blocking",
        "15",
        "ready",
        "held",
        "unblocking",
        "15",
        "pause",
    ];
    let mut victim = trial.ready(&words);
    let sender = send_to("kill", &victim, "15");
    // It is pending already: this one is dropped by the kernel.
    let _too_late = send_to("kill", &victim, "15");
    victim.release();
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["killed_by"], by(sender, "victim", "SIGTERM", "kill"));
    // Still pending when something else kills.
    let mut victim = trial.ready(&["blocking", "15", "ready", "pause"]);
    let _pending = send_to("kill", &victim, "15");
    let second = send_to("kill", &victim, "9");
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["killed_by"], by(second, "victim", "SIGKILL", "kill"));
}

#[test]
#[ignore = "needs root"]
fn of_two_that_kill_the_one_whose_signal_it_was_is_named() {
    let mut trial = Trial::new("twice");
    // Frozen by v1 it cannot die before both have been sent.
    let freezer = Cgroup::v1("freezer", "twice");
    for (how, one, two) in [
        ("kill", 9, 9),
        ("tgkill", 9, 9),
        ("kill", 15, 9),
        ("kill", 15, 15),
        ("kill", 3, 9),
        ("kill", 3, 3),
        ("sigqueue", 36, 36),
        ("kill", 9, 15),
    ] {
        let mut victim = trial.ready(&["threads", "3", "ready", "pause"]);
        freezer.add(victim.pid());
        freezer.write("freezer.state", "FROZEN");
        let first = send_to(how, &victim, &one.to_string());
        let second = send_to(how, &victim, &two.to_string());
        freezer.write("freezer.state", "THAWED");
        let exit = trial.judge_child(&mut victim);
        // Of two that are the same the second finds it dying.
        let is_first = record::wait_status(&exit) & 0x7f == one;
        let killer = if is_first { first } else { second };
        assert_eq!(
            exit["killed_by"]["pid"], killer,
            "{how} {one} {two}: {exit}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn of_two_queued_real_time_signals_the_first_is_named() {
    let mut trial = Trial::new("queued");
    let words = [
        "blocking",
        "36",
        "ready",
        "held",
        "unblocking",
        "36",
        "pause",
    ];
    let mut victim = trial.ready(&words);
    let first = send_to("sigqueue", &victim, "36");
    let _second = send_to("sigqueue", &victim, "36");
    victim.release();
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["killed_by"], by(first, "victim", "SIGRTMIN+2", "kill"));
}

#[test]
#[ignore = "needs root"]
fn of_two_that_kill_at_once_one_is_named() {
    let mut trial = Trial::new("at-once");
    for _ in 0..50 {
        let mut victim = trial.ready(&["threads", "3", "ready", "pause"]);
        let pid = victim.pid().to_string();
        let mut senders = [(); 2].map(|()| Victim::spawn(&["send-if-alive", &pid, "9"], None));
        for sender in &mut senders {
            sender.release();
        }
        let exit = trial.judge_child(&mut victim);
        let mut killer = senders
            .iter()
            .filter(|it| exit["killed_by"]["pid"] == it.pid());
        assert!(killer.next().is_some(), "{exit}");
        assert_eq!(exit["killed_by"]["via"], "kill");
    }
    assert_eq!(trial.finish().exits().count(), 50);
}

#[test]
#[ignore = "needs root"]
fn a_tracer_that_kills_is_named() {
    let mut trial = Trial::new("tracer");
    let judged = trial.judge(&["tracer-kills", "pause"]);
    let tracer = u32::try_from(record::number(&judged.report, "parent")).expect("a pid");
    assert_eq!(record::wait_status(&judged.exit), 9);
    assert_eq!(judged.exit["killed_by"]["pid"], tracer, "{}", judged.exit);
    // Not by any file of a cgroup.
    assert_ne!(
        judged.exit["killed_by"]["via"], "cgroup.kill",
        "{}",
        judged.exit
    );
}

#[test]
#[ignore = "needs root"]
fn a_tracer_that_leaves_kills_by_the_kernel() {
    let mut trial = Trial::new("tracer-exits");
    let judged = trial.judge(&["tracer-exits", "pause"]);
    let expected = by_no_process("SIGKILL", "kernel", None);
    assert_eq!(judged.exit["killed_by"], expected);
}

#[test]
#[ignore = "needs root"]
fn a_signal_that_a_tracer_swapped_in_names_no_stranger() {
    let mut trial = Trial::new("tracer-swaps");
    let judged = trial.judge(&["tracer-swaps", "15", "signal", "10"]);
    assert_eq!(record::wait_status(&judged.exit), 15);
    assert_eq!(judged.exit["killed_by"], Value::Null);
}

#[test]
#[ignore = "needs root"]
fn a_death_without_a_signal_names_nobody() {
    let mut trial = Trial::new("strict");
    // Strict seccomp ends it as if by SIGKILL, but none is sent.
    let judged = trial.judge(&["parent", "fault", "strict"]);
    assert_eq!(judged.report["status"], 9);
    assert_eq!(judged.exit["killed_by"], Value::Null);
}

#[test]
#[ignore = "needs root"]
fn a_process_that_was_killed_before_it_ran_names_its_killer() {
    let mut trial = Trial::new("held");
    let mut victim = Victim::spawn(&["exit", "0"], Some(&trial.cgroup));
    victim.signal(Signal::KILL);
    let exit = trial.judge_child(&mut victim);
    let expected = by(std::process::id(), &own_comm(), "SIGKILL", "kill");
    assert_eq!(exit["killed_by"], expected);
}
