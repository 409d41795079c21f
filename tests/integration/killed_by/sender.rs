//! Signals that a process sent to another, or to itself.

use probe_tests::{TracedCgroup, Victim, kernel, record, requirements, words};
use rustix::process::Signal;
use serde_json::json;

use super::{by, own_comm, send, send_to};

#[test]
#[ignore = "needs root"]
fn each_way_to_send_a_signal_has_its_sender() {
    let mut traced = TracedCgroup::new("senders");
    for (how, via) in [
        ("kill", "kill"),
        ("pidfd", "kill"),
        ("sigqueue", "kill"),
        ("tgkill", "tkill"),
    ] {
        for (number, name) in [("9", "SIGKILL"), ("15", "SIGTERM"), ("36", "SIGRTMIN+2")] {
            let mut victim = traced.ready(&["ready", "pause"]);
            let sender = send_to(how, &victim, number);
            let exit = traced.reap(&mut victim);
            assert_eq!(exit["killed_by"], by(sender, "victim", name, via), "{how}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn the_kill_command_is_the_killer() {
    let mut traced = TracedCgroup::new("command");
    let mut victim = traced.ready(&["ready", "pause"]);
    let kill = requirements::tool("kill")
        .args(["-TERM", &victim.pid().to_string()])
        .spawn();
    let mut kill = kill.expect("there is a kill(1)");
    assert!(kill.wait().expect("our child").success());
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(kill.id(), "kill", "SIGTERM", "kill"));
}

#[test]
#[ignore = "needs root"]
fn a_parent_that_kills_is_the_killer() {
    let mut traced = TracedCgroup::new("parent");
    for (number, name) in [("9", "SIGKILL"), ("2", "SIGINT")] {
        let death = traced.run_parent(&["named", "parent", "parent-kills", number, "pause"]);
        let parent = u32::try_from(record::number(&death.report, "parent")).expect("a pid");
        assert_eq!(death.exit["killed_by"], by(parent, "parent", name, "kill"));
    }
}

#[test]
#[ignore = "needs root"]
fn the_writer_of_cgroup_kill_is_the_killer() {
    let mut traced = TracedCgroup::new("writer");
    if !traced.cgroup.has_kill() {
        kernel::inapplicable("there is no cgroup.kill");
    }
    let mut victims = [(); 3].map(|()| traced.ready(&["threads", "3", "ready", "pause"]));
    let sender = send(&["named", "runc", "send", "cgroup.kill", traced.cgroup.path()]);
    for victim in &mut victims {
        let exit = traced.reap(victim);
        assert_eq!(
            exit["killed_by"],
            by(sender, "runc", "SIGKILL", "cgroup.kill")
        );
    }
    // A thread of this process is a sender too.
    let mut victim = traced.ready(&["ready", "pause"]);
    traced.cgroup.kill();
    let exit = traced.reap(&mut victim);
    let expected = by(std::process::id(), &own_comm(), "SIGKILL", "cgroup.kill");
    assert_eq!(exit["killed_by"], expected);
}

#[test]
#[ignore = "needs root"]
fn a_sender_is_reported_with_its_uid_and_name() {
    let mut traced = TracedCgroup::new("uid");
    let mut victim = traced.ready(&["as", "1234", "ready", "pause"]);
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
    let exit = traced.reap(&mut victim);
    assert_eq!(
        exit["killed_by"],
        json!({
            "pid": sender, "comm": "a \"name\"", "uid": 1234, "signal": "SIGTERM",
            "via": "kill", "cause": null, "forged": false,
        })
    );
    // Root kills a process of a user.
    let mut victim = traced.ready(&["as", "1234", "ready", "pause"]);
    let sender = send_to("kill", &victim, "9");
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(sender, "victim", "SIGKILL", "kill"));
    assert_eq!(exit["uid"], 1234);
}

#[test]
#[ignore = "needs root"]
fn a_killer_in_another_pid_namespace_has_its_outer_pid() {
    let mut traced = TracedCgroup::new("inside");
    let death = traced.run_parent(&["pid-namespace", "parent-kills", "9", "pause"]);
    let init = record::pid(&death.exit);
    assert_eq!(death.before[0]["parent"], 1);
    let exit = traced.probe.wait_for(|line| line["ppid"] == init);
    assert_eq!(exit["ns"]["pid"], 2);
    assert_eq!(exit["killed_by"], by(init, "victim", "SIGKILL", "kill"));
}

#[test]
#[ignore = "needs root"]
fn a_process_without_its_leader_has_its_killer() {
    let mut traced = TracedCgroup::new("leaderless");
    let mut victim = traced.ready(&["leader-gone", "3", "ready", "pause"]);
    let sender = send_to("kill", &victim, "9");
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(sender, "victim", "SIGKILL", "kill"));
}

#[test]
#[ignore = "needs root"]
fn a_process_killed_before_exec_has_its_killer() {
    let mut traced = TracedCgroup::new("held");
    let mut victim = Victim::spawn(&["exit", "0"], Some(&traced.cgroup));
    victim.signal(Signal::KILL);
    let exit = traced.reap(&mut victim);
    let expected = by(std::process::id(), &own_comm(), "SIGKILL", "kill");
    assert_eq!(exit["killed_by"], expected);
}

#[test]
#[ignore = "needs root"]
fn a_process_that_kills_itself_is_the_killer() {
    let mut traced = TracedCgroup::new("itself");
    let mut own = vec![
        ("abort", "SIGABRT", "tkill"),
        ("raise 12", "SIGUSR2", "tkill"),
        ("signal 9", "SIGKILL", "kill"),
        ("in-thread abort", "SIGABRT", "tkill"),
        ("fault segv", "SIGSEGV", "fault"),
        ("in-thread fault segv", "SIGSEGV", "fault"),
        ("fault ill", "SIGILL", "fault"),
        ("fault trap", "SIGTRAP", "fault"),
        ("fault bus", "SIGBUS", "fault"),
    ];
    if kernel::seccomp_sends_signal() {
        own.push(("fault seccomp", "SIGSYS", "fault"));
    }
    if cfg!(target_arch = "x86_64") {
        // Other processors do not fault on a division by zero.
        own.push(("fault fpe", "SIGFPE", "fault"));
        // For a non-canonical address the kernel gives no reason.
        own.push(("fault protection", "SIGSEGV", "fault"));
    }
    for (line, signal, via) in own {
        let death = traced.run_parent(&words(&format!("parent {line}")));
        let mut expected = by(record::pid(&death.exit), "victim", signal, via);
        if signal == "SIGSYS" {
            expected["cause"] = "seccomp".into();
        }
        assert_eq!(death.exit["killed_by"], expected, "{line}");
    }
}
