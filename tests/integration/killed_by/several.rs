//! Several signals, of which one is fatal.

use std::fs;

use probe_tests::{Cgroup, Deadline, TracedCgroup, Victim, record, scale, state, words};
use serde_json::Value;

use super::{by, send_to};

#[test]
#[ignore = "needs root"]
fn a_normal_exit_has_no_killer() {
    let mut traced = TracedCgroup::new("normal");
    let death = traced.run_parent(&["parent", "exit", "9"]);
    assert_eq!(death.exit["killed_by"], Value::Null);
    // The process caught a signal before its exit.
    let mut victim = traced.ready(&["catching", "15", "ready", "held", "exit", "3"]);
    let _sender = send_to("kill", &victim, "15");
    victim.release();
    let exit = traced.reap(&mut victim);
    assert_eq!(record::wait_status(&exit), 3 << 8);
    assert_eq!(exit["killed_by"], Value::Null);
}

#[test]
#[ignore = "needs root"]
fn an_ignored_signal_is_not_the_killer() {
    let mut traced = TracedCgroup::new("ignored");
    let mut victim = traced.ready(&["ignoring", "15", "ready", "pause"]);
    let _first = send_to("kill", &victim, "15");
    let second = send_to("kill", &victim, "9");
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(second, "victim", "SIGKILL", "kill"));
}

#[test]
#[ignore = "needs root"]
fn a_caught_signal_is_not_the_killer() {
    let mut traced = TracedCgroup::new("caught");
    let mut victim = traced.ready(&["catching", "15", "ready", "pause"]);
    let _first = send_to("kill", &victim, "15");
    let second = send_to("kill", &victim, "3");
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(second, "victim", "SIGQUIT", "kill"));
    // The first signal is taken, and the second with the same number is fatal.
    let line = "blocking 15 ready taking 15 unblocking 15 ready pause";
    let mut victim = traced.ready(&words(line));
    let _first = send_to("kill", &victim, "15");
    let _taken = victim.report();
    let second = send_to("kill", &victim, "15");
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(second, "victim", "SIGTERM", "kill"));
}

#[test]
#[ignore = "needs root"]
fn a_blocked_signal_that_kills_later_has_its_sender() {
    let mut traced = TracedCgroup::new("blocked");
    let line = "blocking 15 ready held unblocking 15 pause";
    let mut victim = traced.ready(&words(line));
    let sender = send_to("kill", &victim, "15");
    // The kernel drops a second signal with the number of a pending one.
    let _too_late = send_to("kill", &victim, "15");
    victim.release();
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(sender, "victim", "SIGTERM", "kill"));
    // The signal is pending when another one kills.
    let mut victim = traced.ready(&["blocking", "15", "ready", "pause"]);
    let _pending = send_to("kill", &victim, "15");
    let second = send_to("kill", &victim, "9");
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(second, "victim", "SIGKILL", "kill"));
}

#[test]
#[ignore = "needs root"]
fn the_sender_of_the_fatal_one_of_two_signals_is_the_killer() {
    let mut traced = TracedCgroup::new("twice");
    // A process in a frozen v1 cgroup cannot die before both signals are sent.
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
        let mut victim = traced.ready(&["threads", "3", "ready", "pause"]);
        // The kernel does not choose a task for a signal that is frozen while it runs.
        Deadline::start().until("all its tasks sleep", || all_sleep(victim.pid()));
        freezer.add(victim.pid());
        freezer.freeze_v1();
        let first = send_to(how, &victim, &one.to_string());
        let second = send_to(how, &victim, &two.to_string());
        freezer.write("freezer.state", "THAWED");
        let exit = traced.reap(&mut victim);
        // The second of two equal signals finds the process dying. Before 6.1 a frozen process
        // is not dying yet, and either of two queued signals may be reported (docs/cli.md).
        let is_first = record::wait_status(&exit) & 0x7f == one;
        let killer = if is_first { first } else { second };
        let named = &exit["killed_by"]["pid"];
        let is_other = how == "sigqueue" && *named == second && scale::is_emulated();
        assert!(
            *named == killer || is_other,
            "{how} {one} {two}: {exit}, not {killer}"
        );
    }
}

fn all_sleep(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let mut states = tasks.map(|task| {
        let tid = task.expect("the process lives").file_name();
        state(tid.to_str()?.parse().ok()?)
    });
    states.all(|state| state == Some('S'))
}

#[test]
#[ignore = "needs root"]
fn the_first_of_two_queued_real_time_signals_is_the_killer() {
    let mut traced = TracedCgroup::new("queued");
    let line = "blocking 36 ready held unblocking 36 pause";
    let mut victim = traced.ready(&words(line));
    let first = send_to("sigqueue", &victim, "36");
    let _second = send_to("sigqueue", &victim, "36");
    victim.release();
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(first, "victim", "SIGRTMIN+2", "kill"));
}

/// A task takes a signal from its own queue first.
#[test]
#[ignore = "needs root"]
fn a_signal_to_the_task_kills_before_one_to_the_process() {
    let mut traced = TracedCgroup::new("private");
    let line = "blocking 15 ready held unblocking 15 pause";
    for ways in [["tgkill", "kill"], ["kill", "tgkill"]] {
        let mut victim = traced.ready(&words(line));
        let senders = ways.map(|how| (how, send_to(how, &victim, "15")));
        victim.release();
        let exit = traced.reap(&mut victim);
        let (_, killer) = senders
            .into_iter()
            .find(|it| it.0 == "tgkill")
            .expect("both");
        assert_eq!(exit["killed_by"], by(killer, "victim", "SIGTERM", "tkill"));
    }
}

/// More signals than the BPF programs remember as pending.
const FLOOD: [&str; 2] = ["flood", "1000"];

#[test]
#[ignore = "needs root"]
fn only_too_many_pending_signals_make_a_sender_unknown() {
    let mut traced = TracedCgroup::new("flood");
    let line = "blocking 15 ready held unblocking 15 pause";
    for how in ["caught", "blocked"] {
        let mut victim = traced.ready(&words(line));
        let sender = send_to("kill", &victim, "15");
        let [flood, count] = FLOOD;
        let mut flood = Victim::start(&["as", "65534", flood, how, count], None);
        assert_eq!(flood.wait(), 0);
        victim.release();
        let exit = traced.reap(&mut victim);
        let is_forgotten = how == "blocked";
        let expected = if is_forgotten {
            Value::Null
        } else {
            by(sender, "victim", "SIGTERM", "kill")
        };
        assert_eq!(exit["killed_by"], expected, "{how}");
        assert_eq!(exit["killer_forgotten"], is_forgotten, "{how}");
    }
    // Signals that kill at once are not forgotten.
    let mut victim = traced.ready(&["ready", "pause"]);
    let sender = send_to("kill", &victim, "15");
    let exit = traced.reap(&mut victim);
    assert_eq!(exit["killed_by"], by(sender, "victim", "SIGTERM", "kill"));
}

#[test]
#[ignore = "needs root"]
fn one_of_two_simultaneous_killers_is_the_killer() {
    let mut traced = TracedCgroup::new("at-once");
    for _ in 0..50 {
        let mut victim = traced.ready(&["threads", "3", "ready", "pause"]);
        let pid = victim.pid().to_string();
        let mut senders = [(); 2].map(|()| Victim::spawn(&["send-if-alive", &pid, "9"], None));
        for sender in &mut senders {
            sender.release();
        }
        let exit = traced.reap(&mut victim);
        let mut killer = senders
            .iter()
            .filter(|it| exit["killed_by"]["pid"] == it.pid());
        assert!(killer.next().is_some(), "{exit}");
        assert_eq!(exit["killed_by"]["via"], "kill");
    }
    assert_eq!(traced.finish().exits().count(), 50);
}
