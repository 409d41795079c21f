//! `killed_by`: the sender of the fatal signal, or its cause, or null if neither is known.

mod forged;
mod kernel;
mod sender;
mod several;
mod tracer;

use probe_tests::Victim;
use serde_json::{Value, json};

/// The expected `killed_by` of a signal that a process sent.
fn by(pid: u32, comm: &str, signal: &str, via: &str) -> Value {
    json!({
        "pid": pid, "comm": comm, "uid": 0, "signal": signal, "via": via, "cause": null,
        "forged": false,
    })
}

/// The expected `killed_by` of a signal that no process sent.
fn by_no_process(signal: &str, via: &str, cause: Option<&str>) -> Value {
    json!({
        "pid": null, "comm": null, "uid": null, "signal": signal, "via": via, "cause": cause,
        "forged": false,
    })
}

/// Runs a victim that sends a signal, and reaps it; returns its pid.
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
    let comm = std::fs::read_to_string("/proc/thread-self/comm").expect("/proc is mounted");
    comm.trim_end().to_owned()
}
